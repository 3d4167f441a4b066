"""The lines of an invoice: whole periods, and the prorations of a change in mid-period, to the second."""

from datetime import UTC, datetime
from typing import Any

from sandbox import discounts
from sandbox.money import money
from sandbox.shapes import blank, new_id
from sandbox.store import Thing
from sandbox.world import Sandbox


def share(amount: int, start: int, end: int, at: int) -> int:
    """What of `amount` falls on the time from `at` to `end`, in cents, half up."""
    left, whole = max(end - at, 0), end - start
    return (2 * amount * left + whole) // (2 * whole)


def make_line(subscription: Thing, item: Thing, amount: int, **fields: Any) -> Thing:
    price = item["price"]
    proration = fields.pop("proration", False)
    line = blank("line_item")
    line.update(
        id=new_id("line_item"),
        amount=amount,
        subtotal=amount,
        currency=price["currency"],
        quantity=item["quantity"],
        subscription=subscription["id"],
        metadata=dict(subscription["metadata"]),
        discountable=not proration,
        parent=line_parent(subscription, item, proration),
        pricing=pricing_of(price),
    )
    return {**line, **fields}


def pricing_of(price: Thing) -> Thing:
    details = {"price": price["id"], "product": price["product"]}
    return {
        "price_details": details,
        "type": "price_details",
        "unit_amount_decimal": price["unit_amount_decimal"],
    }


def line_parent(subscription: Thing, item: Thing, proration: bool) -> Thing:
    details = {
        "invoice_item": None,
        "proration": proration,
        "proration_details": {"credited_items": None},
        "subscription": subscription["id"],
        "subscription_item": item["id"],
    }
    return {
        "invoice_item_details": None,
        "subscription_item_details": details,
        "type": "subscription_item_details",
    }


def cost(item: Thing) -> int:
    return int(item["price"]["unit_amount"] * item["quantity"])


def net_cost(sandbox: Sandbox, subscription: Thing, item: Thing) -> int:
    """A period of it under the subscription's discounts, which prorations are reckoned from."""
    return discounts.net(sandbox, subscription, item["price"]["product"], cost(item))


def name_of(sandbox: Sandbox, item: Thing) -> str:
    return str(sandbox.get("product", item["price"]["product"])["name"])


def day_of(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%d %b %Y")


def period_line(sandbox: Sandbox, subscription: Thing, item: Thing, *, trial: bool = False) -> Thing:
    price, name = item["price"], name_of(sandbox, item)
    amount = 0 if trial else cost(item)
    each = f"{money(price['unit_amount'], price['currency'])} / {price['recurring']['interval']}"
    text = f"Trial period for {name}" if trial else f"{item['quantity']} x {name} (at {each})"
    period = {"end": item["current_period_end"], "start": item["current_period_start"]}
    return make_line(subscription, item, amount, description=text, period=period)


def proration_line(sandbox: Sandbox, subscription: Thing, item: Thing, at: int, *, is_credit: bool) -> Thing:
    """What is left of the period from `at` on: paid for, or given back."""
    start, end = item["current_period_start"], item["current_period_end"]
    amount = share(net_cost(sandbox, subscription, item), start, end, at) * (-1 if is_credit else 1)
    what = "Unused" if is_credit else "Remaining"
    text = f"{what} time on {name_of(sandbox, item)} after {day_of(at)}"
    period = {"end": end, "start": at}
    return make_line(subscription, item, amount, description=text, period=period, proration=True)
