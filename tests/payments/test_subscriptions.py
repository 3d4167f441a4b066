"""Subscriptions: begun, renewed, changed, unpaid, ended; the allowance follows the paid invoices."""

from datetime import timedelta

import pytest
import time_machine

from app.payments import subscriptions
from app.extensions import db
from app.models.metering.reservation import admit
from app.models.billing.payment import Payment
from app.models.catalog.plan import Plan
from app.models.metering.refusal import Conflict, Refusal
from app.models.billing.subscription import Subscription
from tests.payments.stripe_scenario import Till
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql")


def test_a_paid_subscription_gives_its_plan_and_allowance(till: Till) -> None:
    subscription = till.subscribe("Plus")
    assert (subscription.status, till.account.plan.name, till.allowance) == ("active", "Plus", 10000)
    assert till.is_explained()


def test_a_declined_subscription_gives_nothing(till: Till) -> None:
    till.sandbox.pay(till.begin_plan("Plus"), "decline")
    till.deliver()
    assert (till.subscription, till.allowance) == (None, 0)


def test_each_paid_period_sets_the_allowance_anew(till: Till) -> None:
    till.subscribe("Plus")
    till.renew()
    assert till.entries() == [("refill", 10000, 0), ("refill", 0, 0)]


def test_an_upgrade_is_prorated_and_grows_the_allowance_by_what_is_left(till: Till) -> None:
    till.subscribe("Plus")
    subscription = till.subscription
    half = (subscription.period_end - subscription.period_start) / 2
    till.advance(half.total_seconds() / 86400)
    till.change("Pro")
    assert till.account.plan.name == "Pro"
    assert till.allowance in range(32498, 32501)
    assert till.last(Payment).price_cents == (10000 - 2000) // 2


def test_an_upgrade_that_does_not_pay_changes_nothing(till: Till) -> None:
    till.subscribe("Plus", card="fails_later")
    card = till.subscription.card_id
    till.sandbox.control("card", payment_method=card, behaviour="decline")
    address = till.change("Pro")
    assert address
    assert (till.account.plan.name, till.allowance) == ("Plus", 10000)


def test_upgrade_downgrade_upgrade_mints_nothing(till: Till) -> None:
    till.subscribe("Plus")
    till.change("Pro")
    before = till.allowance
    till.change("Plus")
    till.change("Pro")
    assert till.allowance == before


def test_a_downgrade_waits_for_the_periods_end(till: Till) -> None:
    till.subscribe("Pro")
    till.change("Plus")
    assert till.account.plan.name == "Pro"
    assert till.subscription.pending_plan.name == "Plus"
    till.renew()
    assert (till.account.plan.name, till.allowance, till.subscription.pending_plan) == ("Plus", 10000, None)


def test_a_change_that_waits_names_its_account_and_row(till: Till) -> None:
    subscription = till.subscribe("Pro")
    till.change("Plus")
    [schedule] = till.sandbox.running.sandbox.store.all("subscription_schedule")
    labels = {"account_id": str(till.account_id), "subscription_id": str(subscription.id)}
    assert schedule["metadata"] == labels


def test_a_pending_downgrade_can_be_undone(till: Till) -> None:
    till.subscribe("Pro")
    till.change("Plus")
    subscriptions.resume(till.caller)
    till.renew()
    assert till.account.plan.name == "Pro"


def test_a_cancelled_subscription_serves_to_its_periods_end(till: Till) -> None:
    till.subscribe("Plus")
    subscriptions.cancel(till.caller)
    till.deliver()
    assert (till.account.plan.name, till.allowance) == ("Plus", 10000)
    till.renew()
    assert (till.account.plan.name, till.subscription) == ("Free", None)
    assert ("allowance_ended", -10000, 0) in till.entries()


def test_a_cancel_can_be_undone(till: Till) -> None:
    till.subscribe("Plus")
    subscriptions.cancel(till.caller)
    subscriptions.resume(till.caller)
    till.renew()
    assert till.account.plan.name == "Plus"


def test_a_cancel_at_once_ends_the_allowance_and_keeps_credits(till: Till) -> None:
    till.buy_pack()
    till.subscribe("Plus")
    subscriptions.cancel(till.caller, at_once=True)
    till.deliver()
    assert (till.account.plan.name, till.credits) == ("Free", 5000)
    assert till.is_explained()


def test_a_change_to_a_free_plan_waits_and_then_takes_it(till: Till) -> None:
    till.subscribe("Plus")
    till.change("Pay as you go")
    assert till.subscription.pending_plan.name == "Pay as you go"
    till.renew()
    assert (till.account.plan.name, till.allowance) == ("Pay as you go", 0)


def test_a_second_subscription_is_refused(till: Till) -> None:
    till.subscribe("Plus")
    with pytest.raises(Conflict, match="already"):
        subscriptions.subscribe(till.caller, till.plan("Pro"))


