"""Weekly summaries: off until chosen, one mail each whatever runs twice, ended by one click."""

import time
from datetime import UTC, date, datetime, timedelta
from threading import Thread

import pytest
from flask import Flask
from sqlalchemy import select

from app.admin.dashboard_figures import Range, books_of
from app.extensions import db
from app.mail_message import compose
from app.mailer import completed
from app.models.billing.payment import Payment
from app.models.billing.refund import Dispute, Refund
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import Plan
from app.models.chat.chat import Chat
from app.models.identity.account import Account
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.models.metering.usage_rollup import AccountDay, Watermark
from app.models.operations.outbox import OutgoingMail
from app.payments import digests
from tests.support import Database
from tests.support.crowding import patient
from tests.support.people import CREDIT, person

MONDAY = datetime(2026, 9, 7, 7, tzinfo=UTC)
WEEKS = 4
MANY = 50


def used(account: Account, day: date, credits: int, chat: int = 0, user_id: int = 0) -> None:
    db.session.merge(
        AccountDay(
            day=day, account_id=account.id, user_id=user_id or account.owner.id, model="m",
            operation="chat", chat_id=chat,
            calls=1, input_tokens=1, output_tokens=1, cost_nanos=credits * CREDIT, paid_nanos=credits * CREDIT,
            absorbed_nanos=0,
        )
    )  # fmt: skip


@pytest.fixture
def ada(session: Database) -> Account:
    account = person("ada", credits=100 * CREDIT)
    account.memberships[0].wants_digest = True
    Watermark.held()
    Watermark.move(datetime(2100, 1, 1, tzinfo=UTC))
    db.session.commit()
    return account


def sent(template: str = "digest") -> list[OutgoingMail]:
    db.session.expire_all()
    return list(db.session.scalars(select(OutgoingMail).filter_by(template=template).order_by(OutgoingMail.id)))


@pytest.mark.databases("sqlite", "postgresql")
def test_four_weeks_with_two_clocks_are_one_mail_each(app: Flask, ada: Account) -> None:
    eve = person("eve")
    for week in range(WEEKS):
        used(ada, MONDAY.date() + timedelta(weeks=week, days=-2), 10 + week)
        used(eve, MONDAY.date() + timedelta(weeks=week, days=-2), 10)
    db.session.commit()

    def tick(now: datetime) -> None:
        with app.app_context():
            digests.write(now)

    for hour in range(0, WEEKS * 7 * 24, 12):
        now = MONDAY + timedelta(hours=hour)
        if now.weekday() in {0, 3}:
            clocks = [Thread(target=tick, args=(now,)) for _ in range(2)]
            for clock in clocks:
                clock.start()
            for clock in clocks:
                clock.join()
    assert [mail.context["spent"] for mail in sent()] == [f"{10 + week} credits" for week in range(WEEKS)]
    assert {mail.to for mail in sent()} == {"ada@example.com"}
    assert len(sent("founder_digest")) == WEEKS * len(db.session.query(User).filter_by(admin_role="owner").all())


def test_it_says_what_was_used_and_how_long_the_rest_lasts(ada: Account) -> None:
    used(ada, MONDAY.date() - timedelta(days=1), 14)
    used(ada, MONDAY.date() - timedelta(days=7), 6)
    used(ada, MONDAY.date() - timedelta(days=8), 5)
    db.session.commit()
    assert digests.write(MONDAY.replace(hour=5)) == 0
    digests.write(MONDAY)
    [mail] = sent()
    texts = [mail.context[name] for name in ("spent", "before", "models", "members", "left", "days")]
    assert texts == ["20 credits", "5 credits", "m: 20 credits", "", "100 credits", 35]


