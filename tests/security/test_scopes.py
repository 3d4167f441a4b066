"""The scope that a key needs, route by route; and when keys end with their person's credentials. security.md 30."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask

from app.models.identity.api_key import EVERY_SCOPE, OWNERS_SCOPES, ApiKey
from app.models.identity.user import MailedToken, User
from app.web.access import BY_PEOPLE, scope_of
from tests.auth.conftest import Browser
from tests.security.conftest import Teams
from tests.security.test_routes import address
from tests.support import Database
from tests.support.people import PASSWORD

BUYS = {
    ("POST", "/api/subscription"), ("PATCH", "/api/subscription"), ("DELETE", "/api/subscription"),
    ("POST", "/api/subscription/resume"), ("POST", "/api/checkout"), ("PUT", "/api/auto-recharge"),
    ("POST", "/api/breaker/resume"), ("PATCH", "/api/breaker"),
    ("POST", "/api/codes"),
}  # fmt: skip
READS = {("POST", "/api/subscription/preview"), ("POST", "/api/estimate")}
FOR_PEOPLE = {
    ("PUT", "/api/own-limit"), ("POST", "/api/limit-requests"), ("POST", "/api/keys"),
    ("PATCH", "/api/keys/<key_id>"), ("POST", "/api/keys/<key_id>/rotate"),
}  # fmt: skip


def api_rules(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Method, address and the scope that a key needs, of every route of the API that is not public."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if rule.rule.startswith("/api/") and not getattr(view, "is_public", False):
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                yield method, rule.rule, scope_of(view, method)


def test_what_is_for_programs_alone_no_person_does_whatever_their_role(
    app: Flask, adas: dict[str, int], team_of: Teams
) -> None:
    """A member in a browser would settle, or give back, what the owner's program holds."""
    ada = team_of.browsers["ada"]
    rules = [
        rule
        for rule in app.url_map.iter_rules()
        if getattr(app.view_functions[rule.endpoint], "scope", "") in OWNERS_SCOPES
    ]
    assert len(rules) >= 4
    for rule in rules:
        path = address(rule.rule, {"call_id": adas["call_id"]})
        answer = ada.client.post(path, json={}, headers={"X-CSRFToken": ada.token()})
        assert answer.status_code == 403, path


def test_every_route_of_the_api_needs_the_scope_that_it_is_listed_under(app: Flask) -> None:
    for method, rule, scope in api_rules(app):
        known = "read" if method == "GET" or (method, rule) in READS else "spend"
        known = "hold" if rule.startswith("/api/reservations") else known
        known = "buy" if (method, rule) in BUYS else BY_PEOPLE if (method, rule) in FOR_PEOPLE else known
        assert scope == known, (method, rule)


def test_a_key_holds_credits_only_while_its_maker_owns_the_account(
    signed_in: Callable[..., Browser], session: Database
) -> None:
    """An owner who was made a member does not go on by a key of before."""
    program = signed_in("ada").client.application.test_client()
    user = User.with_email("ada@example.com")
    _key, secret = ApiKey.make(user.home_id, user.id, "robot", scopes=EVERY_SCOPE)
    session.commit()
    statuses = []
    for role in ("owner", "admin", "member"):
        user.memberships[0].role = role
        session.commit()
        sent = {"headers": {"Authorization": f"Bearer {secret}"}, "json": {}}
        statuses.append(program.post("/api/reservations", **sent).status_code)
    assert statuses == [400, 403, 403]


@pytest.fixture
def ada(signed_in: Callable[..., Browser]) -> Browser:
    return signed_in("ada")


@pytest.fixture
def keyed(ada: Browser, session: Database) -> Callable[[], bool]:
    """Whether a key that ada made before still works."""
    user = User.with_email("ada@example.com")
    _key, secret = ApiKey.make(user.home_id, user.id, "robot")
    session.commit()
    program, bearer = ada.client.application.test_client(), {"Authorization": f"Bearer {secret}"}
    return lambda: program.get("/api/balance", headers=bearer).status_code == 200


def reset(browser: Browser, session: Database, **fields: str) -> None:
    link = MailedToken.issue(User.with_email("ada@example.com"), "reset")
    session.commit()
    assert browser.send(f"/password/reset/{link}", password="another good password", **fields).status_code == 302


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("how", ["reset", "change", "everywhere"])
def test_keys_end_with_the_credential_unless_they_are_kept(
    ada: Browser, keyed: Callable[[], bool], session: Database, how: str, keep: bool
) -> None:
    fields = {"keep_keys": "1"} if keep else {}
    assert keyed()
    if how == "reset":
        reset(ada, session, **fields)
    elif how == "change":
        ada.send("/settings/password", current_password=PASSWORD, password="another good password", **fields)
    else:
        ada.send("/settings/sessions/end", **fields)
    assert keyed() == keep


def test_a_form_makes_a_key_of_the_chosen_scopes(ada: Browser, session: Database) -> None:
    assert ada.send("/settings/keys", name="robot", scopes=["read", "buy"], days="30").status_code == 303
    key = session.query(ApiKey).one()
    assert (key.scopes, round((key.expires_at - key.created_at) / timedelta(days=1))) == ("read buy", 30)
