"""Nobody can have us fill a mailbox: what requests write to one is bounded, whoever sends them. security.md 28."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from limits import parse

from app import mailer
from app.extensions import db
from app.models.operations.outbox import OutgoingMail
from tests.auth.conftest import Browser
from tests.conftest import nowhere
from tests.support import Database

MOST, FEW = 10, 3
TEMPLATES = [path.stem for path in Path("app/templates/mail").glob("*.txt")]


@pytest.fixture
def environment(environment: dict[str, str], request: pytest.FixtureRequest) -> dict[str, str]:
    away = {"REDIS_URL": nowhere()} if getattr(request, "param", "") == "without Redis" else {}
    return environment | {"RATELIMIT_ENABLED": "1", "PROXY_COUNT": "1"} | away


def mails_to(name: str) -> Counter[str]:
    db.session.rollback()
    mails = db.session.query(OutgoingMail).filter(OutgoingMail.to.startswith(name))
    return Counter(mail.template for mail in mails)


@pytest.mark.parametrize("environment", ["with Redis", "without Redis"], indirect=True)
def test_of_each_template_requests_write_so_many_to_one_mailbox(app: Flask, session: Database) -> None:
    """However its address is spelled. What jobs write has a key for each thing that it tells of."""
    assert len(TEMPLATES) > 20
    for template in TEMPLATES[::12]:
        with app.test_request_context():
            written = [mailer.post(f"{template}:{n}", f"Ada+{n}@example.com", template) for n in range(MOST + 2)]
            assert written == [True] * MOST + [False] * 2
            assert mailer.post(f"{template}:b", "bob@example.com", template)
        assert mailer.post(f"{template}:job", "ada@example.com", template)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller bound, which is sooner reached."""
    monkeypatch.setattr(mailer, "OF_A_KIND", parse(f"{FEW} per hour"))


def test_who_makes_keys_of_a_strangers_address_over_and_over_writes_few_mails(
    signed_in: Callable[..., Browser], session: Database, few: None
) -> None:
    ada = signed_in("ada")
    headers = {"X-CSRFToken": ada.token()}
    key = ada.client.post("/api/keys", json={"name": "robot"}, headers=headers).json["id"]
    for _ in range(FEW + 2):
        assert ada.client.post(f"/api/keys/{key}/rotate", headers=headers).status_code == 200
    assert mails_to("ada")["key_made"] == FEW


def test_sign_ups_and_invitations_of_one_address_write_few_mails(
    app: Flask, signed_in: Callable[..., Browser], session: Database, few: None
) -> None:
    ada = signed_in("ada")
    ada.send("/account/teams", name="A team")
    for number in range(FEW + 1):
        stranger, from_afar = Browser(app.test_client()), {"X-Forwarded-For": f"198.51.100.{number}"}
        form = {
            "csrf_token": stranger.token(),
            "email": "ada@example.com",
            "password": "a good long password",
        }
        assert stranger.client.post("/signup", data=form, headers=from_afar).status_code == 302
        ada.send("/account/invitations", email="carl@example.com", role="member")
    assert mails_to("ada")["already_registered"] == mails_to("carl")["invitation"] == FEW