def test_a_second_subscription_that_slips_through_is_cancelled_and_refunded(till: Till) -> None:
    first, second = till.begin_plan("Plus"), till.begin_plan("Pro")
    till.sandbox.pay(first)
    till.sandbox.pay(second)
    till.deliver()
    kept, sent_away = db.session.query(Subscription).order_by(Subscription.id)
    assert (kept.status, sent_away.status, till.account.plan.name) == ("active", "canceled", "Plus")
    assert till.last(Payment).refunded_cents == 10000
    assert till.allowance == 10000


def test_an_unpaid_renewal_leaves_what_is_left(till: Till) -> None:
    till.subscribe("Plus", card="fails_later")
    till.renew()
    assert till.subscription.status == "past_due"
    assert till.subscription.pay_url
    assert (till.account.plan.name, till.allowance) == ("Plus", 10000)


def test_paying_late_brings_the_allowance(till: Till) -> None:
    till.subscribe("Plus", card="fails_later")
    till.renew()
    till.sandbox.post(till.subscription.pay_url.removeprefix(till.sandbox.url) + "/pay", card="success")
    till.deliver()
    assert (till.subscription.status, till.kinds()) == ("active", ["refill", "refill"])


def test_dunning_that_ends_in_vain_ends_the_plan(till: Till) -> None:
    till.subscribe("Plus", card="fails_later")
    till.renew()
    till.advance(10)
    assert (till.account.plan.name, till.subscription) == ("Free", None)


def test_an_invoice_that_is_paid_after_the_end_is_worth_credits(till: Till) -> None:
    till.subscribe("Plus", card="fails_later")
    till.renew()
    pay_url = till.subscription.pay_url
    till.advance(10)
    till.sandbox.post(pay_url.removeprefix(till.sandbox.url) + "/pay", card="success")
    till.deliver(times=2)
    assert (till.account.plan.name, till.credits, till.subscription) == ("Free", 10000, None)
    assert till.last(Payment).state == "paid"
    assert till.is_explained()


def test_a_change_while_unpaid_is_refused(till: Till) -> None:
    till.subscribe("Plus", card="fails_later")
    till.renew()
    with pytest.raises(Refusal) as refusal:
        till.change("Pro")
    assert refusal.value.code == "subscription_unpaid"


@pytest.mark.parametrize("status", ["unpaid", "paused"])
def test_statuses_without_rights_fall_back_to_the_default_plan(till: Till, status: str) -> None:
    subscription = till.subscribe("Plus")
    till.sandbox.control("subscription", subscription=subscription.stripe_id, status=status)
    till.deliver()
    assert till.account.plan.name == "Free"


def test_a_yearly_plan_refills_each_month_within_its_year(till: Till) -> None:
    plan = Plan(name="Yearly", price_cents=24000, interval="year", margin_bps=5000)
    db.session.add(plan)
    db.session.commit()
    till.subscribe("Yearly")
    assert till.allowance == 10000
    assert till.account.allowance_nanos == 24000 * 10**7 // 2 // 12
    assert till.account.period_end < till.subscription.period_end
    assert till.subscription.allowance_nanos == 10000 * CREDIT


def test_the_months_of_a_year_are_worth_what_its_invoice_said(till: Till) -> None:
    test_a_yearly_plan_refills_each_month_within_its_year(till)
    till.plan("Yearly").margin_bps = 9000
    till.use_allowance(4000)
    with time_machine.travel(till.account.period_end + timedelta(minutes=1)):
        admit(till.caller)
        db.session.commit()
    assert (till.allowance, till.kinds()) == (10000, ["refill", "grant", "refill"])


def test_after_a_year_that_is_not_paid_again_no_month_follows(till: Till) -> None:
    test_a_yearly_plan_refills_each_month_within_its_year(till)
    with time_machine.travel(till.subscription.paid_until + timedelta(minutes=1)):
        admit(till.caller)
        db.session.commit()
    assert till.kinds() == ["refill"]


def test_the_months_after_half_a_years_refund_are_worth_half(till: Till) -> None:
    test_a_yearly_plan_refills_each_month_within_its_year(till)
    till.refund(till.last_payment("invoice"), 12000)
    assert till.allowance == 5000
    with time_machine.travel(till.account.period_end + timedelta(minutes=1)):
        admit(till.caller)
        db.session.commit()
    assert till.allowance == 5000


def test_what_the_checkout_names_is_enough_to_know_a_subscription(till: Till) -> None:
    session_id = till.begin_plan("Plus")
    till.sandbox.pay(session_id)
    till.sandbox.running.sandbox.store.all("subscription")[0]["metadata"] = {}
    till.receive("checkout.session.completed", {"id": session_id})
    assert (till.account.plan.name, till.allowance) == ("Plus", 10000)
