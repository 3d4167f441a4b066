"""Coupons and promotion codes, and what they take from checkouts and invoices: once, for months or for ever."""

from typing import Any

from sandbox.errors import invalid
from sandbox.params import Params, flag, integer, merged_metadata, nested, required, text
from sandbox.periods import shifted
from sandbox.routes import listed, operation, retrieve
from sandbox.store import Thing
from sandbox.world import Sandbox

DURATIONS = ("once", "repeating", "forever")


@operation("POST", "/v1/coupons")
def create(sandbox: Sandbox, params: Params) -> Thing:
    percent, amount = text(params, "percent_off"), integer(params, "amount_off")
    if (percent is None) == (amount is None):
        raise invalid("You must pass either `percent_off` or `amount_off`.", "percent_off")
    if amount is not None and not text(params, "currency"):
        raise invalid("You must pass currency when passing amount_off.", "currency")
    duration, months = text(params, "duration", "once"), integer(params, "duration_in_months")
    if duration not in DURATIONS or (duration == "repeating") != (months is not None):
        raise invalid("`duration_in_months` is required where `duration` is `repeating`.", "duration_in_months")
    named = {"id": params["id"]} if params.get("id") else {}
    coupon = sandbox.make(
        "coupon",
        percent_off=float(percent) if percent else None,
        amount_off=amount,
        currency=text(params, "currency"),
        duration=duration,
        duration_in_months=months,
        name=text(params, "name"),
        metadata=merged_metadata({}, params),
        _products=products_from(sandbox, params),
        **named,
    )
    sandbox.emit("coupon.created", coupon)
    return coupon


def products_from(sandbox: Sandbox, params: Params) -> list[str]:
    """What `applies_to` names; an answer shows it only where it is expanded."""
    named = nested(params, "applies_to").get("products") or []
    return [sandbox.get("product", one, "applies_to[products]")["id"] for one in named]


@operation("POST", "/v1/promotion_codes")
def create_promotion_code(sandbox: Sandbox, params: Params) -> Thing:
    coupon = required(nested(params, "promotion"), "coupon")
    sandbox.get("coupon", coupon, "promotion[coupon]")
    code = text(params, "code") or f"CODE{len(sandbox.store.all('promotion_code'))}"
    check_spelling_free(sandbox, code)
    promotion = sandbox.make(
        "promotion_code",
        code=code,
        promotion={"coupon": coupon, "type": "coupon"},
        active=flag(params, "active", True),
        metadata=merged_metadata({}, params),
    )
    sandbox.emit("promotion_code.created", promotion)
    return promotion


def check_spelling_free(sandbox: Sandbox, code: str) -> None:
    """Case does not matter; one that is active has its spelling alone."""
    for other in sandbox.store.where("promotion_code", active=True):
        if other["code"].casefold() == code.casefold():
            raise invalid(f"An active promotion code with `code: {code}` already exists.", "code")


