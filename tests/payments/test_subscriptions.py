"""Subscriptions: begun, renewed, changed, unpaid, ended; the allowance follows the paid invoices."""

from datetime import timedelta

import pytest
import time_machine

from app.extensions import db
from app.models.billing.payment import Payment
from app.models.catalog.plan import Plan
from app.models.metering.refusal import Refusal
from app.models.metering.reservation import admit
from app.payments import subscriptions
from tests.payments.conftest import CustomerClient
from tests.payments.stripe_scenario import StripeScenario
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


def test_a_declined_subscription_gives_nothing(scenario: StripeScenario) -> None:
    scenario.sandbox.pay(scenario.begin_plan("Plus"), "decline")
    scenario.deliver()
    assert (scenario.subscription, scenario.allowance) == (None, 0)


def test_an_upgrade_is_prorated_and_grows_by_what_is_left_and_doing_it_again_mints_nothing(
    scenario: StripeScenario,
) -> None:
    scenario.subscribe("Plus")
    subscription = scenario.subscription
    half = (subscription.period_end - subscription.period_start) / 2
    scenario.advance(half.total_seconds() / 86400)
    scenario.change("Pro")
    assert scenario.account.plan.name == "Pro"
    assert scenario.allowance in range(32498, 32501)
    assert scenario.last(Payment).price_cents == (10000 - 2000) // 2
    before = scenario.allowance
    scenario.change("Plus")
    scenario.change("Pro")
    assert (scenario.allowance, scenario.is_explained()) == (before, True)


def test_an_upgrade_that_does_not_pay_takes_back_what_was_to_follow_and_says_so(
    scenario: StripeScenario, customer: CustomerClient
) -> None:
    scenario.subscribe("Plus", card="fails_later")
    scenario.change("Starter")
    card = scenario.subscription.card_id
    scenario.sandbox.control("card", payment_method=card, behaviour="decline")
    assert "undoes your change to Starter" in customer.page(f"/billing/change/{scenario.plan('Pro').id}").text
    address = scenario.change("Pro")
    assert (bool(address), scenario.subscription.pending_plan, scenario.subscription.next_cents) == (True, None, 2000)
    assert (scenario.account.plan.name, scenario.allowance) == ("Plus", 10000)
    assert scenario.change("Starter") is None
    assert scenario.subscription.pending_plan.name == "Starter"


@pytest.mark.parametrize("paid", ["at once", "at its page"])
def test_a_cancel_is_undone_by_an_upgrade_that_is_paid_and_by_no_other(scenario: StripeScenario, paid: str) -> None:
    scenario.subscribe("Plus", card="fails_later")
    subscriptions.cancel(scenario.actor)
    behaviour = "success" if paid == "at once" else "decline"
    scenario.sandbox.control("card", payment_method=scenario.subscription.card_id, behaviour=behaviour)
    page = scenario.change("Pro")
    assert scenario.subscription.cancel_at_period_end == (paid != "at once")
    if paid == "at its page":
        assert scenario.account.plan.name == "Plus"
        scenario.sandbox.post(str(page).removeprefix(scenario.sandbox.url) + "/pay", card="success")
        scenario.deliver()
    assert not scenario.subscription.cancel_at_period_end
    scenario.renew()
    assert (scenario.account.plan.name, scenario.is_explained()) == ("Pro", True)


def test_a_downgrade_waits_for_the_periods_end_and_can_be_undone_also_to_a_free_plan(scenario: StripeScenario) -> None:
    subscription = scenario.subscribe("Pro")
    scenario.change("Plus")
    [schedule] = scenario.sandbox.running.sandbox.store.all("subscription_schedule")
    assert schedule["metadata"] == {"account_id": str(scenario.account_id), "subscription_id": str(subscription.id)}
    subscriptions.resume(scenario.actor)
    scenario.renew()
    assert scenario.account.plan.name == "Pro"
    assert scenario.plan("Plus").terms_locked_at
    scenario.change("Plus")
    assert scenario.account.plan.name == "Pro"
    assert scenario.subscription.pending_plan.name == "Plus"
    scenario.renew()
    assert (scenario.account.plan.name, scenario.allowance, scenario.subscription.pending_plan) == (
        "Plus",
        10000,
        None,
    )
    scenario.change("Pay as you go")
    assert scenario.subscription.pending_plan.name == "Pay as you go"
    scenario.renew()
    assert (scenario.account.plan.name, scenario.allowance) == ("Pay as you go", 0)


def test_what_a_change_is_goes_by_the_plan_at_stripe(scenario: StripeScenario) -> None:
    """Changed there meanwhile, and nobody has told us yet: what was dearer is cheaper now."""
    subscription = scenario.subscribe("Starter")
    item = {"id": str(subscription.stripe_item_id), "price": str(scenario.plan("Pro").stripe_price_id)}
    scenario.sandbox.client.v1.subscriptions.update(str(subscription.stripe_id), {"items": [item]})
    scenario.change_quietly("Plus")
    subscription = scenario.subscription
    assert (subscription.plan.name, subscription.pending_plan and subscription.pending_plan.name) == ("Pro", "Plus")


