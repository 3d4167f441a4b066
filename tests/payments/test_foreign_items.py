"""What is changed at Stripe's dashboard into something that we do not sell is noted, and holds up nothing else."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.payment import Payment
from app.payments import reconciliation, refunds, subscriptions
from tests.payments.stripe_scenario import StripeScenario

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))


def add_item(scenario: StripeScenario, cents: int = 5000, **fields: Any) -> None:
    customer = scenario.account.stripe_customer_id
    item: Any = {"customer": customer, "amount": cents, "currency": "usd", **fields}
    scenario.sandbox.client.v1.invoice_items.create(item)


def foreign_price(scenario: StripeScenario, cents: int = 700) -> str:
    wanted: Any = {"unit_amount": cents, "currency": "usd", "recurring": {"interval": "month"}}
    made = scenario.sandbox.client.v1.prices.create(wanted | {"product_data": {"name": "Seats"}})
    return str(made.id)


def change(scenario: StripeScenario, **fields: Any) -> None:
    """As at Stripe's dashboard."""
    subscription = scenario.subscription
    items = [{"id": subscription.stripe_item_id, **fields}]
    wanted: Any = {"items": items, "proration_behavior": "none"}
    scenario.sandbox.client.v1.subscriptions.update(subscription.stripe_id, wanted)
    scenario.deliver()


def renewals_go_on(scenario: StripeScenario) -> None:
    """The next renewal refills, a cancel is done and shown, and the end is noticed."""
    scenario.use_allowance(400)
    scenario.renew()
    assert scenario.allowance == 10_000
    subscriptions.cancel(scenario.actor)
    assert scenario.subscription.cancel_at_period_end
    scenario.renew()
    assert scenario.account.plan.name == "Free"
    assert list(reconciliation.reconcile()) == []
    assert scenario.is_explained()


