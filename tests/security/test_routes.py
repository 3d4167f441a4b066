"""Every route: ids that are none are not found, forms need their token. Looking changes nothing: `test_answers.py`.

security.md 1 and 14. Who gets in where: `test_matrix.py`; the admin has a walker of its own.
"""

from itertools import chain, cycle, product

from flask import Flask

from app.extensions import db
from app.models.identity.account import Account
from app.models.identity.api_key import EVERY_SCOPE, ApiKey
from app.models.identity.user import User
from tests.auth.conftest import Browser
from tests.security.conftest import Teams, id_rules

PUBLIC = {
    "/", "/try", "/pricing", "/healthz", "/readyz", "/metrics", "/login", "/login/code", "/login/oidc",
    "/login/oidc/callback", "/login/passkey", "/login/passkey/options", "/signup", "/password/forgot",
    "/password/reset/<token>",
    "/email/verify/<token>", "/invitations/<token>", "/dev/mail", "/dev/mail/<int:number>",
    "/webhooks/stripe", "/api/docs", "/api/openapi.json",
    "/static/<path:filename>", "/brand/logo", "/digests/stop/<token>", "/shared/<token>",
    "/shared/<token>/files/<attachment_id>",
}  # fmt: skip
"""What anybody may ask for; a link is public because its token is the proof."""

SIGNED_BY_THEIR_SENDER = {"/webhooks/stripe", "/digests/stop/<token>"}
OWNED = {
    "chat_id", "message_id", "call_id", "key_id", "member_id", "invitation_id", "session_id", "recharge_id",
    "attachment_id", "request_id", "document_id", "revision_id", "endpoint_id", "delivery_id", "passkey_id",
}  # fmt: skip
"""Variables of addresses that name what belongs to an account or a person."""

SHARED = {"plan_id", "code", "number", "kind", "token", "filename", "month", "model_id"}
"""Variables that name what is everybody's, or that are a secret themselves."""

KEYS_ONLY = "/v1/"
"""Where no cookie counts, so that a form token would protect nothing."""

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


def rules(app: Flask) -> list[tuple[str, str]]:
    """Each method and rule outside the admin."""
    result = [rule for rule in app.url_map.iter_rules() if not rule.rule.startswith("/admin")]
    return [(method, rule.rule) for rule in result for method in sorted(rule.methods - {"HEAD", "OPTIONS"})]


def address(rule: str, ids: dict[str, object]) -> str:
    """The rule with ids in it; a variable without one becomes 1."""
    parts = (part.strip("<>").rpartition(":")[2] if part.startswith("<") else None for part in rule.split("/"))
    filled = (
        part if name is None else str(ids.get(name, 1)) for part, name in zip(rule.split("/"), parts, strict=True)
    )
    return "/".join(filled)


def test_every_id_in_an_address_is_known_to_these_tests(app: Flask) -> None:
    names = {name for _method, _rule, name in id_rules(app)}
    assert names <= OWNED | SHARED


def body_for(rule: str) -> dict[str, str]:
    """What a body must hold to be looked at, so that a refusal is about the id."""
    fields = {"content": "hello", "title": "mine", "role": "member", "limit_credits": "1", "name": "mine"}
    return fields | ({"model": "gpt-test"} if "regenerate" in rule else {})


def test_an_id_has_one_spelling(adas: dict[str, int], team_of: Teams) -> None:
    """What is counted or kept by an address is counted by all of its spellings."""
    kinds = ("/api/chats", "chat_id"), ("/api/documents", "document_id"), ("/api/usage/calls", "call_id")
    for spelling, (path, name) in product(("{}", "0{}", "+{}", "{}.0", "{} ", "{}_0", "\uff10{}"), kinds):
        answer = team_of.browsers["ada"].get(f"{path}/{spelling.format(adas[name])}")
        assert answer.status_code == (200 if spelling == "{}" else 404), (path, spelling)


NO_IDS = ("0", "-1", "99999999999999999999"), ("1.0", "1e3", "%00", "x", "%F0%9F%92%B8", "1_0")
"""Numbers that no id is, and what is no number: one of either, in turns, for each address."""


def test_an_id_that_is_none_is_not_found(app: Flask, adas: dict[str, int], eve: Browser) -> None:
    program = app.test_client()
    team = db.session.query(Account).filter_by(name="eve's team").one()
    _key, secret = ApiKey.make(team.id, User.with_email("eve@example.com").id, "robot", scopes=EVERY_SCOPE)
    db.session.commit()
    by_hand, by_key = {"X-CSRFToken": eve.token()}, {"Authorization": f"Bearer {secret}"}
    places = [place for place in sorted(id_rules(app)) for _kind in NO_IDS]
    tried = chain.from_iterable(zip(*map(cycle, NO_IDS), strict=False))
    for (method, rule, name), bad in zip(places, tried, strict=False):
        if name in OWNED:
            sent = {"json" if rule.startswith("/api") else "data": body_for(rule)} if method in UNSAFE else {}
            path = address(rule, {name: bad})
            is_for_keys = rule.startswith("/api/reservations")
            client, headers = (program, by_key) if is_for_keys else (eve.client, by_hand)
            answer = client.open(path, method=method, headers=headers, **sent)
            assert answer.status_code == 404, (method, path, answer.status_code)


def test_nothing_unsafe_happens_without_the_form_token(app: Flask, adas: dict[str, int], team_of: Teams) -> None:
    ada, others = team_of.browsers["ada"], cycle([{"X-CSRFToken": "made-up"}, {"Authorization": "Basic eDp5"}])
    for method, rule in rules(app):
        if method in UNSAFE and rule not in SIGNED_BY_THEIR_SENDER and not rule.startswith(KEYS_ONLY):
            for headers in ({}, next(others)):
                answer = ada.client.open(
                    address(rule, adas), method=method, headers=headers | {"Accept": "application/json"}
                )
                assert (answer.status_code, answer.json["code"]) == (400, "csrf_failed"), (method, rule)
    assert ada.is_signed_in


def test_a_made_up_key_is_no_way_around_the_form_token(app: Flask, adas: dict[str, int], team_of: Teams) -> None:
    """A request that carries a key is the key's, never the cookie's."""
    ada = team_of.browsers["ada"]
    for method, rule in rules(app):
        if method in UNSAFE and rule not in PUBLIC and not rule.startswith(KEYS_ONLY):
            headers = {"Authorization": "Bearer made-up", "Accept": "application/json"}
            answer = ada.client.open(address(rule, adas), method=method, headers=headers)
            assert answer.status_code in {400, 401}, (method, rule)
            assert answer.json["code"] in {"csrf_failed", "not_signed_in"}


def test_the_gateway_knows_no_cookies(app: Flask, adas: dict[str, int], team_of: Teams) -> None:
    ada = team_of.browsers["ada"]
    for method, rule in rules(app):
        if rule.startswith(KEYS_ONLY):
            for headers in ({}, {"X-CSRFToken": ada.token()}, {"Authorization": "Bearer made-up"}):
                answer = ada.client.open(address(rule, adas), method=method, headers=headers)
                assert (answer.status_code, answer.json["error"]["type"]) in {
                    (401, "invalid_api_key"),
                    (401, "authentication_error"),
                }
