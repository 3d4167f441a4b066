"""The second factor: asked for where there is one, required in production, each code good once."""

from collections.abc import Callable
from datetime import UTC, datetime

import pyotp
import pytest
import time_machine
from flask import Flask
from sqlalchemy.orm import Session, scoped_session

from app.models.second_factor import RecoveryCode
from app.models.user import User
from tests.admin.conftest import Desk, FormReader, sign_in

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PAGE = "/admin/two-factor/"


@pytest.fixture
def armed(owner: Desk, session: scoped_session[Session]) -> Desk:
    """An owner with an authenticator, in a session that has not shown it."""
    User.with_email("person-owner@example.com").totp_secret = SECRET
    session.commit()
    return owner


def show(desk: Desk, code: str) -> int:
    token = desk.client.get(PAGE).text.split('name="csrf-token" content="')[1].split('"')[0]
    return desk.client.post(PAGE, data={"csrf_token": token, "code": code}).status_code


def code_at(moment: datetime) -> str:
    return pyotp.TOTP(SECRET).at(moment)


def test_every_page_waits_for_the_code(armed: Desk) -> None:
    for path in ("/admin/", "/admin/plan/", "/admin/plan/edit/?id=1", "/admin/static/admin/css/x.css"):
        answer = armed.client.get(path)
        assert (answer.status_code, answer.location.split("?")[0]) == (302, PAGE), path


def test_the_right_code_opens_this_session(armed: Desk) -> None:
    with time_machine.travel(NOON, tick=False):
        assert show(armed, code_at(NOON)) == 302
        assert armed.client.get("/admin/").status_code == 200


@pytest.mark.parametrize("code", ["", "000000", "12345", "abcdef", "١٢٣٤٥٦", "0" * 20])
def test_a_wrong_code_opens_nothing(armed: Desk, code: str) -> None:
    assert show(armed, code) == 422
    assert armed.client.get("/admin/").status_code == 302


def test_a_code_is_good_once(armed: Desk, app: Flask, desk: Callable[..., Desk]) -> None:
    with time_machine.travel(NOON, tick=False):
        assert show(armed, code_at(NOON)) == 302
        again = desk_of_same_person(app)
        assert show(again, code_at(NOON)) == 422


def test_a_recovery_code_is_good_once(armed: Desk, app: Flask, session: scoped_session[Session]) -> None:
    code = RecoveryCode.renew(User.with_email("person-owner@example.com"))[0]
    session.commit()
    assert show(armed, code) == 302
    assert show(desk_of_same_person(app), code) == 422


def test_production_demands_one(app: Flask, owner: Desk) -> None:
    app.config["APP_ENV"] = "production"
    answer = owner.client.get("/admin/")
    assert (answer.status_code, answer.location.split("?")[0]) == (302, PAGE)


def test_setting_it_up_gives_recovery_codes_and_opens_the_session(
    owner: Desk, session: scoped_session[Session]
) -> None:
    with time_machine.travel(NOON, tick=False):
        page = owner.client.get(PAGE).text
        secret = page.split("<code>")[1].split("</code>")[0]
        fields = next(fields for _action, fields in FormReader(page).forms if "code" in fields)
        done = owner.client.post(PAGE, data=fields | {"code": pyotp.TOTP(secret).at(NOON)})
        session.rollback()
        assert User.with_email("person-owner@example.com").totp_secret == secret
        assert session.query(RecoveryCode).count() == 10
        assert "<pre>" in done.text
        assert owner.client.get("/admin/").status_code == 200


def test_a_wrong_first_code_binds_nothing(owner: Desk, session: scoped_session[Session]) -> None:
    assert show(owner, "000000") == 422
    session.rollback()
    assert User.with_email("person-owner@example.com").totp_secret is None


def test_another_owner_can_take_it_away(
    armed: Desk, desk: Callable[..., Desk], session: scoped_session[Session]
) -> None:
    me = User.with_email("person-owner@example.com")
    helper = desk("support")
    User.with_email("person-support@example.com").admin_role = "owner"
    session.commit()
    helper.post("/admin/user/forget-second-factor/", id=me.id)
    session.rollback()
    assert User.with_email("person-owner@example.com").totp_secret is None


def desk_of_same_person(app: Flask) -> Desk:
    client = app.test_client()
    sign_in(client, User.with_email("person-owner@example.com"))
    return Desk(client)
