"""Links by mail: a forgotten password, the proof of an address. security.md 16 and 17."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine

from app.models.base import utcnow
from app.models.identity.user import MailedToken, User
from app.models.operations.outbox import OutgoingMail
from tests.auth.conftest import Browser, PostOffice
from tests.support import Database
from tests.support.people import PASSWORD

NEW = "a quite new password"
ADA = "ada@example.com"


@pytest.fixture
def reset_link(guest: Browser, signed_in: Callable, post_office: PostOffice) -> str:
    """The path of the link that ada was mailed."""
    signed_in("ada")
    guest.send("/password/forgot", email=ADA)
    return post_office.link_to(ADA)


def test_a_link_works_once_and_ends_what_the_old_password_began(
    guest: Browser, signed_in: Callable, new_browser: Callable, post_office: PostOffice, session: Database
) -> None:
    """To look at it, or to send what is refused, does not use it up; once it is over it is forgotten with the next."""
    ada = signed_in("ada")
    guest.send("/password/forgot", email=ADA)
    link = post_office.link_to(ADA)
    is_not_at_rest(link.rsplit("/", 1)[1], session)
    assert guest.get(link).status_code == guest.get(link).status_code == 200
    assert guest.send(link, password="short").status_code == 400
    assert guest.send(link, password=NEW).location == "/login"
    assert (ada.is_signed_in, new_browser().sign_in("ada").status_code) == (False, 400)
    assert new_browser().send(link, password="yet another password").status_code == 404
    assert new_browser().sign_in("ada", NEW).status_code == 302
    guest.send("/password/forgot", email=ADA)
    post_office.link_to(ADA)
    assert session.query(MailedToken.used_at).all() == [(None,)]


def is_not_at_rest(secret: str, session: Database) -> None:
    token, mail = session.query(MailedToken).one(), session.query(OutgoingMail).one()
    assert len(secret) * 6 >= 128
    assert secret not in f"{token.secret_hash} {mail.context} {mail.key}"
    session.commit()


def test_the_link_dies_after_an_hour(guest: Browser, reset_link: str) -> None:
    with time_machine.travel(utcnow() + timedelta(minutes=61)):
        assert guest.send(reset_link, password=NEW).status_code == 404
    assert guest.sign_in("ada").status_code == 302


def test_a_change_of_password_kills_the_link(guest: Browser, reset_link: str, new_browser: Callable) -> None:
    ada = new_browser()
    ada.sign_in("ada")
    ada.send("/settings/password", current_password=PASSWORD, password=NEW)
    assert guest.get(reset_link).status_code == 404


def test_a_change_of_address_kills_the_link(guest: Browser, reset_link: str, session: Database) -> None:
    User.with_email(ADA).change_email("ada@new.example.com")
    session.commit()
    assert guest.get(reset_link).status_code == 404


def test_a_link_is_good_for_its_own_purpose_only(guest: Browser, reset_link: str) -> None:
    secret = reset_link.rsplit("/", 1)[1]
    assert guest.get(f"/email/verify/{secret}").status_code == 404


def test_an_unknown_address_gets_the_same_answer_and_no_mail(
    guest: Browser, signed_in: Callable, post_office: PostOffice
) -> None:
    signed_in("ada")
    known = guest.send("/password/forgot", email=ADA)
    unknown = guest.send("/password/forgot", email="eve@example.com")
    assert (known.status_code, known.location) == (unknown.status_code, unknown.location)
    assert "an account for that email" in guest.get(known.location).text
    assert (len(post_office.mails_to(ADA)), post_office.mails_to("eve@example.com")) == (1, [])


def test_the_link_leads_to_base_url_whatever_the_request_says(
    guest: Browser, signed_in: Callable, post_office: PostOffice
) -> None:
    signed_in("ada")
    form = {"csrf_token": guest.token(), "email": ADA}
    headers = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    guest.client.post("/password/forgot", data=form, headers=headers, base_url="http://localhost")
    guest.client.post("/password/forgot", data=form, base_url="http://evil.example")
    mails = post_office.mails_to(ADA)
    assert mails
    assert all("http://127.0.0.1/password/reset/" in text and "evil" not in text for text in mails)


def test_who_is_disabled_gets_no_link(
    guest: Browser, signed_in: Callable, session: Database, post_office: PostOffice
) -> None:
    signed_in("ada")
    User.with_email(ADA).disable()
    session.commit()
    guest.send("/password/forgot", email=ADA)
    assert post_office.mails_to(ADA) == []


@pytest.fixture
def new_ada(guest: Browser) -> Browser:
    """ada's browser after signing up."""
    guest.sign_up("ada")
    return guest


def is_verified(session: Database, address: str = ADA) -> bool:
    session.expire_all()
    return User.with_email(address).is_verified


def test_anybody_else_who_follows_the_link_has_to_confirm(
    new_ada: Browser, new_browser: Callable, post_office: PostOffice, session: Database
) -> None:
    """A scanner of mails opens links; it does not press buttons."""
    link, scanner = post_office.link_to(ADA), new_browser()
    assert (scanner.get(link).status_code, is_verified(session)) == (200, False)
    assert (scanner.send(link).status_code, is_verified(session)) == (200, True)


def test_signing_up_mails_a_link_that_proves_the_address_once(
    new_ada: Browser, post_office: PostOffice, session: Database
) -> None:
    assert not is_verified(session)
    new_ada.send("/email/verify")
    assert len(post_office.mails_to(ADA)) == 2, "it can be sent again"
    link = post_office.link_to(ADA)
    assert (new_ada.get(link).status_code, is_verified(session)) == (200, True)
    assert new_ada.get(link).status_code == 404


def test_a_made_up_link_is_not_found(guest: Browser) -> None:
    for path in ("/email/verify/made-up", "/password/reset/made-up", "/invitations/made-up"):
        assert guest.get(path).status_code == 404, path