def test_a_cancel_can_be_undone_and_serves_to_the_periods_end(scenario: StripeScenario) -> None:
    subscription = scenario.subscribe("Plus")
    assert (subscription.status, scenario.account.plan.name, scenario.allowance) == ("active", "Plus", 10000)
    subscriptions.cancel(scenario.actor)
    subscriptions.resume(scenario.actor)
    scenario.renew()
    assert (scenario.account.plan.name, scenario.entries()) == ("Plus", [("refill", 10000, 0), ("refill", 0, 0)])
    subscriptions.cancel(scenario.actor)
    resumed = {"cancel_at_period_end": False}  # in Stripe's portal, and nobody has told us yet
    scenario.sandbox.client.v1.subscriptions.update(str(scenario.subscription.stripe_id), resumed)
    subscriptions.cancel(scenario.actor)
    scenario.deliver()
    assert (scenario.account.plan.name, scenario.allowance) == ("Plus", 10000)
    scenario.renew()
    assert (scenario.account.plan.name, scenario.subscription) == ("Free", None)
    assert ("allowance_ended", -10000, 0) in scenario.entries()
    assert scenario.is_explained()


def test_a_cancel_at_once_ends_the_allowance_and_keeps_credits(scenario: StripeScenario) -> None:
    scenario.buy_pack()
    scenario.subscribe("Plus")
    subscriptions.cancel(scenario.actor, at_once=True)
    scenario.deliver()
    assert (scenario.account.plan.name, scenario.credits) == ("Free", 5000)
    assert scenario.is_explained()


def test_an_unpaid_renewal_leaves_what_is_left_until_it_is_paid(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus", card="fails_later")
    scenario.renew()
    assert scenario.subscription.status == "past_due"
    assert scenario.subscription.pay_url
    assert (scenario.account.plan.name, scenario.allowance, scenario.kinds()) == ("Plus", 10000, ["refill"])
    with pytest.raises(Refusal) as refusal:
        scenario.change("Pro")
    assert refusal.value.code == "subscription_unpaid"
    scenario.sandbox.post(scenario.subscription.pay_url.removeprefix(scenario.sandbox.url) + "/pay", card="success")
    scenario.deliver()
    assert (scenario.subscription.status, scenario.kinds()) == ("active", ["refill", "refill"])


def test_dunning_in_vain_ends_the_plan_and_what_is_paid_after_it_is_worth_credits(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus", card="fails_later")
    scenario.renew()
    pay_url = scenario.subscription.pay_url
    scenario.advance(10)
    assert (scenario.account.plan.name, scenario.subscription, scenario.credits) == ("Free", None, 0)
    scenario.sandbox.post(pay_url.removeprefix(scenario.sandbox.url) + "/pay", card="success")
    scenario.deliver(times=2)
    assert (scenario.account.plan.name, scenario.credits, scenario.subscription) == ("Free", 10000, None)
    assert scenario.last(Payment).state == "paid"
    assert scenario.is_explained()


def test_statuses_without_rights_fall_back_to_the_default_plan(
    scenario: StripeScenario, customer: CustomerClient
) -> None:
    subscription = scenario.subscribe("Plus")
    for status, plan in (("unpaid", "Free"), ("active", "Plus"), ("paused", "Free")):
        scenario.sandbox.control("subscription", subscription=subscription.stripe_id, status=status)
        scenario.deliver()
        assert (status, scenario.account.plan.name) == (status, plan)
        page = customer.page("/billing").text
        assert ("Plus is paused" in page, "Next invoice" in page) == (status == "paused", status == "active")


def begin_a_year(scenario: StripeScenario) -> None:
    """At half of $240, in twelve parts."""
    plan = Plan(name="Yearly", price_cents=24000, interval="year", margin_bps=5000)
    db.session.add(plan)
    db.session.commit()
    scenario.subscribe("Yearly")
    assert scenario.allowance == 10000
    assert scenario.account.allowance_nanos == 24000 * 10**7 // 2 // 12
    assert scenario.account.period_end < scenario.subscription.period_end
    assert scenario.subscription.allowance_nanos == 10000 * CREDIT


def test_the_months_of_a_year_are_worth_what_its_invoice_said_and_no_other_follows(scenario: StripeScenario) -> None:
    begin_a_year(scenario)
    scenario.plan("Yearly").margin_bps = 9000
    scenario.use_allowance(4000)
    with time_machine.travel(scenario.account.period_end + timedelta(minutes=1)):
        admit(scenario.actor)
        db.session.commit()
    assert (scenario.allowance, scenario.kinds()) == (10000, ["refill", "grant", "refill"])
    with time_machine.travel(scenario.subscription.paid_until + timedelta(minutes=1)):
        admit(scenario.actor)
        db.session.commit()
    assert scenario.kinds() == ["refill", "grant", "refill"]


def test_the_months_after_half_a_years_refund_are_worth_half(scenario: StripeScenario) -> None:
    begin_a_year(scenario)
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
