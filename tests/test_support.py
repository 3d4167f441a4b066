"""The support: a question is kept, mailed where there is an address, and listed by priority."""

from collections.abc import Callable

import pytest
from flask import Flask

from app import mailer
from app.models.base import utcnow
from app.models.catalog.setting import Setting
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.models.operations.outbox import OutgoingMail
from app.models.operations.support_request import SupportRequest
from tests.admin.conftest import AdminClient, client_of, owner
from tests.admin.test_dashboard import call as dashboard_call
from tests.auth.conftest import Browser
from tests.support import Database, people
from tests.support.mailbox import Mailbox, body_of

__all__ = ["client_of", "owner"]
ADDRESS = "help@example.com"


@pytest.fixture
def ada(client_of: Callable[..., AdminClient]) -> AdminClient:
    """A customer in the browser."""
    return client_of(None)


def requests_of(session: Database) -> list[SupportRequest]:
    return session.query(SupportRequest).order_by(SupportRequest.id).all()


def test_a_question_is_kept_and_mailed_with_the_way_to_answer(
    ada: AdminClient, session: Database, mailbox: Mailbox
) -> None:
    Setting.put("support_email", ADDRESS)
    session.commit()
    answer = ada.post("/support", message="My balance looks wrong.", call_id="")

    [request], [mail] = requests_of(session), session.query(OutgoingMail).filter_by(to=ADDRESS).all()
    mailer.deliver(mail.id)
    [sent] = [one for one in mailbox.mails if one["To"] == ADDRESS]
    assert (answer.status_code, request.message, request.is_priority) == (
        303,
        "My balance looks wrong.",
        False,
    )
    assert (sent["Reply-To"], sent["Subject"].startswith("Support request")) == (
        "person-nobody@example.com",
        True,
    )
    assert "My balance looks wrong." in body_of(sent)


def test_priority_is_in_the_subject_for_a_plan_that_has_it(ada: AdminClient, session: Database) -> None:
    Setting.put("support_email", ADDRESS)
    account = session.query(User).filter_by(email="person-nobody@example.com").one().memberships[0].account
    account.plan.has_priority_support = True
    session.commit()
    ada.post("/support", message="Please look.")

    [mail] = session.query(OutgoingMail).filter_by(to=ADDRESS).all()
    assert requests_of(session)[0].is_priority
    assert mail.context["is_priority"] is True


def test_without_an_address_the_question_is_listed_alone(ada: AdminClient, session: Database) -> None:
    ada.post("/support", message="Hello?")
    assert len(requests_of(session)) == 1
    assert session.query(OutgoingMail).filter_by(template="support_request").count() == 0


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ({"message": " "}, "must have 1 to 5,000 characters."),
        ({"message": "x" * 5001}, "must have 1 to 5,000 characters."),
        ({"message": "Mine?", "call_id": "99999"}, "is not one of your calls."),
    ],
)
def test_what_cannot_be_sent_is_said_at_its_field_and_kept(
    ada: AdminClient, session: Database, typed: dict[str, str], reason: str
) -> None:
    answer = ada.post("/support", **typed)
    assert (answer.status_code, reason in answer.text) == (400, True)
    assert typed["message"].strip() in answer.text
    assert requests_of(session) == []


def test_what_has_priority_is_listed_first_and_leaves_when_it_is_answered(
    app: Flask, ada: AdminClient, owner: AdminClient, client_of: Callable[..., AdminClient], session: Database
) -> None:
    ada.post("/support", message="First, without priority.")
    ada.post("/support", message="Second, with it.")
    _first, second = requests_of(session)
    second.is_priority = True
    session.commit()

    page = owner.get("/admin/support/").text
    assert page.index("Second, with it.") < page.index("First, without priority.")
    owner.post("/admin/support/answered/", id=second.id)
    page = owner.get("/admin/support/").text
    assert page.index("First, without priority.") < page.index("Second, with it.")


def test_a_member_asks_about_no_call_of_another(ada: AdminClient, app: Flask, session: Database) -> None:
    account = session.query(User).filter_by(email="person-nobody@example.com").one().memberships[0].account
    call = dashboard_call(account, utcnow(), 1)
    bob = people.person("bob").owner
    session.add(Membership(account_id=account.id, user_id=bob.id, role="member"))
    session.commit()
    browser = Browser(app.test_client())
    browser.sign_in("bob")
    browser.send("/account/switch", account_id=account.id)
    pages = [one.get(f"/support?call={call.id}").text for one in (ada, browser)]
    assert [f"<dd>{call.id}, " in page for page in pages] == [True, False]
    assert browser.send("/support", message="Whose?", call_id=call.id).status_code == 400
