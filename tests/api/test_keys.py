"""API keys: shown once, listed by prefix, dead when revoked."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.extensions import db
from app.models.base import utcnow
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.models.identity.user import UserSession, digest
from app.models.operations.outbox import OutgoingMail
from tests.auth.conftest import Browser
from tests.chat.conftest import Door

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at_browser(door: Door, path: str, **sent: object) -> TestResponse:
    """A POST to the API by the person whose key the door has, signed in on its account."""
    secret = door.headers["Authorization"].removeprefix("Bearer ")
    key = db.session.scalars(select(ApiKey).where(ApiKey.secret_hash == digest(secret))).one()
    session = UserSession.begin(key.user, key.account_id)
    db.session.commit()
    browser = Browser(door.client.application.test_client())
    with browser.client.session_transaction() as cookie:
        cookie["_user_id"] = session
    return browser.client.post(f"/api{path}", headers={"X-CSRFToken": browser.token()}, json=sent)


def made(door: Door, name: str = "laptop", **fields: object) -> dict[str, str]:
    answer = at_browser(door, "/keys", name=name, **fields)
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def last_used(door: Door) -> str:
    """When the newest key was last used, as its owner is told."""
    return str(door.call("GET", "/keys").json["items"][0]["last_used_at"])


def test_the_secret_is_shown_once_and_stored_as_a_hash(ada: Door) -> None:
    key = made(ada)
    listed = ada.call("GET", "/keys")

    assert key["key"].startswith(key["prefix"])
    assert len(key["key"]) >= 43
    assert key["key"] not in listed.text
    assert key["prefix"] in listed.text
    assert key["key"] not in str([vars(row) for row in db.session.query(ApiKey)])


def test_a_revoked_key_is_dead_at_once(ada: Door) -> None:
    key = made(ada)
    answer = ada.call("DELETE", f"/keys/{key['id']}")

    assert (answer.status_code, answer.data) == (204, b"")
    assert Door(ada.client, key["key"]).call("GET", "/balance").status_code == 401
    assert key["id"] not in [row["id"] for row in ada.call("GET", "/keys").json["items"]]
    assert ada.call("DELETE", f"/keys/{key['id']}").status_code == 404


def test_a_member_has_keys_and_sees_only_those(ada: Door, member_door: Callable[..., Door]) -> None:
    bob = member_door(db.session.query(Account).order_by(Account.id.desc()).first().id, "bob")
    adas, bobs = made(ada), made(bob)

    assert {row["id"] for row in bob.call("GET", "/keys").json["items"]} & {adas["id"], bobs["id"]} == {bobs["id"]}
    assert bob.call("DELETE", f"/keys/{adas['id']}").status_code == 404
    assert ada.call("DELETE", f"/keys/{bobs['id']}").status_code == 204


def test_a_key_needs_a_name(ada: Door) -> None:
    for name in (None, "", "   ", 7, "x" * 101, ["a"]):
        answer = at_browser(ada, "/keys", name=name)

        assert (name, answer.status_code, list(answer.json["errors"])) == (name, 400, ["name"])


def test_fields_that_are_not_the_callers_are_ignored(ada: Door, door: Callable[..., Door]) -> None:
    eve = door("eve")
    sent = {
        "name": "n",
        "account_id": "1",
        "user_id": "1",
        "prefix": "p",
        "secret_hash": "h",
        "role": "owner",
    }
    key = at_browser(eve, "/keys", **sent).json

    assert Door(ada.client, key["key"]).balance()["credits_credits"] == "0"


def test_when_a_key_was_last_used_is_known_to_the_hour(ada: Door) -> None:
    new = Door(ada.client, made(ada)["key"])
    with time_machine.travel(NOON, tick=False) as clock:
        new.balance()
        clock.shift(timedelta(minutes=59))
        new.balance()
        first = last_used(ada)
        clock.shift(timedelta(minutes=1))
        new.balance()
        second = last_used(ada)

    assert (first, second) == ("2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z")


def test_a_new_key_is_told_to_its_person_by_mail(ada: Door) -> None:
    made(ada, "robot")
    mail = db.session.query(OutgoingMail).where(OutgoingMail.template == "key_made").one()
    assert (mail.to, mail.context["key_name"]) == ("ada@example.com", "robot")


def test_a_key_ends_when_its_days_are_over(ada: Door) -> None:
    key = made(ada, expires_in_days=30)
    new = Door(ada.client, key["key"])
    with time_machine.travel(utcnow() + timedelta(days=29)):
        assert new.call("GET", "/balance").status_code == 200
    with time_machine.travel(utcnow() + timedelta(days=30, minutes=1)):
        assert new.call("GET", "/balance").status_code == 401
        assert key["id"] not in [row["id"] for row in ada.call("GET", "/keys").json["items"]]


def test_a_scope_or_an_end_that_is_none_is_refused(ada: Door) -> None:
    for field in ({"scopes": []}, {"scopes": ["all"]}, {"scopes": "read"}, {"expires_in_days": 0}):
        assert at_browser(ada, "/keys", name="robot", **field).status_code == 400, field


def test_one_person_has_so_many_keys_and_no_more(ada: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.models.identity.api_key.MOST_KEYS", 3)
    for _ in range(2):
        made(ada)
    answer = at_browser(ada, "/keys", name="one more")
    assert (answer.status_code, answer.json["code"]) == (409, "too_many_keys")
