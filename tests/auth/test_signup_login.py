"""Sign-up, sign-in, sign-out: who gets in, what they are told, and what a cookie is worth afterwards."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.user import User, UserSession
from tests.auth.conftest import Browser, PostOffice
from tests.support import Database, people
from tests.support.people import PASSWORD

ELSEWHERE = (
    "//evil.example", "/\\evil.example", "https://evil.example", "/%2Fevil.example", "/%5cevil.example",
    "/%252fevil.example", "javascript:alert(1)", "\\\\evil.example", "/\t/evil.example", "evil.example", "",
)  # fmt: skip


def test_signing_up_leads_to_the_chat_signed_in(guest: Browser) -> None:
    answer = guest.sign_up("ada")
    assert (answer.status_code, answer.location, guest.is_signed_in) == (302, "/chat", True)


def test_signing_up_opens_a_personal_account_that_the_person_owns(guest: Browser, session: Database) -> None:
    guest.sign_up("ada")
    account = session.query(Account).filter_by(kind="personal", name="Ada").one()
    assert [(membership.user.email, membership.role) for membership in account.memberships] == [
        ("ada@example.com", "owner")
    ]


def test_who_has_chosen_nothing_is_told_that_no_card_is_needed(guest: Browser) -> None:
    assert "No card needed." in guest.get("/signup").text
    chosen = guest.get("/signup?next=/billing/start%3Fplan_id%3D4").text
    assert "No card needed." not in chosen
    assert "take you straight to what you chose" in chosen


@pytest.mark.parametrize("path", ["/login", "/signup"])
def test_after_signing_in_the_wanted_page_comes(guest: Browser, signed_in: Callable, path: str) -> None:
    signed_in("ada")
    name = "ada" if path == "/login" else "bob"
    answer = guest.send(path, email=f"{name}@example.com", password=PASSWORD, next="/billing/usage?from=2026-01-01")
    assert answer.location == "/billing/usage?from=2026-01-01"


def test_nobody_is_sent_to_another_site(new_browser: Callable[[], Browser], signed_in: Callable) -> None:
    signed_in("ada")
    for target in ELSEWHERE:
        answer = new_browser().send("/login", email="ada@example.com", password=PASSWORD, next=target)
        assert (answer.status_code, answer.location) == (302, "/chat"), target


def test_a_page_that_needs_a_caller_leads_to_signing_in_and_back(guest: Browser) -> None:
    answer = guest.get("/account", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.location) == (302, "/login?next=/account")


def test_an_address_is_one_however_it_is_written(guest: Browser, signed_in: Callable) -> None:
    signed_in("ada")
    answer = guest.send("/login", email=" ADA@Example.COM ", password=PASSWORD)
    assert answer.status_code == 302


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(guest: Browser, signed_in: Callable) -> None:
    signed_in("ada")
    wrong = guest.send("/login", email="ada@example.com", password="not her password")
    unknown = guest.send("/login", email="eve@example.com", password="not her password")
    assert wrong.status_code == unknown.status_code == 400
    assert stripped(wrong.text) == stripped(unknown.text).replace("eve@", "ada@")


def stripped(page: str) -> str:
    """A page without what differs each time."""
    return "\n".join(line for line in page.splitlines() if "csrf" not in line and "nonce" not in line)


def test_signing_up_with_a_known_address_is_answered_alike_and_tells_its_owner(
    guest: Browser, new_browser: Callable[[], Browser], signed_in: Callable, post_office: PostOffice
) -> None:
    ada = signed_in("ada")
    known, new = guest.sign_up("ada", password="another good password"), new_browser().sign_up("bob")
    assert (known.status_code, known.location, known.text) == (new.status_code, new.location, new.text)
    assert set(known.headers.keys()) == set(new.headers.keys())
    assert not guest.is_signed_in
    assert ada.is_signed_in
    assert "already has an account" in post_office.mails_to("ada@example.com")[-1]


EASY = ("short", "123456789a", "qwertyuiop", "Password123", "x" * 129, "abababababab", "eve@example.com")


def test_an_easy_password_is_refused(guest: Browser, session: Database) -> None:
    for password in EASY:
        answer = guest.sign_up("eve", password=password)
        session.rollback()
        assert (answer.status_code, User.with_email("eve@example.com")) == (400, None), password


FINE = ("ten-chars-", "y" * 60 + "0123456789 abcdefghij" * 3 + "12345", "пароль-из-слов", "a b c d e f\x00g")


def test_any_other_password_works(new_browser: Callable[[], Browser]) -> None:
    for number, password in enumerate(FINE):
        new_browser().sign_up(f"ada{number}", password=password)
        assert new_browser().sign_in(f"ada{number}", password).status_code == 302, password


NO_ADDRESS = ("", "ada", "ada@", "@example.com", "ada@example", "a b@example.com", "ada@exa\nmple.com")


def test_what_is_no_address_is_refused(guest: Browser, session: Database) -> None:
    for address in NO_ADDRESS:
        answer = guest.send("/signup", email=address, password=PASSWORD)
        session.rollback()
        assert (answer.status_code, session.query(User).count()) == (400, 1), address


def test_nobody_makes_themselves_more_than_a_person(guest: Browser, session: Database) -> None:
    guest.sign_up("eve", is_admin="1", admin_role="owner", credits_nanos="1000000000", account_id="1", role="owner",
                  plan_id="5", email_verified="1", email_verified_at="2026-01-01", id="1")  # fmt: skip
    eve = User.with_email("eve@example.com")
    account = session.get(Account, eve.home_id)
    assert (eve.admin_role, eve.email_verified_at, eve.id == 1) == (None, None, False)
    assert (account.credits_nanos, account.plan.name) == (0, "Free")


def test_a_cookie_that_was_copied_is_dead_after_signing_out(signed_in: Callable, new_browser: Callable) -> None:
    ada, thief = signed_in("ada"), new_browser()
    thief.client.set_cookie("session", ada.client.get_cookie("session").value, domain="localhost")
    assert thief.is_signed_in
    assert ada.send("/logout").status_code == 302
    assert (ada.is_signed_in, thief.is_signed_in) == (False, False)


def test_signing_out_is_a_post(signed_in: Callable) -> None:
    ada = signed_in("ada")
    assert ada.get("/logout").status_code == 405
    assert ada.is_signed_in


def test_signing_in_begins_a_new_session(signed_in: Callable, session: Database) -> None:
    """A cookie that somebody planted, or the session before, is not carried on."""
    ada = signed_in("ada")
    before, token = session.query(UserSession).one().secret_hash, ada.token()
    ada.sign_in("ada")
    session.expire_all()
    assert session.query(UserSession).one().secret_hash != before
    assert ada.token() != token


def test_a_form_token_from_before_signing_in_is_worth_nothing(guest: Browser, signed_in: Callable) -> None:
    signed_in("ada")
    planted = guest.token()
    guest.sign_in("ada")
    assert guest.client.post("/logout", data={"csrf_token": planted}).status_code == 400


def test_who_is_disabled_is_out_at_once(signed_in: Callable, new_browser: Callable, session: Database) -> None:
    ada = signed_in("ada")
    User.with_email("ada@example.com").disabled_at = session.query(User).first().created_at
    session.commit()
    assert (ada.is_signed_in, new_browser().sign_in("ada").status_code) == (False, 400)


def test_where_sign_up_is_closed_nobody_gets_in(guest: Browser, session: Database) -> None:
    Setting.put("registration", "closed")
    session.commit()
    answer = guest.sign_up("eve")
    assert (answer.status_code, User.with_email("eve@example.com")) == (403, None)


def test_where_an_invitation_is_needed_nobody_gets_in_without(guest: Browser, session: Database) -> None:
    Setting.put("registration", "invite")
    session.commit()
    answer = guest.sign_up("eve", next="/invitations/made-up")
    assert (answer.status_code, User.with_email("eve@example.com")) == (403, None)


def test_sign_ups_of_a_day_are_bounded(new_browser: Callable[[], Browser], session: Database) -> None:
    Setting.put("signups_per_day", session.query(User).count() + 2)
    session.commit()
    answers = [new_browser().sign_up(name) for name in ("ada", "bob", "eve")]
    assert [answer.status_code for answer in answers] == [302, 302, 429]
    assert int(answers[2].headers["Retry-After"]) <= 24 * 60 * 60


def test_a_sign_in_from_a_new_browser_is_told_by_mail(
    new_browser: Callable[[], Browser], post_office: PostOffice, session: Database
) -> None:
    people.person("ada")
    session.commit()
    ada = new_browser()
    ada.sign_in("ada")
    User.with_email("ada@example.com").created_at -= timedelta(days=1)
    session.commit()
    ada.send("/logout")
    ada.sign_in("ada")
    assert post_office.mails_to("ada@example.com") == []

    stranger = new_browser()
    stranger.client.set_cookie("known", "0" * 32)
    for _time in range(2):
        stranger.sign_in("ada")
        stranger.send("/logout")
    [mail] = post_office.mails_to("ada@example.com")
    assert "with a browser we haven't seen before" in mail
