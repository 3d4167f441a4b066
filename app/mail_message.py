"""A mail made of typed parts: what people wrote is text, and only a template makes a link. security.md 26.

A template has its subject in the first line and paragraphs between empty lines. In a paragraph of its own,
`{{ button("Open billing", billing_url) }}` is a link; `{{ mailbox(to) }}` shows a mail address as it is. Every other
value is bounded, in one line, and no mail program makes a link of it.
"""

import re
from dataclasses import dataclass
from typing import Any

from flask import current_app
from flask_mailman import EmailMultiAlternatives
from jinja2 import Environment

from app.models.identity.email_address import one_line

ONE_CLICK = "List-Unsubscribe=One-Click"
"""RFC 8058: a mail program may POST it by itself, without a page."""

LONGEST_VALUE = 300
LONGEST_SUBJECT = 150
JOINER = "\u2060"
"""An invisible sign that ends an address where a mail program would find one."""

MAKES_A_LINK = re.compile(r"(?<=\w)([.@])(?=[^\W\d_])|(://)")
MARK = re.compile("\x01(\\d+)\x01")


MANAGES, USES = "you manage the account {account}", "you use {to}"
WHY = {
    "invitation": "you were invited to the team {account}",
    "limit_decision": "you asked for more credits in {account}",
    "digest": "you turned on the weekly summary of {account}",
    "support_request": "{to} gets the support requests",
}
"""What is sent to others than those who manage the account."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link of ours, shown as a button."""

    label: str
    address: str

    def __str__(self) -> str:
        return f"{self.label}: {self.address}"


class Mark(str):
    """What a template wrote itself: it stays as it is."""

    __slots__ = ()


class Parts:
    """What one rendering of a template calls upon: it keeps the links, and cleans every value."""

    def __init__(self) -> None:
        self.links: list[Link] = []

    def button(self, label: str, address: str) -> Mark:
        """A mark that stands for the link; nothing without an address. ValueError where it is none of the web."""
        if not address:
            return Mark()
        if not address.startswith(("https://", "http://")) or not address.isprintable() or " " in address:
            raise ValueError(f"not a link: {address[:100]!r}")
        self.links.append(Link(label, address))
        return Mark(f"\x01{len(self.links) - 1}\x01")

    def written(self, text: str) -> str:
        return MARK.sub(lambda mark: str(self.links[int(mark[1])]), text)

    def part(self, paragraph: str) -> Link | str:
        mark = MARK.fullmatch(paragraph)
        return self.links[int(mark[1])] if mark else self.written(paragraph)


def compose(to: str, template: str, context: dict[str, Any]) -> EmailMultiAlternatives:
    """The message: its text from the template, and the same in the frame that all mails share."""
    parts = Parts()
    text = environment(parts).get_template(f"mail/{template}.txt").render(context)
    subject, _, body = text.partition("\n")
    foot = footer(to, template, context)
    whole = "\n\n".join((parts.written(body.strip()), "-- ", *foot))
    message = EmailMultiAlternatives(" ".join(subject.split())[:LONGEST_SUBJECT], f"{whole}\n", to=[to])
    if leave := context.get("unsubscribe_url"):
        message.extra_headers |= {"List-Unsubscribe": f"<{leave}>", "List-Unsubscribe-Post": ONE_CLICK}
    if answered_by := context.get("reply_to") or context.get("support_email"):
        message.reply_to = [one_line(answered_by)]
    paragraphs = [parts.part(" ".join(part.split())) for part in body.split("\n\n") if part.strip()]
    frame = current_app.jinja_env.get_template("mail/frame.html")
    html = frame.render(brand_name=context["brand_name"], subject=message.subject, parts=paragraphs, footer=foot)
    message.attach_alternative(html, "text/html")
    return message


def footer(to: str, template: str, context: dict[str, Any]) -> list[str]:
    """Why this mail came, of which account it is, and who answers."""
    brand, account = cleaned(context["brand_name"]), cleaned(context.get("account_name"))
    reason = WHY.get(template) or (MANAGES if account else USES)
    why = f"You're getting this email because {reason.format(account=account, to=one_line(to))} at {brand}."
    return [why, "Questions? Reply to this email."] if context.get("support_email") else [why]


def environment(parts: Parts) -> Environment:
    """The app's templates, with values that are cleaned as they are written."""
    own: Environment = current_app.jinja_env.overlay(finalize=cleaned, cache_size=0)
    own.globals = {"button": parts.button, "mailbox": shown_mailbox}
    return own


def shown_mailbox(address: str) -> Mark:
    """An address that the mail is about."""
    return Mark(one_line(address)[:LONGEST_VALUE])


def cleaned(value: Any) -> Any:
    """A value as text: in one line, bounded, and never a link. Marks pass."""
    if isinstance(value, Mark):
        return value
    text = one_line("" if value is None else str(value))[:LONGEST_VALUE]
    return MAKES_A_LINK.sub(lambda sign: JOINER + sign[0] + JOINER, text)
