"""What a checkout session sells: its lines, their prices, and what they come to."""

from typing import Any

from sandbox import catalog
from sandbox.errors import invalid, missing_param
from sandbox.money import check_same
from sandbox.params import Params, nested, required, whole
from sandbox.shapes import blank, new_id
from sandbox.store import Thing
from sandbox.world import Sandbox


def lines_from(sandbox: Sandbox, params: Params, mode: str) -> list[Thing]:
    given = params.get("line_items") or []
    if mode != "setup" and not given:
        raise missing_param("line_items")
    return [line_from(sandbox, one, mode, index) for index, one in enumerate(given)]


def line_from(sandbox: Sandbox, given: Params, mode: str, index: int) -> Thing:
    price = price_from(sandbox, given, index)
    if mode == "payment" and price["type"] == "recurring":
        raise invalid("You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode "
                      "or use only one-time prices.", f"line_items[{index}][price]")  # fmt: skip
    quantity = whole(given, "quantity", 1)
    amount = price["unit_amount"] * quantity
    line = blank("item")
    line.update(
        id=new_id("item"),
        amount_subtotal=amount,
        amount_total=amount,
        currency=price["currency"],
        description=sandbox.get("product", price["product"])["name"],
        price=price,
        quantity=quantity,
    )
    return line


def price_from(sandbox: Sandbox, given: Params, index: int) -> Thing:
    if "price_data" in given:
        return inline_price(sandbox, nested(given, "price_data"))
    price = sandbox.get("price", required(given, "price"), f"line_items[{index}][price]")
    if not catalog.is_live(sandbox, price):
        raise invalid("The price specified is inactive. This field only accepts active prices.", f"line_items[{index}]")
    return price


def inline_price(sandbox: Sandbox, data: Params) -> Thing:
    """An inline price: made for this session only, inactive."""
    return sandbox.change(catalog.create_price(sandbox, data), active=False)


def totals(lines: list[Thing], params: Params) -> dict[str, Any]:
    """What is due today, before and after discounts and tax; nothing while a trial lasts."""
    if not lines:
        return {"amount_subtotal": None, "amount_total": None, "total_details": None}
    trial = nested(params, "subscription_data")
    due = [] if "trial_period_days" in trial or "trial_end" in trial else lines
    details = {name: sum(line[name] for line in due) for name in ("amount_discount", "amount_tax")}
    shown = {name: sum(line[name] for line in due) for name in ("amount_subtotal", "amount_total")}
    return {
        **shown,
        "total_details": {**details, "amount_shipping": 0},
        "currency": check_same({line["currency"] for line in lines}),
    }
