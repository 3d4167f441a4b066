"""Changes that may not pay, and changes that wait: pending updates, schedules, what is refused."""

import pytest
import stripe

from tests.sandbox.conftest import Shop
from tests.support.webhook_inbox import WebhookInbox

HOUR = 3600


def price_of(shop: Shop, subscription: stripe.Subscription) -> str:
    return str(shop.api.subscriptions.retrieve(subscription.id)["items"].data[0].price.id)


@pytest.fixture
def running(shop: Shop) -> stripe.Subscription:
    shop.save_card()
    return shop.subscribe("plus")


def break_card(shop: Shop, behaviour: str = "decline") -> None:
    card = shop.api.payment_methods.list({"customer": shop.customer.id}).data[0]
    shop.sandbox.control("card", payment_method=card.id, behaviour=behaviour)


def upgrade(shop: Shop, subscription: stripe.Subscription, behaviour: str) -> stripe.Subscription:
    return shop.change(
        subscription,
        "max",
        proration_behavior="always_invoice",
        payment_behavior=behaviour,
        expand=["latest_invoice"],
    )


def test_an_upgrade_that_pays_is_applied_at_once(shop: Shop, running: stripe.Subscription) -> None:
    changed = upgrade(shop, running, "pending_if_incomplete")
    assert (changed.pending_update, price_of(shop, running)) == (None, shop.prices["max"].id)


def test_an_upgrade_that_does_not_pay_waits(shop: Shop, running: stripe.Subscription) -> None:
    break_card(shop)
    changed = upgrade(shop, running, "pending_if_incomplete")
    assert changed.pending_update is not None
    assert (changed.status, price_of(shop, running)) == ("active", shop.prices["plus"].id)


def test_a_waiting_upgrade_is_applied_when_its_invoice_is_paid(
    shop: Shop, running: stripe.Subscription, inbox: WebhookInbox
) -> None:
    break_card(shop, "authentication_always")
    invoice = upgrade(shop, running, "pending_if_incomplete").latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    shop.api.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"})
    shop.sandbox.wait_until_idle()
    assert price_of(shop, running) == shop.prices["max"].id
    assert inbox.types()[-1] == "customer.subscription.pending_update_applied"


def test_a_waiting_upgrade_is_forgotten_after_23_hours(
    shop: Shop, running: stripe.Subscription, inbox: WebhookInbox
) -> None:
    break_card(shop)
    invoice = upgrade(shop, running, "pending_if_incomplete").latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    shop.sandbox.advance(23 * HOUR + 60)
    shop.sandbox.wait_until_idle()
    assert price_of(shop, running) == shop.prices["plus"].id
    assert shop.api.invoices.retrieve(invoice.id).status == "void"
    assert inbox.types()[-1] == "customer.subscription.pending_update_expired"


def test_some_parameters_cannot_wait(shop: Shop, running: stripe.Subscription) -> None:
    card = shop.save_card()
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.change(running, "max", payment_behavior="pending_if_incomplete", default_payment_method=card)
    assert caught.value.param == "default_payment_method"


def test_allow_incomplete_changes_the_price_and_is_past_due(shop: Shop, running: stripe.Subscription) -> None:
    break_card(shop)
    changed = upgrade(shop, running, "allow_incomplete")
    assert (changed.status, price_of(shop, running)) == ("past_due", shop.prices["max"].id)


def test_error_if_incomplete_changes_nothing(shop: Shop, running: stripe.Subscription) -> None:
    break_card(shop)
    with pytest.raises(stripe.CardError):
        upgrade(shop, running, "error_if_incomplete")
    assert price_of(shop, running) == shop.prices["plus"].id
    assert len(shop.api.invoices.list({"subscription": running.id}).data) == 1


def test_an_upgrade_without_a_card_is_refused_and_changes_nothing(shop: Shop, running: stripe.Subscription) -> None:
    card = shop.api.payment_methods.list({"customer": shop.customer.id}).data[0]
    shop.api.payment_methods.detach(card.id)
    with pytest.raises(stripe.InvalidRequestError):
        upgrade(shop, running, "allow_incomplete")
    assert price_of(shop, running) == shop.prices["plus"].id


def test_an_unknown_item_is_refused(shop: Shop, running: stripe.Subscription) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription item"):
        shop.api.subscriptions.update(running.id, {"items": [{"id": "si_x", "price": shop.prices["max"].id}]})


def test_a_canceled_subscription_is_not_changed(shop: Shop, running: stripe.Subscription) -> None:
    shop.api.subscriptions.cancel(running.id)
    with pytest.raises(stripe.InvalidRequestError):
        shop.change(running, "max")


def test_another_quantity_is_prorated_too(shop: Shop, running: stripe.Subscription) -> None:
    item = running["items"].data[0].id
    seats = shop.api.subscriptions.update(running.id, {"items": [{"id": item, "quantity": 3}]})
    assert seats["items"].data[0].quantity == 3
    coming = shop.api.invoices.create_preview({"subscription": running.id})
    assert coming.lines.data[-1].amount == 6000


@pytest.fixture
def planned(shop: Shop) -> tuple[stripe.Subscription, stripe.SubscriptionSchedule]:
    """Max now, Plus from the next period on."""
    shop.save_card()
    subscription = shop.subscribe("max")
    schedule = shop.api.subscription_schedules.create({"from_subscription": subscription.id})
    now, later = shop.prices["max"].id, shop.prices["plus"].id
    start, end = schedule.phases[0].start_date, schedule.phases[0].end_date
    changed = shop.api.subscription_schedules.update(
        schedule.id,
        {
            "end_behavior": "release",
            "phases": [
                {"items": [{"price": now, "quantity": 1}], "start_date": start, "end_date": end},
                {"items": [{"price": later, "quantity": 1}], "duration": {"interval": "month"}},
            ],
        },
    )
    return subscription, changed


def test_a_scheduled_downgrade_comes_with_the_next_period(
    shop: Shop, planned: tuple[stripe.Subscription, stripe.SubscriptionSchedule]
) -> None:
    subscription, _ = planned
    assert price_of(shop, subscription) == shop.prices["max"].id
    shop.sandbox.control("clock", to="next_renewal")
    invoice = shop.subscription(subscription).latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    assert (price_of(shop, subscription), invoice.amount_paid) == (shop.prices["plus"].id, 2000)


def test_a_schedule_lets_go_after_its_last_phase(
    shop: Shop, planned: tuple[stripe.Subscription, stripe.SubscriptionSchedule]
) -> None:
    subscription, schedule = planned
    for _ in range(2):
        shop.sandbox.control("clock", to="next_renewal")
    assert shop.api.subscription_schedules.retrieve(schedule.id).status == "released"
    assert (shop.subscription(subscription).schedule, price_of(shop, subscription)) == (
        None,
        shop.prices["plus"].id,
    )


def test_a_released_schedule_changes_nothing_any_more(
    shop: Shop, planned: tuple[stripe.Subscription, stripe.SubscriptionSchedule]
) -> None:
    subscription, schedule = planned
    shop.api.subscription_schedules.release(schedule.id)
    shop.sandbox.control("clock", to="next_renewal")
    assert price_of(shop, subscription) == shop.prices["max"].id


def test_a_subscription_has_one_schedule(
    shop: Shop, planned: tuple[stripe.Subscription, stripe.SubscriptionSchedule]
) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        shop.api.subscription_schedules.create({"from_subscription": planned[0].id})