@operation("POST", "/v1/promotion_codes/{id}")
def update_promotion_code(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    promotion = sandbox.get("promotion_code", identity)
    changes: dict[str, Any] = {"metadata": merged_metadata(promotion["metadata"], params)}
    if "active" in params:
        changes["active"] = flag(params, "active")
    return sandbox.change(promotion, "promotion_code.updated", **changes)


def sources_from(sandbox: Sandbox, given: list[Params]) -> list[Thing]:
    """`[{coupon}]` or `[{promotion_code}]`, each as (coupon, promotion_code)."""
    return [source_from(sandbox, one, f"discounts[{index}]") for index, one in enumerate(given)]


def source_from(sandbox: Sandbox, given: Params, name: str) -> Thing:
    if "promotion_code" not in given:
        coupon = sandbox.get("coupon", required(given, "coupon"), f"{name}[coupon]")
        return {"coupon": coupon["id"], "promotion_code": None}
    promotion = sandbox.get("promotion_code", given["promotion_code"], f"{name}[promotion_code]")
    if not promotion["active"]:
        raise invalid("This promotion code is expired.", f"{name}[promotion_code]", "promotion_code_expired")
    return {"coupon": promotion["promotion"]["coupon"], "promotion_code": promotion["id"]}


def apply_to(sandbox: Sandbox, subscription: Thing, params: Params) -> None:
    """`discounts` takes the place of those that were there; an empty one takes them away."""
    if "discounts" in params:
        sources = sources_from(sandbox, params["discounts"] or [])
        subscription["discounts"] = [made(sandbox, subscription, source) for source in sources]


def made(sandbox: Sandbox, subscription: Thing, source: Thing) -> str:
    coupon = sandbox.get("coupon", source["coupon"])
    months = coupon["duration_in_months"]
    ends = shifted(sandbox.now, {"interval": "month", "interval_count": months}, 1) if months else None
    discount = sandbox.make(
        "discount",
        customer=subscription["customer"],
        source={"coupon": coupon["id"], "type": "coupon"},
        promotion_code=source["promotion_code"],
        start=sandbox.now,
        end=ends,
        subscription=subscription["id"],
    )
    coupon["times_redeemed"] += 1
    return str(discount["id"])


def coupon_of(sandbox: Sandbox, identity: str) -> Thing:
    return sandbox.get("coupon", sandbox.get("discount", identity)["source"]["coupon"])


def running(sandbox: Sandbox, subscription: Thing) -> list[str]:
    """Its discounts that have not come to their end."""
    ends = {one: sandbox.get("discount", one)["end"] for one in subscription["discounts"]}
    return [one for one, end in ends.items() if end is None or end > sandbox.now]


def discounted(sandbox: Sandbox, subscription: Thing, lines: list[Thing]) -> dict[str, Any]:
    """The invoice's discounts, each line with its part; a line's amount stays whole."""
    identities = running(sandbox, subscription)
    totals = [{"amount": take(coupon_of(sandbox, one), lines, one), "discount": one} for one in identities]
    return {"discounts": identities, "total_discount_amounts": totals}


def take(coupon: Thing, lines: list[Thing], identity: str) -> int:
    left, taken = coupon["amount_off"], 0
    for line in lines:
        if not line["discountable"] or line["amount"] <= 0 or not covers(coupon, product_of(line)):
            continue
        part = part_of(coupon, line["amount"], left)
        left = None if left is None else left - part
        line["discount_amounts"] = [*line["discount_amounts"], {"amount": part, "discount": identity}]
        taken += part
    return taken


def product_of(line: Thing) -> str:
    return str(line["pricing"]["price_details"]["product"])


def covers(coupon: Thing, product: str) -> bool:
    return not coupon["_products"] or product in coupon["_products"]


def part_of(coupon: Thing, amount: int, left: int | None = None) -> int:
    """What a coupon takes of an amount: a percentage half up, or an amount, of which so much is `left`."""
    if coupon["percent_off"]:
        return (amount * round(coupon["percent_off"] * 100) * 2 + 10_000) // 20_000
    return min(coupon["amount_off"] if left is None else left, amount)


def net(sandbox: Sandbox, subscription: Thing, product: str, amount: int) -> int:
    """What a period costs under the discounts of now: prorations are of that, and are not discounted themselves."""
    for identity in running(sandbox, subscription):
        coupon = coupon_of(sandbox, identity)
        if covers(coupon, product) and coupon["duration"] != "once":
            amount -= part_of(coupon, amount)
    return amount


def use_up(sandbox: Sandbox, subscription: Thing, invoice: Thing) -> None:
    """A coupon that holds once was for the invoice that has just been made, where that sold anything."""
    if invoice["subtotal"] <= 0:
        return
    used = {one["discount"] for one in invoice["total_discount_amounts"] if one["amount"]}
    subscription["discounts"] = [
        one
        for one in running(sandbox, subscription)
        if one not in used or coupon_of(sandbox, one)["duration"] != "once"
    ]


def take_from_checkout(sandbox: Sandbox, session: Thing) -> None:
    """What the session's discounts take off its lines."""
    for source in session["discounts"] or []:
        coupon = sandbox.get("coupon", source["coupon"])
        left = coupon["amount_off"]
        for line in session["_lines"]:
            if covers(coupon, line["price"]["product"]):
                part = part_of(coupon, line["amount_total"], left)
                left = None if left is None else left - part
                line["amount_discount"] += part
                line["amount_total"] -= part


retrieve("coupon", "/v1/coupons")
listed("coupon", "/v1/coupons")
retrieve("promotion_code", "/v1/promotion_codes")
listed("promotion_code", "/v1/promotion_codes", "code", "active")
