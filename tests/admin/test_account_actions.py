"""What an admin does for an account, a payment, an event, a job: done once, recorded, explained where it cannot be."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app.jobs import connect, enqueue, last_runs
from app.models.base import utcnow
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.payment import Payment
from app.models.billing.refund import Refund
from app.models.catalog.plan import CreditPack, Plan
from app.models.identity.account import Account
from app.models.operations.audit_log import AdminChange
from app.models.operations.outbox import OutgoingMail
from app.models.operations.webhook_event import StripeEvent
from tests.admin.conftest import AdminClient
from tests.support import Database, people
from tests.support.people import CREDIT
from tests.support.queue import work_off


def again(session: Database, account: Account) -> Account:
    session.rollback()
    return session.get(Account, account.id)


def paid(session: Database, account: Account) -> Payment:
    payment = Payment(kind="pack", state="paid", account_id=account.id, price_cents=1000, currency="usd")
    payment.total_cents, payment.worth_nanos, payment.paid_at = 1000, 5000 * CREDIT, utcnow()
    payment.stripe_payment_intent_id = "pi_1"
    session.add(payment)
    session.commit()
    return payment


def acts(session: Database) -> list[str]:
    session.rollback()
    return list(session.scalars(select(AdminChange.action).order_by(AdminChange.id)))


def test_an_account_is_frozen_and_unfrozen(owner: AdminClient, ada: Account, session: Database) -> None:
    owner.post("/admin/account/freeze/", id=ada.id, reason="abuse", switch="on")
    assert again(session, ada).frozen_by == "admin"
    owner.post("/admin/account/freeze/", id=ada.id, switch="off")
    assert again(session, ada).frozen_at is None
    assert acts(session) == ["freeze", "unfreeze"]


def test_an_account_is_comped(owner: AdminClient, ada: Account, session: Database) -> None:
    plus = session.scalars(select(Plan).where(Plan.name == "Plus")).one()
    owner.post("/admin/account/plan/", id=ada.id, plan=plus.id, reason="a friend of the house")
    assert again(session, ada).plan.name == "Plus"
    assert session.scalars(select(AdminChange)).one().reason == "a friend of the house"


def test_nobody_is_put_on_a_plan_that_was_made_inactive_meanwhile(
    owner: AdminClient, ada: Account, session: Database
) -> None:
    plus = session.scalars(select(Plan).where(Plan.name == "Plus")).one()
    plus.status = "inactive"
    session.commit()
    owner.post("/admin/account/plan/", id=ada.id, plan=plus.id)
    assert "Not done: Plus is inactive" in owner.get(f"/admin/account/details/?id={ada.id}").text
    assert again(session, ada).plan.name == "Free"


def test_a_comped_account_that_is_due_gets_its_month(owner: AdminClient, ada: Account, session: Database) -> None:
    plus = session.scalars(select(Plan).where(Plan.name == "Plus")).one()
    account = session.get(Account, ada.id)
    account.period_end = utcnow() - timedelta(days=1)
    session.commit()
    owner.post("/admin/account/plan/", id=ada.id, plan=plus.id)
    assert again(session, ada).allowance_nanos == 10_000 * CREDIT


def test_auto_recharge_is_stopped(owner: AdminClient, ada: Account, session: Database) -> None:
    pack = session.scalars(select(CreditPack)).first()
    session.add(AutoRecharge(account_id=ada.id, is_on=True, pack_id=pack.id, card_id="pm_1"))
    session.commit()
    owner.post("/admin/account/stop-recharge/", id=ada.id)
    session.rollback()
    assert AutoRecharge.of(ada.id).is_on is False


def test_a_refund_is_wanted_with_its_reason(owner: AdminClient, ada: Account, session: Database) -> None:
    payment = paid(session, ada)
    owner.post("/admin/account/refund/", id=ada.id, payment=payment.id, left=1000, amount="2,50", reason="asked for it")
    session.rollback()
    refund = session.scalars(select(Refund)).one()
    assert (refund.amount_cents, refund.reason, refund.status) == (250, "asked for it", "wanted")
    assert refund.actor_id is not None


def test_a_refund_that_cannot_be_is_refused(owner: AdminClient, ada: Account, session: Database) -> None:
    payment = paid(session, ada)
    for amount, reason in (("", ""), ("10.01", "x"), ("-1", "x"), ("0", "x"), ("NaN", "x")):
        sent = {"id": ada.id, "payment": payment.id, "left": 1000, "amount": amount, "reason": reason}
        answer = owner.post("/admin/account/refund/", **sent)
        session.rollback()
        assert session.scalars(select(Refund)).all() == [], amount
    shown = owner.get(answer.location).text
    assert ('placeholder="all" value="NaN"' in shown, 'size="14" value="x"' in shown) == (True, True)


def test_another_accounts_payment_is_not_found(owner: AdminClient, ada: Account, session: Database) -> None:
    payment = paid(session, ada)
    eve = people.person("eve")
    session.commit()
    assert owner.post("/admin/account/refund/", id=eve.id, payment=payment.id, reason="x").status_code == 404


def test_what_stripe_is_needed_for_is_explained_without_it(owner: AdminClient, ada: Account) -> None:
    owner.post("/admin/account/cancel/", id=ada.id)
    assert "Not done: This account has no subscription," in owner.get(f"/admin/account/details/?id={ada.id}").text


def test_an_event_is_processed_again(owner: AdminClient, session: Database) -> None:
    event_id, _new = StripeEvent.store("evt_1", "invoice.paid", {})
    session.get(StripeEvent, event_id).park("it did not fit")
    session.commit()
    owner.post("/admin/event/again/", id=event_id)
    session.rollback()
    assert session.get(StripeEvent, event_id).state == "received"
    assert acts(session) == ["process again"]


def test_a_parked_payment_shows_the_ways_out(owner: AdminClient, ada: Account, session: Database) -> None:
    payment = Payment(kind="pack", account_id=ada.id, price_cents=1000, currency="usd", worth_nanos=0)
    payment.park("amount is 900 at Stripe")
    session.add(payment)
    session.commit()
    page = owner.get(f"/admin/payment/details/?id={payment.id}").text
    assert "amount is 900 at Stripe" in page
    assert "What you can do" in page


def test_an_unsent_mail_is_tried_again(owner: AdminClient, session: Database) -> None:
    mail = OutgoingMail.post("k", "ada@example.com", "reset", {})
    mail.attempts, mail.next_attempt_at = 8, utcnow() + timedelta(days=9)
    session.commit()
    owner.post("/admin/mail/again/", id=mail.id)
    session.rollback()
    assert session.get(OutgoingMail, mail.id).attempts == 0


def test_a_mail_that_was_sent_is_sent_again(support: AdminClient, ada: Account, session: Database) -> None:
    mail = OutgoingMail.post("k", "ada@example.com", "refund", {"amount": "$10.00", "account_id": ada.id})
    mail.mark_sent()
    OutgoingMail.post("another account's", "ada@example.com", "low_balance", {"account_id": ada.id + 9})
    session.commit()
    assert "Send it again" in support.get(f"/admin/mail/details/?id={mail.id}").text
    support.post("/admin/mail/again/", id=mail.id)
    session.rollback()
    first, _, second = session.scalars(select(OutgoingMail).order_by(OutgoingMail.id))
    assert (second.to, second.template, second.context) == (first.to, first.template, first.context)
    assert (first.sent_at is None, second.sent_at is None) == (False, True)
    assert acts(session) == ["send again"]
    story = support.get(f"/admin/account/details/?id={ada.id}").text
    assert (">refund<" in story, ">low balance<" in story) == (True, False)


@pytest.mark.parametrize("template", ["verify", "reset"])
def test_the_support_mails_a_link(support: AdminClient, ada: Account, session: Database, template: str) -> None:
    support.post("/admin/user/mail/", id=ada.memberships[0].user_id, template=template)
    session.rollback()
    assert session.scalars(select(OutgoingMail.template)).all() == [template]


def test_no_other_mail_can_be_asked_for(owner: AdminClient, ada: Account) -> None:
    assert owner.post("/admin/user/mail/", id=ada.memberships[0].user_id, template="../x").status_code == 400


def test_a_failed_job_is_seen_and_tried_again(app: Flask, owner: AdminClient, session: Database) -> None:
    with app.app_context():
        enqueue("app.payments.jobs.no_such_job", 7)
        work_off(app)
        assert "no_such_job" in owner.get("/admin/queue/").text
        owner.post("/admin/queue/retry/")
        assert connect().llen("rq:queue:default") == 1
    line = session.scalars(select(AdminChange)).one()
    assert (line.action, line.changes) == ("try again", {"failed": [None, "app.payments.jobs.no_such_job 7"]})


def test_the_last_run_of_a_job_is_remembered(app: Flask, owner: AdminClient) -> None:
    with app.app_context():
        enqueue("app.generation.jobs.add_up_calls")
        work_off(app)
        assert list(last_runs()) == ["app.generation.jobs.add_up_calls"]
    assert "add_up_calls" in owner.get("/admin/queue/").text


def test_without_redis_the_page_says_so(owner: AdminClient, app: Flask) -> None:
    app.config["REDIS_URL"] = "redis://127.0.0.1:1/0"
    app.extensions.pop("redis", None)
    assert "responding" in owner.get("/admin/queue/").text
