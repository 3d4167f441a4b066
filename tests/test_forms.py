"""Every form of a page: what was done redirects, so that a reload does nothing again; what is wrong is at its field."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.models.documents.document import Document
from app.models.identity.api_key import ApiKey
from app.models.operations.outgoing_webhook import WebhookEndpoint
from app.web.form_errors import KEPT
from tests.admin.conftest import FormReader
from tests.auth.conftest import Browser
from tests.security.conftest import Teams, adas, new_browser, quick_passwords, signed_in, team_of
from tests.security.test_fuzzed_pages import SIGNS_OUT, pages
from tests.security.test_routes import address, rules
from tests.support import Database

__all__ = ["adas", "new_browser", "quick_passwords", "signed_in", "team_of"]
ANSWERED_BY_A_PAGE = {"/digests/stop/<token>"}
"""Mail programs follow no redirect (RFC 8058)."""

FILLED = {
    "/settings/keys": {"name": "robot"},
    "/billing/webhooks": {"url": "https://example.com/hook"},
    "/account/teams": {"name": "Crew of two"},
    "/account/invitations": {"email": "dora@example.com", "role": "member"},
    "/account/rename": {"name": "The ferry"},
    "/account/own-limit": {"limit_credits": "5", "period": "day"},
    "/settings/profile": {"name": "Ada"},
    "/settings/prompts": {"prompt": "Be brief."},
    "/settings/instructions": {"system_prompt": "Answer in French."},
    "/support": {"message": "Where is the ferry?"},
    "/password/forgot": {"email": "ada@example.com"},
}
FIELD = re.compile(r"<(?:input|textarea)\b[^>]*>")
NOT_TYPED = re.compile(r'type="(?:hidden|checkbox|radio|file|password|search)"')


@pytest.fixture
def ada(adas: dict[str, int], team_of: Teams) -> Browser:
    """ada, with one of everything."""
    browser = team_of.browsers["ada"]
    browser.get("/chat")
    return browser


def test_no_form_is_answered_by_a_page_that_a_reload_sends_again(
    app: Flask, ada: Browser, adas: dict[str, int]
) -> None:
    token, statuses = ada.token(), {}
    posts = [rule for method, rule in rules(app) if method == "POST" and not rule.startswith(("/api", "/v1"))]
    for rule in sorted(posts, key=lambda rule: rule.startswith(SIGNS_OUT)):
        if not rule.startswith(SIGNS_OUT):
            fields = {"csrf_token": token} | FILLED.get(rule, {})
            answer = ada.client.post(address(rule, adas), data=fields)
            statuses[rule] = answer.status_code, answer.mimetype
    by_a_page = {rule for rule, (status, kind) in statuses.items() if status < 300 and kind == "text/html"}
    assert by_a_page <= ANSWERED_BY_A_PAGE, by_a_page
    assert {rule: statuses[rule] for rule in FILLED if statuses[rule][0] not in {302, 303}} == {}


@pytest.mark.parametrize(
    ("path", "kind", "secret"),
    [
        ("/settings/keys", ApiKey, "tg_"),
        ("/settings/keys/<key_id>/rotate", ApiKey, "tg_"),
        ("/billing/webhooks", WebhookEndpoint, "whsec_"),
        ("/billing/webhooks/<endpoint_id>/rotate", WebhookEndpoint, "whsec_"),
    ],
)
def test_a_secret_is_shown_by_the_page_that_follows_and_once(
    ada: Browser, adas: dict[str, int], session: Database, path: str, kind: type, secret: str
) -> None:
    before = session.query(kind).count()
    answer = ada.send(address(path, adas), **FILLED.get(path, {}))
    first, again = ada.get(answer.location).text, ada.get(answer.location).text
    shown = re.findall(rf">({secret}[\w-]{{30,}})<", first)

    assert (answer.status_code, len(shown), shown[0] in again) == (303, 1, False)
    assert shown[0] not in answer.headers["Set-Cookie"]
    assert session.query(kind).count() == before + ("rotate" not in path)


def test_a_document_that_was_begun_is_one(ada: Browser, session: Database) -> None:
    answer = ada.send("/documents")
    before = session.query(Document).count()
    assert (answer.status_code, ada.get(answer.location).status_code) == (303, 200)
    assert session.query(Document).count() == before


def typed_fields(page: str) -> set[str]:
    fields = [field for field in FIELD.findall(page) if not NOT_TYPED.search(field)]
    return {name for field in fields for name in re.findall(r'name="(\w+)"', field)}


def wrong(name: str) -> str:
    return "notamail" if "email" in name else "zzwrong" if "credits" in name or "url" in name else "z" * 280


def forms_of(page: TestResponse) -> list[tuple[str, str, dict[str, str]]]:
    """Each field of its forms that a person types into: the form's address, the field's name, all its fields.

    Not those of passkeys, which a script shows and sends.
    """
    typed = typed_fields(page.text)
    posted = set(re.findall(r'<form[^>]*method="post"[^>]*action="([^"]+)"(?! data-passkey)', page.text))
    forms = [form for form in FormReader(page.text).forms if form[0] in posted and re.match("(/[^/]+)+$", form[0])]
    return [(action, name, fields) for action, fields in forms for name in sorted(typed & set(fields))]


def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(
    app: Flask, ada: Browser, adas: dict[str, int], new_browser: Callable[[], Browser]
) -> None:
    faults, refused, nobody = [], set(), new_browser()
    places = [(ada, path) for path in pages(app, adas, "")]
    places += [(nobody, path) for path in ("/login", "/signup", "/password/forgot")]
    for browser, path in places:
        page = browser.get(path)
        for action, name, fields in forms_of(page) if page.status_code == 200 else []:
            given = {key: value for key, value in fields.items() if value is not None} | {name: wrong(name)}
            answer = browser.client.post(action, data=given, headers={"Referer": f"http://localhost{path}"})
            with browser.client.session_transaction() as cookie:
                is_kept = KEPT in cookie
            shown = browser.get(answer.location) if answer.status_code in {302, 303} else answer
            if answer.status_code < 400 and not is_kept:
                continue
            refused.add((action, name))
            if answer.status_code != 503 and not ("aria-invalid" in shown.text and wrong(name) in shown.text):
                faults.append((path, action, name, answer.status_code))
    assert not faults, faults
    assert len(refused) > 10, refused
