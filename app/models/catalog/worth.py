"""What a purchase is worth, by price, surcharge and margin. billing-rules.md 2."""

from __future__ import annotations

from decimal import Decimal

from app.models.base import NANOS_PER_CENT, NANOS_PER_CREDIT
from app.models.metering.refusal import PricingError


def worth_of(price_cents: int, surcharge_cents: int, margin_bps: int) -> int:
    """Nano-dollars of model cost that a price buys: (price - surcharge) x (1 - margin).

    Exact: a cent is 10,000,000 nanos and a basis point 1/10,000. PricingError where a figure cannot be.
    """
    if price_cents < 0 or surcharge_cents < 0:
        raise PricingError("price and surcharge cannot be negative")
    if surcharge_cents > price_cents:
        raise PricingError(f"surcharge {surcharge_cents} is more than the price {price_cents} (cents)")
    if not 0 <= margin_bps < 10_000:
        raise PricingError(f"margin {margin_bps} is not between 0 and 9,999 basis points")
    return (price_cents - surcharge_cents) * (NANOS_PER_CENT // 10_000) * (10_000 - margin_bps)


def credits_per_unit(nanos: int, cents: int) -> Decimal:
    """Credits for each hundred of the currency's smallest unit."""
    return Decimal(nanos * 100) / (NANOS_PER_CREDIT * cents) if cents else Decimal(0)
