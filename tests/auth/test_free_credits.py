"""Free credits: for a verified address, once for each mailbox, however it is spelt. security.md 24."""

from collections.abc import Callable
from threading import Thread

import pytest

from app.models.billing.allowance_refill import give_free_credits
from app.models.billing.audit import audit
from app.models.billing.ledger import LedgerEntry
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.user import User
from tests.auth.conftest import Browser, PostOffice
from tests.support import Database
from tests.support.people import CREDIT, PASSWORD

ADA = "ada@example.com"

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


@pytest.fixture(autouse=True)
def verified_emails(require_verified_email: Callable[..., None]) -> None:
    require_verified_email()


@pytest.fixture
def welcome(session: Database) -> None:
    """A welcome credit of 20 credits."""
    Setting.put("welcome_credit", 20 * CREDIT)
    session.commit()


def given(session: Database, address: str) -> tuple[int, int]:
    """Allowance and credits of the person's own account, in credits."""
    session.expire_all()
    account = session.get(Account, User.with_email(address).home_id)
    return account.allowance_nanos // CREDIT, account.credits_nanos // CREDIT


def test_the_free_allowance_waits_for_the_address(guest: Browser, post_office: PostOffice, session: Database) -> None:
    guest.sign_up("ada")
    assert "Your credits arrive once you confirm." in guest.get("/chat").text
    assert given(session, ADA) == (0, 0)
    guest.get(post_office.link_to(ADA))
    assert given(session, ADA) == (500, 0)


def test_without_verification_the_allowance_is_there_at_once(
    guest: Browser, session: Database, require_verified_email: Callable[..., None]
) -> None:
    require_verified_email(False)
    guest.sign_up("ada")
    assert given(session, ADA) == (500, 0)


def test_the_welcome_credit_comes_once(
    guest: Browser, post_office: PostOffice, session: Database, welcome: None
) -> None:
    guest.sign_up("ada")
    guest.send("/email/verify")
    mails = post_office.mails_to(ADA)
    for text in mails:
        guest.get(text[text.index("/email/") :].split()[0])
    assert given(session, ADA) == (500, 20)
    [greeting] = [text for text in post_office.mails_to(ADA) if "Your email is confirmed" in text]
    assert "You have 520 credits to start with." in " ".join(greeting.split())


def test_another_spelling_of_the_mailbox_gets_nothing(
    guest: Browser, new_browser: Callable[[], Browser], post_office: PostOffice, session: Database, welcome: None
) -> None:
    guest.sign_up("ada")
    guest.get(post_office.link_to(ADA))
    second = new_browser()
    second.sign_up("Ada+second")
    assert "Your credits arrive" not in second.get("/billing").text
    second.get(post_office.link_to("ada+second@example.com"))
    assert "500 credits" not in second.get("/billing").text
    assert User.with_email("ada+second@example.com").is_verified
    assert given(session, "ada+second@example.com") == (0, 0)


@pytest.mark.databases("sqlite", "postgresql")
def test_two_spellings_that_are_verified_at_once_get_one_allowance(
    guest: Browser, new_browser: Callable[[], Browser], post_office: PostOffice, session: Database, welcome: None
) -> None:
    second = new_browser()
    guest.sign_up("ada")
    second.sign_up("ada+second")
    link, answers = post_office.link_to("ada+second@example.com"), []
    give_free_credits(Account.locked(verified(ADA).home_id))
    other = Thread(target=lambda: answers.append(second.get(link).status_code))
    other.start()
    other.join(0.3)
    assert other.is_alive()
    session.commit()
    other.join(20)

    assert answers == [200]
    assert (given(session, ADA), given(session, "ada+second@example.com")) == ((500, 20), (0, 0))
    assert list(audit()) == []


def verified(address: str) -> User:
    """The person of that address, verified in this transaction."""
    person = User.with_email(address)
    person.verify_email()
    return person


def test_nothing_comes_again_after_deletion(
    guest: Browser, new_browser: Callable[[], Browser], post_office: PostOffice, session: Database, welcome: None
) -> None:
    guest.sign_up("ada")
    guest.get(post_office.link_to(ADA))
    assert guest.send("/settings/delete", current_password=PASSWORD).location == "/"
    again = new_browser()
    again.sign_up("ada")
    again.get(post_office.link_to(ADA))
    assert User.with_email(ADA).is_verified
    assert given(session, ADA) == (0, 0)


def test_a_new_address_brings_no_second_welcome(
    guest: Browser, post_office: PostOffice, session: Database, welcome: None
) -> None:
    guest.sign_up("ada")
    guest.get(post_office.link_to(ADA))
    guest.send("/settings/email", email="ada@new.example.com", current_password=PASSWORD)
    guest.get(post_office.link_to("ada@new.example.com"))
    assert given(session, "ada@new.example.com") == (500, 20)
    assert session.query(LedgerEntry).filter(LedgerEntry.kind.in_(["welcome", "refill"])).count() == 2
    assert list(audit()) == []


def test_a_reset_password_proves_the_mailbox_as_well(
    guest: Browser, new_browser: Callable[[], Browser], post_office: PostOffice, session: Database
) -> None:
    guest.sign_up("ada")
    other = new_browser()
    other.send("/password/forgot", email=ADA)
    other.send(post_office.link_to(ADA), password="a quite new password")
    assert given(session, ADA) == (500, 0)
