"""Whether prices have tax added or hold it, and what a price is without it. billing-rules.md 11."""

from __future__ import annotations

from app.models.base import share
from app.models.catalog.setting import Setting

NOTES = {"exclusive": "plus tax", "inclusive": "including tax"}


def tax_behavior() -> str | None:
    """How Stripe taxes a price: on top of it, or within it; None where no tax is collected."""
    return str(Setting.get("tax_behavior")) if Setting.get("automatic_tax") else None


def tax_note() -> str:
    """What stands beside every price."""
    return NOTES.get(tax_behavior() or "", "")


def without_tax(amount: int, paid: int, included: int) -> int:
    """What of an amount is left without the tax that is in what was paid; all of it where none is."""
    return share(amount, paid - included, paid) if 0 < included < paid else amount
