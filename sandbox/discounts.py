"""Coupons, and what they take from a subscription's invoices: a percentage or an amount, once or for ever."""

from typing import Any

from sandbox.errors import invalid
from sandbox.params import Params, integer, merged_metadata, required, text
from sandbox.routes import listed, operation, retrieve
from sandbox.store import Thing
from sandbox.world import Sandbox


@operation("POST", "/v1/coupons")
def create(sandbox: Sandbox, params: Params) -> Thing:
    percent, amount = text(params, "percent_off"), integer(params, "amount_off")
    if (percent is None) == (amount is None):
        raise invalid("You must pass either `percent_off` or `amount_off`.", "percent_off")
    named = {"id": params["id"]} if params.get("id") else {}
    return sandbox.make(
        "coupon",
        percent_off=float(percent) if percent else None,
        amount_off=amount,
        currency=text(params, "currency"),
        duration=text(params, "duration", "once"),
        name=text(params, "name"),
        metadata=merged_metadata({}, params),
        **named,
    )


def apply_to(sandbox: Sandbox, subscription: Thing, params: Params) -> None:
    """`discounts: [{coupon}]` takes the place of those that were there; an empty one takes them away."""
    if "discounts" not in params:
        return
    given = params["discounts"] or []
    subscription["discounts"] = [made(sandbox, subscription, required(one, "coupon")) for one in given]


def made(sandbox: Sandbox, subscription: Thing, coupon: str) -> str:
    sandbox.get("coupon", coupon, "discounts[0][coupon]")
    discount = sandbox.make(
        "discount",
        customer=subscription["customer"],
        source={"coupon": coupon, "type": "coupon"},
        start=sandbox.now,
        subscription=subscription["id"],
    )
    return str(discount["id"])


def discounted(sandbox: Sandbox, subscription: Thing, lines: list[Thing]) -> dict[str, Any]:
    """The invoice's discounts, each line with its part; a line's amount stays whole."""
    totals = []
    for identity in subscription["discounts"]:
        coupon = sandbox.get("coupon", sandbox.get("discount", identity)["source"]["coupon"])
        totals.append({"amount": take(coupon, lines, identity), "discount": identity})
    return {"discounts": list(subscription["discounts"]), "total_discount_amounts": totals}


def take(coupon: Thing, lines: list[Thing], identity: str) -> int:
    left, taken = coupon["amount_off"], 0
    for line in lines:
        if not line["discountable"] or line["amount"] <= 0:
            continue
        percent = coupon["percent_off"]
        part = round(line["amount"] * percent / 100) if percent else min(left, line["amount"])
        left = None if left is None else left - part
        line["discount_amounts"] = [*line["discount_amounts"], {"amount": part, "discount": identity}]
        taken += part
    return taken


def use_up(sandbox: Sandbox, subscription: Thing) -> None:
    """A coupon that holds once was for the invoice that has just been made."""
    subscription["discounts"] = [
        one
        for one in subscription["discounts"]
        if sandbox.get("coupon", sandbox.get("discount", one)["source"]["coupon"])["duration"] != "once"
    ]


retrieve("coupon", "/v1/coupons")
listed("coupon", "/v1/coupons")
