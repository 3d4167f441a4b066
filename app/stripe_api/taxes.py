"""Stripe Tax: what a checkout, a price and the portal are sent where it is on. billing-rules.md 11."""

from typing import Any, NamedTuple

from app.models.billing.auto_recharge import Recharge
from app.models.catalog.setting import Setting
from app.models.catalog.worth import tax_behavior
from app.stripe_api.client import asking, every

Params = dict[str, Any]


class Calculation(NamedTuple):
    """Stripe's id of it, and the tax on top of the price and within it, in cents."""

    stripe_id: str
    exclusive: int
    inclusive: int


PORTAL_MARK = {"tollgate": "tax"}


def of_checkout() -> Params:
    """The tax of what a page sells, by the address that it asks for; tax ids and names of companies too."""
    if not Setting.get("automatic_tax"):
        return {}
    return {
        "automatic_tax": {"enabled": True},
        "tax_id_collection": {"enabled": True},
        "billing_address_collection": "required",
        "customer_update": {"address": "auto", "name": "auto"},
    }


def of_price() -> Params:
    behavior = tax_behavior()
    return {"tax_behavior": behavior} if behavior else {}


def calculate(recharge: Recharge) -> Calculation:
    """The tax of a payment that no page asks for, by the address that the customer has; the same for one attempt."""
    payment = recharge.payment
    asked = payment.price_cents - (payment.tax_cents - payment.included_tax_cents)
    line = {"amount": asked, "reference": f"recharge-{recharge.id}", **of_price()}
    wanted: Params = {
        "currency": payment.currency,
        "customer": recharge.stripe_customer_id,
        "line_items": [line],
    }
    with asking() as v1:
        answer = v1.tax.calculations.create(wanted, {"idempotency_key": f"tax-{recharge.idempotency_key}"})
        return Calculation(str(answer.id), answer.tax_amount_exclusive, answer.tax_amount_inclusive)


def of_portal() -> Params:
    """A portal where customers change address, name and tax id; made once."""
    if not Setting.get("automatic_tax"):
        return {}
    with asking() as v1:
        made = every(v1.billing_portal.configurations.list({"active": True, "limit": 100}))
        known = next((one["id"] for one in made if one.get("metadata") == PORTAL_MARK), None)
        return {"configuration": known or v1.billing_portal.configurations.create(PORTAL).id}


PORTAL: Any = {
    "metadata": PORTAL_MARK,
    "features": {
        "customer_update": {"enabled": True, "allowed_updates": ["address", "name", "tax_id"]},
        "invoice_history": {"enabled": True},
        "payment_method_update": {"enabled": True},
    },
}
