"""The second factor: asked for where there is one, required in production, each code good once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
import time_machine
from flask import Flask

from app.models.identity.two_factor import renew_recovery_codes, seal
from app.models.identity.user import User
from app.models.operations.audit_log import AdminChange
from tests.admin.conftest import AdminClient, sign_in
from tests.support import Database

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
PAGE = "/admin/two-factor/"


@pytest.fixture
def armed(owner: AdminClient, session: Database) -> AdminClient:
    """An owner with an authenticator, in a session that has not shown it."""
    User.with_email("person-owner@example.com").totp_secret = seal(SECRET)
    session.commit()
    return owner


def show(client_of: AdminClient, code: str) -> int:
    token = client_of.client.get(PAGE).text.split('name="csrf-token" content="')[1].split('"')[0]
    return client_of.client.post(PAGE, data={"csrf_token": token, "code": code}).status_code


def code_at(moment: datetime) -> str:
    return pyotp.TOTP(SECRET).at(moment)


def test_every_page_waits_for_the_code(armed: AdminClient) -> None:
    for path in ("/admin/", "/admin/plan/", "/admin/plan/edit/?id=1", "/admin/static/admin/css/x.css"):
        answer = armed.client.get(path)
        assert (answer.status_code, answer.location.split("?")[0]) == (302, PAGE), path


def test_a_wrong_code_opens_nothing(armed: AdminClient) -> None:
    for code in ("", "000000", "12345", "abcdef", "١٢٣٤٥٦", "0" * 20):
        assert show(armed, code) == 422, code
        assert armed.client.get("/admin/").status_code == 302, code


def test_a_code_opens_this_session_and_is_good_once(armed: AdminClient, app: Flask, session: Database) -> None:
    recovery = renew_recovery_codes(User.with_email("person-owner@example.com"))[0]
    session.commit()
    with time_machine.travel(NOON, tick=False):
        for code in (code_at(NOON), recovery):
            assert show(armed, code) == 302
            assert armed.client.get("/admin/").status_code == 200
            armed = desk_of_same_person(app)
            assert show(armed, code) == 422


def test_production_demands_one(app: Flask, owner: AdminClient) -> None:
    app.config["APP_ENV"] = "production"
    answer = owner.client.get("/admin/")
    assert (answer.status_code, answer.location.split("?")[0]) == (302, PAGE)


def test_who_has_none_sets_it_up_and_comes_back(owner: AdminClient) -> None:
    answer = owner.client.get(f"{PAGE}?next=/admin/plan/")
    assert answer.location == "/settings/two-factor?next=/admin/plan/"


def test_another_owner_can_take_it_away(
    armed: AdminClient, client_of: Callable[..., AdminClient], session: Database
) -> None:
    me = User.with_email("person-owner@example.com")
    helper = client_of("support")
    User.with_email("person-support@example.com").admin_role = "owner"
    session.commit()
    helper.post("/admin/user/forget-second-factor/", id=me.id)
    session.rollback()
    assert User.with_email("person-owner@example.com").totp_secret is None


def test_under_another_key_codes_are_wrong_and_recovery_codes_work(
    armed: AdminClient, app: Flask, session: Database
) -> None:
    codes = renew_recovery_codes(User.with_email("person-owner@example.com"))
    session.commit()
    session.remove()
    app.config["SECRET_KEY"] = "another key, after a rotation"
    again = desk_of_same_person(app)
    with time_machine.travel(NOON, tick=False):
        assert (show(again, code_at(NOON)), again.client.get("/admin/").status_code) == (422, 302)
        assert show(again, codes[0]) == 302
        assert again.client.get("/admin/").status_code == 200


def test_a_lone_owner_takes_it_away_at_the_command_line(armed: AdminClient, app: Flask, session: Database) -> None:
    command = ["user", "forget-second-factor", "person-owner@example.com", "--reason", "telephone lost"]
    assert app.test_cli_runner().invoke(args=command).exit_code == 0
    session.rollback()
    person = User.with_email("person-owner@example.com")
    change = session.query(AdminChange).one()
    assert (person.totp_secret, change.actor_id, change.reason) == (None, person.id, "telephone lost")
    assert change.changes["by"] == [None, "command line"]
    assert armed.client.get("/admin/").status_code == 200
    assert app.test_cli_runner().invoke(args=command).exit_code == 2


def desk_of_same_person(app: Flask) -> AdminClient:
    client = app.test_client()
    sign_in(client, User.with_email("person-owner@example.com"))
    return AdminClient(client)
