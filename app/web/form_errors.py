"""Errors of a form at its fields, kept with what was typed for the page it came from."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from flask import g, redirect, request, session
from flask.typing import ResponseReturnValue

from app.web.browser_session import same_site

KEPT = "form"
LONGEST = 300
NEVER_KEPT = ("password", "csrf")


@dataclass(frozen=True, slots=True)
class SentForm:
    """The form of one address: `errors` by field, `values` as they were typed."""

    errors: dict[str, list[str]] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)

    def value(self, name: str, default: Any = "") -> Any:
        """What was typed, else what the page would show."""
        return self.values.get(name, default) if self.errors else default

    def is_ticked(self, name: str, default: bool = False) -> bool:
        return name in self.values if self.errors else default


def back_with(errors: dict[str, list[str]]) -> ResponseReturnValue | None:
    """Back to the page that the form was sent from; None where it was sent from none of ours."""
    page = page_sent_from()
    if request.method != "POST" or page is None:
        return None
    typed = {name: text[:LONGEST] for name, text in request.form.items() if not is_secret(name)}
    sentences = {name.removesuffix("_cents"): [sentence(text) for text in texts] for name, texts in errors.items()}
    session[KEPT] = {"action": request.path, "errors": sentences, "values": typed}
    return redirect(page, 303)


def page_sent_from() -> str | None:
    sent_from = urlsplit(request.referrer or "")
    if sent_from.netloc != request.host:
        return None
    return same_site(sent_from.path + (f"?{sent_from.query}" if sent_from.query else ""))


def is_secret(name: str) -> bool:
    return any(part in name for part in NEVER_KEPT)


def sentence(text: str) -> str:
    """An error of a field ("must be a number.") as it stands below the field: with a capital letter."""
    return text[:1].upper() + text[1:]


def sent_form(action: str) -> SentForm:
    """What was wrong with the form of that address, once: the next load of the page is clean again."""
    if "sent_form" not in g:
        g.sent_form = session.pop(KEPT, None) if KEPT in session else None
    kept = g.sent_form
    if not kept or kept["action"] != action:
        return SentForm()
    return SentForm(kept["errors"], kept["values"])
