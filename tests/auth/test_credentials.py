"""Whoever changes a credential still has the session that they asked with: a reset meanwhile ends both."""

import json
import re
from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from flask import Flask

from app.auth import forms
from app.extensions import csrf, db
from app.models.identity.api_key import ApiKey
from app.models.identity.passkey import Passkey
from app.models.identity.two_factor import seal
from app.models.identity.user import User
from app.models.operations.outbox import OutgoingMail
from tests.auth.conftest import Browser, PostOffice
from tests.auth.test_passkeys import Device, environment, send
from tests.support import Database
from tests.support.people import PASSWORD

__all__ = ["environment"]

CHOSEN = "chosen by her who reads the mail"
SECRET = pyotp.random_base32()
TABLES = (User, ApiKey, Passkey, OutgoingMail)

OTHERS = {
    "key": ("/settings/keys", {"name": "mine"}),
    "rotated": ("/settings/keys/1/rotate", {}),
    "key of the API": ("/api/keys", {"name": "mine"}),
    "rotated by the API": ("/api/keys/1/rotate", {}),
    "password": ("/settings/password", {"current_password": PASSWORD, "password": "another good password"}),
    "email": ("/settings/email", {"current_password": PASSWORD, "email": "eve@example.com"}),
    "deletion": ("/settings/delete", {"current_password": PASSWORD}),
    "codes": ("/settings/two-factor/codes", {}),
    "no second factor": ("/settings/two-factor/off", {"current_password": PASSWORD}),
    "second factor": ("/settings/two-factor", {}),
    "passkey": ("/settings/passkeys", {"name": "mine"}),
}

FORMS = ("password", "email", "deletion", "second factor")
"""Those that are changed only once a form is checked."""

MOMENTS = [(what, "as the request begins") for what in OTHERS] + [(what, "once its form is checked") for what in FORMS]


def kept() -> list[list[dict[str, Any]]]:
    """All that a person signs in with, or is sent to."""
    rows = ([vars(row) for row in db.session.query(table).order_by(table.id)] for table in TABLES)
    return [[{name: row[name] for name in row if name[0] != "_"} for row in table] for table in rows]


def reset_of(app: Flask, told: list[Any]) -> None:
    """As by the mailed link, in another browser."""
    with app.app_context():
        user = User.with_email("ada@example.com")
        user.set_password(CHOSEN)
        ApiKey.revoke_all_of(user.id)
        Passkey.remove_all_of(user.id)
        db.session.commit()
        told.append(kept())


def fields_of(ada: Browser, what: str, session: Database) -> dict[str, str]:
    """What the form of that change needs besides."""
    if what in {"codes", "no second factor"}:
        session.query(User).update({"totp_secret": seal(SECRET)})
        session.commit()
        return {"code": pyotp.TOTP(SECRET).now()}
    if what == "second factor":
        candidate = re.search(r"\b[A-Z2-7]{32}\b", ada.get("/settings/two-factor").text)[0]
        return {"code": pyotp.TOTP(candidate).now()}
    if what == "passkey":
        options = send(ada, "/settings/passkeys/options", name="mine").json
        return {"credential": json.dumps(Device().made(options))}
    return {}


@pytest.mark.databases("sqlite", "postgresql", short="in turns")
@pytest.mark.parametrize(("what", "moment"), MOMENTS)
def test_nothing_is_changed_by_a_session_that_a_reset_ended(
    app: Flask,
    signed_in: Callable[..., Browser],
    session: Database,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    moment: str,
) -> None:
    ada, told = signed_in("ada"), list[Any]()
    ada.send("/settings/keys", name="first")
    path, fields = OTHERS[what]
    fields = fields | fields_of(ada, what, session)
    begins = moment == "as the request begins"
    where, name = (csrf, "protect") if begins else (forms.Form, "validate_on_submit")
    checked = getattr(where, name)

    def then_reset(*arguments: Any) -> Any:
        answer = checked(*arguments)
        if not told:
            reset_of(app, told)
        return answer

    token = ada.token()
    monkeypatch.setattr(where, name, then_reset)
    sent = {"json": fields} if path.startswith("/api") else {"data": fields}
    ada.client.post(path, headers={"X-CSRFToken": token}, **sent)
    session.rollback()
    session.expire_all()
    assert [kept()] == told


def test_a_wanted_address_is_sent_no_link_once_the_password_is_another(
    signed_in: Callable[..., Browser], post_office: PostOffice, session: Database
) -> None:
    """The mail was written before, and is sent after."""
    ada = signed_in("ada")
    ada.send("/settings/email", current_password=PASSWORD, email="eve@example.com")
    User.with_email("ada@example.com").set_password(CHOSEN)
    session.commit()
    assert post_office.mails_to("eve@example.com") == []


def test_an_address_is_sent_no_link_once_another_is_confirmed(
    guest: Browser, post_office: PostOffice, session: Database
) -> None:
    """Mistyped at sign-up, then wanted, then corrected, before the mails to the first two could be sent."""
    guest.sign_up("stranger")
    guest.send("/settings/email", current_password=PASSWORD, email="eve@example.com")
    user = User.with_email("stranger@example.com")
    user.change_email("ada@example.com")
    user.verify_email()
    session.commit()
    assert [post_office.mails_to(f"{name}@example.com") for name in ("stranger", "eve")] == [[], []]
