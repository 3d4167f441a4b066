"""Prorations to the second: figures worked out by hand, and what must hold for any of them."""

from typing import Any

import stripe
from hypothesis import given
from hypothesis import strategies as st

from sandbox import catalog, customers, subscriptions
from sandbox.invoice_lines import share
from sandbox.periods import period_end, shifted
from sandbox.store import Thing
from sandbox.subscription_changes import planned
from sandbox.world import Sandbox
from tests.sandbox.conftest import Shop

DAY = 86400
JAN_31 = 1769860800  # 31 Jan 2026 12:00 UTC
MONTHLY = {"interval": "month", "interval_count": 1}


def middle_of(shop: Shop, subscription: stripe.Subscription) -> int:
    """Moves the clock to exactly half of the running period."""
    item = subscription["items"].data[0]
    half = (item.current_period_start + item.current_period_end) // 2
    shop.sandbox.control("clock", now=half)
    return int(half)


def preview(shop: Shop, subscription: stripe.Subscription, price: str, at: int, **wanted: str) -> stripe.Invoice:
    items = [{"id": subscription["items"].data[0].id, "price": shop.prices[price].id}]
    details = {"items": items, "proration_date": at, **wanted}
    params: Any = {"subscription": subscription.id, "subscription_details": details}
    return shop.api.invoices.create_preview(params)