def test_one_off_items_and_a_quantity_are_noted_and_one_is_worth_credits(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    add_item(scenario, description="Setup by phone")
    scenario.renew()
    paid = scenario.last_payment("invoice")
    assert (scenario.allowance, paid.price_cents, paid.state) == (10_000, 7000, "paid")
    assert paid.review_reason == "Setup by phone (5000 cents) is not ours"
    assert paid.worth_nanos == scenario.plan("Plus").allowance_nanos

    for _ in range(12):
        add_item(scenario, 100)
    scenario.renew()
    assert (scenario.kinds().count("refill"), scenario.last_payment("invoice").price_cents) == (3, 3200)

    change(scenario, quantity=2)
    assert scenario.subscription.review_note == "quantity 2 at Stripe"
    scenario.renew()
    paid = scenario.last_payment("invoice")
    assert (scenario.allowance, paid.price_cents, paid.state) == (10_000, 4000, "paid")
    assert paid.review_reason == "quantity 2 at Stripe; one is worth credits"
    assert scenario.is_explained()


def test_labels_that_were_edited_and_a_second_item_of_a_foreign_price_are_noted(scenario: StripeScenario) -> None:
    subscription = scenario.subscribe("Plus")
    wanted: Any = {"metadata": {"account_id": "77", "subscription_id": ""}}
    scenario.sandbox.client.v1.subscriptions.update(subscription.stripe_id, wanted)
    scenario.deliver()
    assert scenario.subscription.review_note == "account_id is '77' at Stripe"
    wanted = {"items": [{"price": foreign_price(scenario), "quantity": 3}], "proration_behavior": "none"}
    scenario.sandbox.client.v1.subscriptions.update(subscription.stripe_id, wanted)
    scenario.deliver()
    assert "is no plan's" in scenario.subscription.review_note
    scenario.renew()
    assert (scenario.allowance, "2100 cents" in scenario.last_payment("invoice").review_reason) == (
        10_000,
        True,
    )
    renewals_go_on(scenario)


def test_an_invoice_of_a_foreign_price_is_parked_until_it_can_be_explained_and_later_ones_are_not(
    scenario: StripeScenario,
) -> None:
    scenario.subscribe("Plus")
    plan, price = scenario.plan("Plus"), foreign_price(scenario, 2000)
    own = plan.stripe_price_id
    change(scenario, price=price)
    scenario.renew()
    parked = scenario.last_payment("invoice")
    assert (parked.state, parked.worth_nanos, scenario.kinds().count("refill")) == ("parked", 0, 1)
    assert "payment_parked" in scenario.mails()
    change(scenario, price=own)
    assert scenario.subscription.review_note == ""
    scenario.renew()
    assert (scenario.last_payment("invoice").state, scenario.kinds().count("refill")) == ("paid", 2)
    scenario.use_allowance(5_000)
    plan = scenario.plan("Plus")
    plan.former_price_ids = [*plan.former_price_ids, price]
    db.session.commit()
    scenario.receive("customer.subscription.updated", {"id": scenario.subscription.stripe_id})
    assert ([*all_states(scenario)], scenario.kinds().count("refill")) == (["paid"] * 3, 3)
    renewals_go_on(scenario)


def all_states(scenario: StripeScenario) -> list[str]:
    db.session.expire_all()
    return [one.state for one in db.session.query(Payment).filter_by(account_id=scenario.account_id)]


def test_a_schedule_to_a_foreign_price_is_noted(scenario: StripeScenario) -> None:
    subscription = scenario.subscribe("Plus")
    v1 = scenario.sandbox.client.v1
    schedule = v1.subscription_schedules.create({"from_subscription": subscription.stripe_id})
    [now] = schedule.phases
    items = [{"price": scenario.plan("Plus").stripe_price_id, "quantity": 1}]
    phases: Any = [
        {"items": items, "start_date": now.start_date, "end_date": now.end_date},
        {
            "items": [{"price": foreign_price(scenario)}],
            "duration": {"interval": "month", "interval_count": 1},
        },
    ]
    v1.subscription_schedules.update(schedule.id, {"phases": phases, "end_behavior": "release"})
    scenario.receive("customer.subscription.updated", {"id": subscription.stripe_id})
    assert "scheduled price" in scenario.subscription.review_note
    subscriptions.cancel(scenario.actor)
    assert scenario.subscription.cancel_at_period_end


def test_what_a_coupon_takes_off_is_worth_the_whole(scenario: StripeScenario) -> None:
    subscription = scenario.subscribe("Plus")
    coupons: tuple[tuple[Any, int], ...] = (({"percent_off": 30}, 1400), ({"amount_off": 2000, "currency": "usd"}, 0))
    for off, cents in coupons:
        coupon = scenario.sandbox.client.v1.coupons.create({"duration": "once", **off}).id
        scenario.sandbox.client.v1.subscriptions.update(subscription.stripe_id, {"discounts": [{"coupon": coupon}]})
        scenario.use_allowance(400)
        scenario.renew()
        paid = scenario.last_payment("invoice")
        assert (scenario.allowance, paid.state) == (10_000, "paid")
        assert f"cents was made at Stripe (coupon {coupon}); the worth stays whole" in paid.review_reason
        assert paid.price_cents == paid.total_cents == cents
    scenario.renew()
    assert (scenario.kinds().count("refill"), scenario.last_payment("invoice").total_cents) == (4, 2000)


def test_what_a_balance_covers_is_worth_the_whole(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    customer = scenario.account.stripe_customer_id or ""
    for balance, refills in ((-1500, 2), (-5000, 3)):
        scenario.sandbox.client.v1.customers.update(customer, {"balance": balance})
        scenario.renew()
        paid = scenario.last_payment("invoice")
        assert (scenario.kinds().count("refill"), paid.total_cents) == (refills, 2000)
        assert paid.worth_nanos == scenario.plan("Plus").allowance_nanos
        if balance == -1500:
            assert refunds.refundable_nanos(paid, refunds.refundable_cents(paid)) == paid.worth_nanos // 4
            scenario.refund(paid, 500)
            assert scenario.allowance == 7_500
    assert (scenario.allowance, scenario.is_explained()) == (10_000, True)


def test_a_scheduled_change_of_our_item_is_found_beside_a_foreign_one(scenario: StripeScenario) -> None:
    subscription = scenario.subscribe("Pro")
    scenario.publish("Plus")
    v1 = scenario.sandbox.client.v1
    schedule = v1.subscription_schedules.create({"from_subscription": subscription.stripe_id})
    [now] = schedule.phases
    later = [{"price": foreign_price(scenario)}, {"price": scenario.plan("Plus").stripe_price_id}]
    phases: Any = [
        {"items": [{"price": scenario.plan("Pro").stripe_price_id}], "start_date": now.start_date,
         "end_date": now.end_date},
        {"items": later, "duration": {"interval": "month", "interval_count": 1}},
    ]  # fmt: skip
    v1.subscription_schedules.update(schedule.id, {"phases": phases, "end_behavior": "release"})
    scenario.receive("customer.subscription.updated", {"id": subscription.stripe_id})

    assert scenario.subscription.pending_plan is scenario.plan("Plus")


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_subscription_that_was_begun_at_the_dashboard_is_told_once(scenario: StripeScenario, is_heard: bool) -> None:
    scenario.turn_on_recharge(below=1)
    customer, card = scenario.account.stripe_customer_id, scenario.settings.card_id
    items = [{"price": foreign_price(scenario)}]
    wanted: Any = {"customer": customer, "items": items, "default_payment_method": card}
    made = scenario.sandbox.client.v1.subscriptions.create(wanted)
    if is_heard:
        scenario.deliver()
    with time_machine.travel(utcnow() + timedelta(hours=1), tick=True):
        told = [finding.subject for finding in reconciliation.reconcile()]
        assert is_heard or made.id in told
        assert list(reconciliation.reconcile()) == []
    parked = {event.about["id"] for event in scenario.events("parked")}
    assert made.id in parked
    assert scenario.mails().count("payment_parked") == (1 if is_heard else 0)
    assert scenario.subscribe("Plus")
