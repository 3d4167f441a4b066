"""Two-factor sign-in for everybody: set up in the settings, asked for at the sign-in, each code good once."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
import time_machine

from app.models.identity.api_key import ApiKey
from app.models.identity.two_factor import secret_of
from app.models.identity.user import MailedToken, User
from tests.auth.conftest import Browser
from tests.support import Database
from tests.support.people import PASSWORD

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def ada(signed_in: Callable[..., Browser], clock: time_machine.Traveller) -> Browser:
    return signed_in("ada")


def user(session: Database) -> User:
    session.rollback()
    return User.with_email("ada@example.com")


def code(session: Database, clock: time_machine.Traveller) -> str:
    """A code that was not used yet: of the next half minute."""
    clock.shift(30)
    return pyotp.TOTP(secret_of(user(session))).now()


def set_up(browser: Browser) -> list[str]:
    """Two-factor sign-in is on; returns the recovery codes."""
    secret = browser.get("/settings/two-factor").text.split("Key: <code>")[1].split("<")[0]
    assert browser.send("/settings/two-factor", code="000000").status_code == 422
    page = browser.get(browser.send("/settings/two-factor", code=pyotp.TOTP(secret).now()).location).text
    assert "recovery-codes" not in browser.get("/settings/two-factor").text
    return page.split('recovery-codes">')[1].split("<")[0].split()


def test_a_stolen_session_sets_up_none(ada: Browser, session: Database, clock: time_machine.Traveller) -> None:
    """Later than ten minutes after the sign-in the password is asked for."""
    secret = ada.get("/settings/two-factor").text.split("Key: <code>")[1].split("<")[0]
    clock.shift(601)
    assert ada.send("/settings/two-factor", code=pyotp.TOTP(secret).now()).status_code == 422
    assert user(session).totp_secret is None
    answer = ada.send("/settings/two-factor", code=pyotp.TOTP(secret).now(), current_password=PASSWORD)
    assert answer.status_code == 303


def test_a_reset_does_not_pass_it(
    ada: Browser, new_browser: Callable[[], Browser], session: Database, clock: time_machine.Traveller
) -> None:
    set_up(ada)
    link = MailedToken.issue(user(session), "reset")
    session.commit()
    other = new_browser()
    other.send(f"/password/reset/{link}", password="another good password")
    assert other.sign_in("ada", "another good password").location == "/login/code"
    assert not other.is_signed_in


def test_a_strangers_does_not_keep_out_who_has_the_mailbox(
    guest: Browser, new_browser: Callable[[], Browser], session: Database, clock: time_machine.Traveller
) -> None:
    """Somebody signed up with an email that is not theirs, and never confirmed it."""
    guest.sign_up("ada")
    set_up(guest)
    key = guest.send("/settings/keys", name="to stay", scopes="read")
    link, other = MailedToken.issue(user(session), "reset"), new_browser()
    session.commit()
    other.send(f"/password/reset/{link}", password="another good password", keep_keys="1")
    assert other.sign_in("ada", "another good password").location == "/chat"
    assert (key.status_code, ApiKey.count_of(user(session).id), guest.is_signed_in) == (303, 0, False)


def test_the_code_is_the_second_step(
    ada: Browser, new_browser: Callable[[], Browser], session: Database, clock: time_machine.Traveller
) -> None:
    codes = set_up(ada)
    assert (len(codes), len(user(session).recovery_hashes)) == (10, 10)

    other = new_browser()
    answer = other.send("/login", email="ada@example.com", password=PASSWORD, next="/billing")
    assert (answer.location, other.is_signed_in) == ("/login/code?next=/billing", False)
    assert other.send("/login/code", code="000000").status_code == 422
    now = code(session, clock)
    assert other.send("/login/code", code=now, next="/billing").location == "/billing"
    assert other.is_signed_in

    third = new_browser()
    third.sign_in("ada")
    assert third.send("/login/code", code=now).status_code == 422
    assert third.send("/login/code", code=codes[0]).status_code == 302
    assert third.is_signed_in

    fourth = new_browser()
    fourth.sign_in("ada")
    assert [fourth.send("/login/code", code=one).status_code for one in codes[:2]] == [422, 302]


OTHER_DIGITS = ("\u0661\u0662\u0663\u0664\u0665\u0666", "\uff11" * 6, "12345\u00b2", "\U0001f4b8" * 6)


def test_digits_of_other_scripts_are_no_code_wherever_one_is_typed(
    ada: Browser, new_browser: Callable[[], Browser], clock: time_machine.Traveller
) -> None:
    for wrong in OTHER_DIGITS:
        assert ada.send("/settings/two-factor", code=wrong).status_code == 422
    set_up(ada)
    other = new_browser()
    other.sign_in("ada")
    for wrong in OTHER_DIGITS:
        for path in ("/settings/two-factor/codes", "/settings/two-factor/off"):
            assert ada.send(path, code=wrong, current_password=PASSWORD).status_code == 422
        assert other.send("/login/code", code=wrong).status_code == 422


def test_nobody_skips_the_password(
    ada: Browser, guest: Browser, session: Database, clock: time_machine.Traveller
) -> None:
    set_up(ada)
    assert guest.send("/login/code", code=code(session, clock)).location == "/login"
    guest.sign_in("ada")
    clock.shift(601)
    assert guest.send("/login/code", code=code(session, clock)).location == "/login"
    guest.sign_in("ada")
    user(session).set_password("another long password")
    session.commit()
    assert guest.send("/login/code", code=code(session, clock)).location == "/login"
    assert not guest.is_signed_in


def test_it_is_turned_off_by_password_and_code(ada: Browser, session: Database, clock: time_machine.Traveller) -> None:
    set_up(ada)
    now = code(session, clock)
    for wrong in (
        {"code": now, "current_password": "not it"},
        {"code": "000000", "current_password": PASSWORD},
    ):
        assert ada.send("/settings/two-factor/off", **wrong).status_code == 422
        assert user(session).totp_secret
    assert ada.send("/settings/two-factor/codes", code=now).status_code == 303
    assert ada.send("/settings/two-factor/off", code=now, current_password=PASSWORD).status_code == 422
    now = code(session, clock)
    assert ada.send("/settings/two-factor/off", code=now, current_password=PASSWORD).status_code == 302
    assert user(session).totp_secret is None
    assert user(session).recovery_hashes == []


def test_an_admins_set_up_is_in_the_audit_log_and_opens_the_admin(ada: Browser, session: Database) -> None:
    user(session).admin_role = "owner"
    session.commit()
    set_up(ada)
    assert "set up second factor" in ada.get("/admin/change/").text
