"""The real margin of a sale: what is left of what is really paid, and what Stripe keeps. billing-rules.md 10."""

from __future__ import annotations

from app.models.base import share
from app.models.catalog.setting import Setting
from app.models.catalog.worth import BPS, unit_nanos


def real_margin_bps(worth_nanos: int, net_cents: int, surcharge_cents: int = 0) -> int | None:
    """`1 - worth / (net - surcharge)` in basis points, rounded down; None where nothing is left to divide by."""
    base = (net_cents - surcharge_cents) * unit_nanos()
    return (base - worth_nanos) * BPS // base if base > 0 else None


def is_above_floor(worth_nanos: int, net_cents: int, surcharge_cents: int = 0) -> bool:
    """Whether such a sale leaves at least the floor of the settings; exact. What is worth nothing always does."""
    base, floor = (net_cents - surcharge_cents) * unit_nanos(), Setting.get("margin_floor")
    return worth_nanos <= 0 <= net_cents or (base > 0 and worth_nanos * BPS <= base * (BPS - floor))


def payment_fee(cents: int, payments: int, share_bps: int, fixed_cents: int) -> int:
    """What Stripe keeps of so many payments of so many cents together: a share, half up, and a fixed part of each."""
    return share(cents, share_bps, BPS) + payments * fixed_cents


def usual_payment_fee(cents: int, payments: int = 1) -> int:
    """The same as the settings have it."""
    return payment_fee(cents, payments, Setting.get("payment_fee"), int(Setting.get("payment_fee_cents")))
