"""Subscriptions: begun, renewed, changed, unpaid, ended; the allowance follows the paid invoices."""

from datetime import timedelta

import pytest
import time_machine

from app.extensions import db
from app.models.billing.payment import Payment
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import Plan
from app.models.metering.refusal import Conflict, Refusal
from app.models.metering.reservation import admit
from app.payments import subscriptions
from tests.payments.conftest import CustomerClient
from tests.payments.stripe_scenario import StripeScenario
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


def test_a_paid_subscription_gives_its_plan_and_allowance(scenario: StripeScenario) -> None:
    subscription = scenario.subscribe("Plus")
    assert (subscription.status, scenario.account.plan.name, scenario.allowance) == ("active", "Plus", 10000)
    assert scenario.is_explained()


def test_a_declined_subscription_gives_nothing(scenario: StripeScenario) -> None:
    scenario.sandbox.pay(scenario.begin_plan("Plus"), "decline")
    scenario.deliver()
    assert (scenario.subscription, scenario.allowance) == (None, 0)


def test_each_paid_period_sets_the_allowance_anew(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    scenario.renew()
    assert scenario.entries() == [("refill", 10000, 0), ("refill", 0, 0)]


def test_an_upgrade_is_prorated_and_grows_the_allowance_by_what_is_left(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    subscription = scenario.subscription
    half = (subscription.period_end - subscription.period_start) / 2
    scenario.advance(half.total_seconds() / 86400)
    scenario.change("Pro")
    assert scenario.account.plan.name == "Pro"
    assert scenario.allowance in range(32498, 32501)
    assert scenario.last(Payment).price_cents == (10000 - 2000) // 2


def test_an_upgrade_that_does_not_pay_changes_nothing(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus", card="fails_later")
    card = scenario.subscription.card_id
    scenario.sandbox.control("card", payment_method=card, behaviour="decline")
    address = scenario.change("Pro")
    assert address
    assert (scenario.account.plan.name, scenario.allowance) == ("Plus", 10000)


def test_upgrade_downgrade_upgrade_mints_nothing(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    scenario.change("Pro")
    before = scenario.allowance
    scenario.change("Plus")
    scenario.change("Pro")
    assert scenario.allowance == before


def test_a_downgrade_waits_for_the_periods_end(scenario: StripeScenario) -> None:
    scenario.subscribe("Pro")
    scenario.change("Plus")
    assert scenario.account.plan.name == "Pro"
    assert scenario.subscription.pending_plan.name == "Plus"
    scenario.renew()
    assert (scenario.account.plan.name, scenario.allowance, scenario.subscription.pending_plan) == (
        "Plus",
        10000,
        None,
    )


def test_a_change_that_waits_names_its_account_and_row(scenario: StripeScenario) -> None:
    subscription = scenario.subscribe("Pro")
    scenario.change("Plus")
    [schedule] = scenario.sandbox.running.sandbox.store.all("subscription_schedule")
    labels = {"account_id": str(scenario.account_id), "subscription_id": str(subscription.id)}
    assert schedule["metadata"] == labels


def test_a_pending_downgrade_can_be_undone(scenario: StripeScenario) -> None:
    scenario.subscribe("Pro")
    scenario.change("Plus")
    subscriptions.resume(scenario.actor)
    scenario.renew()
    assert scenario.account.plan.name == "Pro"


def test_a_cancelled_subscription_serves_to_its_periods_end(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    subscriptions.cancel(scenario.actor)
    scenario.deliver()
    assert (scenario.account.plan.name, scenario.allowance) == ("Plus", 10000)
    scenario.renew()
    assert (scenario.account.plan.name, scenario.subscription) == ("Free", None)
    assert ("allowance_ended", -10000, 0) in scenario.entries()


def test_a_cancel_can_be_undone(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    subscriptions.cancel(scenario.actor)
    subscriptions.resume(scenario.actor)
    scenario.renew()
    assert scenario.account.plan.name == "Plus"


def test_a_cancel_at_once_ends_the_allowance_and_keeps_credits(scenario: StripeScenario) -> None:
    scenario.buy_pack()
    scenario.subscribe("Plus")
    subscriptions.cancel(scenario.actor, at_once=True)
    scenario.deliver()
    assert (scenario.account.plan.name, scenario.credits) == ("Free", 5000)
    assert scenario.is_explained()


def test_a_change_to_a_free_plan_waits_and_then_takes_it(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    scenario.change("Pay as you go")
    assert scenario.subscription.pending_plan.name == "Pay as you go"
    scenario.renew()
    assert (scenario.account.plan.name, scenario.allowance) == ("Pay as you go", 0)


def test_a_second_subscription_is_refused(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    with pytest.raises(Conflict, match="already"):
        subscriptions.subscribe(scenario.actor, subscriptions.PlanOrder(scenario.plan("Pro")))


def test_a_second_subscription_that_slips_through_is_cancelled_and_refunded(scenario: StripeScenario) -> None:
    first, second = scenario.begin_plan("Plus"), scenario.begin_plan("Pro")
    scenario.sandbox.pay(first)
    scenario.sandbox.pay(second)
    scenario.deliver()
    kept, sent_away = db.session.query(Subscription).order_by(Subscription.id)
    assert (kept.status, sent_away.status, scenario.account.plan.name) == ("active", "canceled", "Plus")
    assert scenario.last(Payment).refunded_cents == 10000
    assert scenario.allowance == 10000


def test_an_unpaid_renewal_leaves_what_is_left(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus", card="fails_later")
    scenario.renew()
    assert scenario.subscription.status == "past_due"
    assert scenario.subscription.pay_url
    assert (scenario.account.plan.name, scenario.allowance) == ("Plus", 10000)


def test_paying_late_brings_the_allowance(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus", card="fails_later")
    scenario.renew()
    scenario.sandbox.post(scenario.subscription.pay_url.removeprefix(scenario.sandbox.url) + "/pay", card="success")
    scenario.deliver()
    assert (scenario.subscription.status, scenario.kinds()) == ("active", ["refill", "refill"])


def test_dunning_that_ends_in_vain_ends_the_plan(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus", card="fails_later")
    scenario.renew()
    scenario.advance(10)
    assert (scenario.account.plan.name, scenario.subscription) == ("Free", None)


def test_an_invoice_that_is_paid_after_the_end_is_worth_credits(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus", card="fails_later")
    scenario.renew()
    pay_url = scenario.subscription.pay_url
    scenario.advance(10)
    scenario.sandbox.post(pay_url.removeprefix(scenario.sandbox.url) + "/pay", card="success")
    scenario.deliver(times=2)
    assert (scenario.account.plan.name, scenario.credits, scenario.subscription) == ("Free", 10000, None)
    assert scenario.last(Payment).state == "paid"
    assert scenario.is_explained()


def test_a_change_while_unpaid_is_refused(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus", card="fails_later")
    scenario.renew()
    with pytest.raises(Refusal) as refusal:
        scenario.change("Pro")
    assert refusal.value.code == "subscription_unpaid"


@pytest.mark.parametrize("status", ["unpaid", "paused"])
def test_statuses_without_rights_fall_back_to_the_default_plan(
    scenario: StripeScenario, customer: CustomerClient, status: str
) -> None:
    subscription = scenario.subscribe("Plus")
    scenario.sandbox.control("subscription", subscription=subscription.stripe_id, status=status)
    scenario.deliver()
    assert scenario.account.plan.name == "Free"
    page = customer.page("/billing").text
    assert ("Plus is paused" in page, "Next invoice" in page) == (status == "paused", False)


def test_a_yearly_plan_refills_each_month_within_its_year(scenario: StripeScenario) -> None:
    plan = Plan(name="Yearly", price_cents=24000, interval="year", margin_bps=5000)
    db.session.add(plan)
    db.session.commit()
    scenario.subscribe("Yearly")
    assert scenario.allowance == 10000
    assert scenario.account.allowance_nanos == 24000 * 10**7 // 2 // 12
    assert scenario.account.period_end < scenario.subscription.period_end
    assert scenario.subscription.allowance_nanos == 10000 * CREDIT


def test_the_months_of_a_year_are_worth_what_its_invoice_said(scenario: StripeScenario) -> None:
    test_a_yearly_plan_refills_each_month_within_its_year(scenario)
    scenario.plan("Yearly").margin_bps = 9000
    scenario.use_allowance(4000)
    with time_machine.travel(scenario.account.period_end + timedelta(minutes=1)):
        admit(scenario.actor)
        db.session.commit()
    assert (scenario.allowance, scenario.kinds()) == (10000, ["refill", "grant", "refill"])


def test_after_a_year_that_is_not_paid_again_no_month_follows(scenario: StripeScenario) -> None:
    test_a_yearly_plan_refills_each_month_within_its_year(scenario)
    with time_machine.travel(scenario.subscription.paid_until + timedelta(minutes=1)):
        admit(scenario.actor)
        db.session.commit()
    assert scenario.kinds() == ["refill"]


def test_the_months_after_half_a_years_refund_are_worth_half(scenario: StripeScenario) -> None:
    test_a_yearly_plan_refills_each_month_within_its_year(scenario)
    scenario.refund(scenario.last_payment("invoice"), 12000)
    assert scenario.allowance == 5000
    with time_machine.travel(scenario.account.period_end + timedelta(minutes=1)):
        admit(scenario.actor)
        db.session.commit()
    assert scenario.allowance == 5000


def test_what_the_checkout_names_is_enough_to_know_a_subscription(scenario: StripeScenario) -> None:
    session_id = scenario.begin_plan("Plus")
    scenario.sandbox.pay(session_id)
    scenario.sandbox.running.sandbox.store.all("subscription")[0]["metadata"] = {}
    scenario.receive("checkout.session.completed", {"id": session_id})
    assert (scenario.account.plan.name, scenario.allowance) == ("Plus", 10000)