def test_half_a_month_of_plus_pays_for_half_a_month_of_max(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe("plus")
    at = middle_of(shop, subscription)
    changed = preview(shop, subscription, "max", at, proration_behavior="always_invoice")
    assert [line.amount for line in changed.lines.data] == [-1000, 5000]
    assert changed.amount_due == 4000


def test_a_preview_and_the_change_at_the_same_instant_cost_the_same(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe("plus")
    at = middle_of(shop, subscription) + 12345
    seen = preview(shop, subscription, "max", at, proration_behavior="always_invoice")
    shop.change(subscription, "max", proration_behavior="always_invoice", proration_date=at)
    invoice = shop.subscription(subscription).latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    assert invoice.amount_paid == seen.amount_due
    assert invoice.billing_reason == "subscription_update"


def test_a_preview_changes_nothing(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe("plus")
    preview(shop, subscription, "max", middle_of(shop, subscription))
    assert shop.subscription(subscription)["items"].data[0].price.id == shop.prices["plus"].id
    assert len(shop.api.invoices.list({"subscription": subscription.id}).data) == 1


def test_prorations_wait_for_the_next_invoice_unless_invoiced_now(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe("plus")
    shop.change(subscription, "max", proration_date=middle_of(shop, subscription))
    shop.sandbox.control("clock", to="next_renewal")
    invoice = shop.subscription(subscription).latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    assert [line.amount for line in invoice.lines.data] == [-1000, 5000, 10000]
    prorated = [line.parent.subscription_item_details for line in invoice.lines.data if line.parent]
    assert [details.proration for details in prorated if details] == [True, True, False]


def test_the_next_invoice_is_the_next_period(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe("plus")
    coming = shop.api.invoices.create_preview({"subscription": subscription.id})
    end = subscription["items"].data[0].current_period_end
    assert (coming.amount_due, coming.lines.data[0].period.start) == (2000, end)


def test_without_prorations_only_the_next_invoice_changes(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe("max")
    shop.change(subscription, "plus", proration_behavior="none")
    coming = shop.api.invoices.create_preview({"subscription": subscription.id})
    assert [line.amount for line in coming.lines.data] == [2000]


def test_a_downgrade_leaves_a_balance_that_the_next_invoice_uses(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe("max")
    at = middle_of(shop, subscription)
    shop.change(subscription, "plus", proration_behavior="always_invoice", proration_date=at)
    assert shop.api.customers.retrieve(shop.customer.id).balance == -4000
    shop.sandbox.control("clock", to="next_renewal")
    invoice = shop.subscription(subscription).latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    assert (invoice.starting_balance, invoice.amount_due, invoice.ending_balance) == (-4000, 0, -2000)


def test_another_interval_begins_a_period_now_and_credits_the_rest(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe("plus")
    at = middle_of(shop, subscription)
    changed = shop.change(subscription, "yearly", proration_date=at)
    invoice = shop.subscription(subscription).latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    assert [line.amount for line in invoice.lines.data] == [-1000, 20000]
    assert changed["items"].data[0].current_period_end - at >= 365 * DAY


def test_billing_now_restarts_the_cycle(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe("plus")
    at = middle_of(shop, subscription)
    anew = shop.api.subscriptions.update(subscription.id, {"billing_cycle_anchor": {"type": "now"}})
    assert abs(anew["items"].data[0].current_period_start - at) <= 5


def test_a_change_in_a_trial_costs_nothing_yet(shop: Shop) -> None:
    subscription = shop.subscribe("plus", trial_period_days=14)
    changed = shop.change(subscription, "max", proration_behavior="always_invoice")
    assert changed["items"].data[0].price.id == shop.prices["max"].id
    assert len(shop.api.invoices.list({"subscription": subscription.id}).data) == 1


def test_upgrade_downgrade_upgrade_in_one_second_costs_the_upgrade_once(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe("plus")
    at = middle_of(shop, subscription)
    for price in ("max", "plus", "max"):
        shop.change(subscription, price, proration_behavior="always_invoice", proration_date=at)
    paid = [invoice.total for invoice in shop.api.invoices.list({"subscription": subscription.id}).data]
    assert paid == [4000, -4000, 4000, 2000]


@given(amount=st.integers(0, 10**7), length=st.integers(1, 400 * DAY), at=st.integers(0, 400 * DAY))
def test_a_share_is_never_more_than_the_whole_and_nearest_to_the_truth(amount: int, length: int, at: int) -> None:
    at = min(at, length)
    part = share(amount, 0, length, at)
    assert 0 <= part <= amount
    assert abs(part * length - amount * (length - at)) * 2 <= length


@given(amount=st.integers(0, 10**7), length=st.integers(1, 400 * DAY), at=st.integers(0, 400 * DAY))
def test_what_is_used_and_what_is_left_make_the_whole_within_a_cent(amount: int, length: int, at: int) -> None:
    at = min(at, length)
    used = share(amount, 0, length, length - at)
    assert abs(used + share(amount, 0, length, at) - amount) <= 1


def subscribed(price: int) -> tuple[Sandbox, Thing]:
    """A sandbox without a server, with a subscription at `price` cents a month begun at JAN_31."""
    world = Sandbox()
    world.at(JAN_31)
    customer = customers.create(world, {"email": "ada@example.com"})
    item = {"price": monthly_price(world, price), "quantity": "1"}
    wanted = {"customer": customer["id"], "items": [item], "payment_behavior": "default_incomplete"}
    subscription = subscriptions.create(world, wanted)
    subscription["status"] = "active"
    return world, subscription


def monthly_price(world: Sandbox, cents: int) -> str:
    shape = {"currency": "usd", "unit_amount": str(cents), "recurring": {"interval": "month"}}
    return str(catalog.create_price(world, {**shape, "product_data": {"name": "Plan"}})["id"])


def cost_of_change(world: Sandbox, subscription: Thing, price: str, at: int) -> int:
    item = {"id": subscription["items"]["data"][0]["id"], "price": price}
    change = planned(world, subscription, {"items": [item], "proration_date": str(at)})
    subscription.update(change.draft)
    return sum(line["amount"] for line in change.lines)


@given(old=st.integers(0, 10**6), new=st.integers(0, 10**6), after=st.integers(0, 28 * DAY))
def test_a_change_costs_the_difference_of_what_is_left(old: int, new: int, after: int) -> None:
    world, subscription = subscribed(old)
    cost = cost_of_change(world, subscription, monthly_price(world, new), JAN_31 + after)
    assert abs(cost * 28 * DAY - (new - old) * (28 * DAY - after)) <= 28 * DAY


@given(old=st.integers(0, 10**6), new=st.integers(0, 10**6), after=st.integers(0, 28 * DAY))
def test_a_change_and_its_undoing_in_the_same_second_cost_nothing(old: int, new: int, after: int) -> None:
    world, subscription = subscribed(old)
    before = subscription["items"]["data"][0]["price"]["id"]
    there = cost_of_change(world, subscription, monthly_price(world, new), JAN_31 + after)
    assert there + cost_of_change(world, subscription, before, JAN_31 + after) == 0


def test_months_are_counted_from_the_anchor() -> None:
    ends = [shifted(JAN_31, MONTHLY, times) - JAN_31 for times in (1, 2, 3)]
    assert ends == [28 * DAY, 59 * DAY, 89 * DAY]


def test_the_next_period_ends_on_the_anchors_grid() -> None:
    february = shifted(JAN_31, MONTHLY, 1)
    assert period_end(JAN_31, MONTHLY, february) == JAN_31 + 59 * DAY
