"""Automatic tax: one rate for everybody (`/_sandbox/settings` `tax_percent`), on top of a price or within it."""

from sandbox.params import Params, flag, nested, required, text, whole
from sandbox.routes import operation
from sandbox.store import Thing
from sandbox.world import Sandbox


@operation("POST", "/v1/tax/calculations")
def calculate(sandbox: Sandbox, params: Params) -> Thing:
    """The tax of a payment that no page asks for."""
    customer = sandbox.get("customer", required(params, "customer"), "customer")
    added_up = {"exclusive": 0, "inclusive": 0}
    asked = 0
    for line in params["line_items"]:
        price = {"tax_behavior": text(line, "tax_behavior", "exclusive")}
        amount, behaviour = tax_of(sandbox, price, whole(line, "amount"))
        asked, added_up[behaviour] = asked + whole(line, "amount"), added_up[behaviour] + amount
    return sandbox.make(
        "tax.calculation",
        currency=required(params, "currency"),
        customer=customer["id"],
        tax_date=sandbox.now,
        amount_total=asked + added_up["exclusive"],
        tax_amount_exclusive=added_up["exclusive"],
        tax_amount_inclusive=added_up["inclusive"],
    )


def wanted(params: Params) -> bool:
    return flag(nested(params, "automatic_tax"), "enabled")


def shown(enabled: bool) -> Thing:
    """The `automatic_tax` of an invoice or a checkout session."""
    liability = {"type": "self"} if enabled else None
    status = {"enabled": enabled, "liability": liability, "status": "complete" if enabled else None}
    return {**status, "provider": "stripe" if enabled else None}


def tax_of(sandbox: Sandbox, price: Thing, amount: int) -> tuple[int, str]:
    """The tax of what is paid for something, half up, and whether it is in that or comes on top."""
    percent = sandbox.tax_percent
    if price["tax_behavior"] == "inclusive":
        return share(amount, percent, 100 + percent), "inclusive"
    return share(amount, percent, 100), "exclusive"


def share(amount: int, part: int, whole: int) -> int:
    sign = -1 if amount < 0 else 1
    return sign * ((2 * abs(amount) * part + whole) // (2 * whole))


def tax_line(sandbox: Sandbox, line: Thing) -> None:
    """Writes the tax of an invoice's line onto it, of what is left after its discounts."""
    price = sandbox.get("price", line["pricing"]["price_details"]["price"])
    taxable = line["amount"] - sum(one["amount"] for one in line["discount_amounts"])
    amount, behaviour = tax_of(sandbox, price, taxable)
    line["taxes"] = [
        {
            "amount": amount,
            "tax_behavior": behaviour,
            "tax_rate_details": None,
            "taxability_reason": "standard_rated",
            "taxable_amount": taxable - amount if behaviour == "inclusive" else taxable,
            "type": "tax_rate_details",
        }
    ]


def totals(lines: list[Thing]) -> list[Thing]:
    """An invoice's `total_taxes`: those of its lines added up, by their behaviour."""
    added: dict[str, Thing] = {}
    for tax in (tax for line in lines for tax in line["taxes"]):
        known = added.setdefault(tax["tax_behavior"], {**tax, "amount": 0, "taxable_amount": 0})
        known["amount"] += tax["amount"]
        known["taxable_amount"] += tax["taxable_amount"]
    return list(added.values())


def on_top(taxes: list[Thing]) -> int:
    return sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")


def tax_checkout(sandbox: Sandbox, session: Thing) -> None:
    """The tax of what a session sells; on top of its lines, or within them."""
    for line in session["_lines"]:
        amount, behaviour = tax_of(sandbox, line["price"], line["amount_total"])
        line["amount_tax"] = amount
        line["amount_total"] += amount if behaviour == "exclusive" else 0