def test_each_reader_is_told_of_their_own_dearest_chat_alone(ada: Account) -> None:
    """Members' chats are private, their titles too."""
    bob = person("bob")
    db.session.add(Membership(account_id=ada.id, user_id=bob.owner.id, role="admin", wants_digest=True))
    for title, owner, credits in (("Asking for a raise", bob, 9), ("Ferries", ada, 3)):
        chat = Chat(account_id=ada.id, user_id=owner.owner.id, title=title, model="m")
        db.session.add(chat)
        db.session.flush()
        used(ada, MONDAY.date() - timedelta(days=1), credits, chat.id, owner.owner.id)
    db.session.commit()
    digests.write(MONDAY)
    told = {mail.to: (mail.context["chat"], mail.context["chat_cost"]) for mail in sent()}
    assert told == {"ada@example.com": ("Ferries", "3 credits"), "bob@example.com": ("Asking for a raise", "9 credits")}


def test_the_founders_figures_are_those_of_the_overview(ada: Account) -> None:
    """Refunds, lost disputes and tax come off; a subscription that nobody wanted is not one that ended."""
    at, plan = MONDAY - timedelta(days=2), db.session.query(Plan).filter_by(name="Plus").one()
    sold = {"kind": "pack", "account_id": ada.id, "state": "paid", "currency": "usd", "paid_at": at}
    paid = [Payment(price_cents=cents, **sold) for cents in (2000, 500, 700)]
    paid.append(Payment(price_cents=1200, total_cents=1200, tax_cents=200, **sold))
    db.session.add_all(paid)
    db.session.flush()
    for number, status in enumerate(("lost", "needs_response", "won"), 1):
        at_stripe = {"payment_id": paid[0 if status == "won" else 2].id, "stripe_id": f"dp_{number}", "created_at": at}
        db.session.add(Dispute(account_id=ada.id, status=status, **at_stripe))
    for status, cents in (("succeeded", 300), ("failed", 500)):
        refund = Refund.want(paid[0], cents, reason="")
        refund.status, refund.refunded_at = status, at
    for rejected in (None, at):
        ended = Subscription(account_id=ada.id, plan=plan, status="canceled", price_cents=2000, currency="usd")
        ended.ended_at, ended.rejected_at = at, rejected
        db.session.add(ended)
    db.session.commit()
    texts = digests.business_texts(MONDAY.date())
    assert (texts["revenue"], texts["lost"]) == ({"usd": 3200}, 1)
    books = books_of(Range(MONDAY.date() - timedelta(days=7), MONDAY.date() - timedelta(days=1)))
    assert (books.sum("revenue_cents"), books.sum("lost")) == (3200, 1)


def test_nothing_used_or_chosen_is_no_mail(ada: Account) -> None:
    digests.write(MONDAY)
    used(ada, MONDAY.date() - timedelta(days=1), 14)
    ada.memberships[0].role = "member"
    db.session.commit()
    digests.write(MONDAY)
    assert sent() == []


def test_one_click_by_the_mail_program_ends_it(app: Flask, ada: Account) -> None:
    used(ada, MONDAY.date() - timedelta(days=1), 14)
    db.session.commit()
    digests.write(MONDAY)
    [mail] = sent()
    message = compose(mail.to, mail.template, completed(mail))
    leave = message.extra_headers["List-Unsubscribe"].strip("<>")
    assert message.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    path, client = leave.removeprefix("http://127.0.0.1"), app.test_client()
    assert client.get(path).status_code == 200
    db.session.expire_all()
    assert db.session.get_one(Membership, ada.memberships[0].id).wants_digest
    assert client.post(f"{path}x").status_code == 404
    assert client.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    db.session.expire_all()
    assert not ada.memberships[0].wants_digest
    assert completed(mail) is None


def test_many_accounts_take_little_time(ada: Account) -> None:
    """A part of ten thousand accounts, within the same part of a minute of this process's time."""
    for number in range(MANY):
        account = person(f"p{number}", credits=CREDIT)
        account.memberships[0].wants_digest = True
        used(account, MONDAY.date() - timedelta(days=1), 14)
    db.session.commit()
    begun = time.process_time()
    assert digests.write(MONDAY) == MANY + 1
    assert time.process_time() - begun < patient(60 * MANY / 10_000)
    assert len(sent()) == MANY
