"""Volume: from how many of a pack on a purchase has another margin. billing-rules.md 8."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped

from app.models.base import Model, refers_to
from app.models.catalog.margin import is_above_floor

if TYPE_CHECKING:
    from app.models.catalog.plan import CreditPack

MOST_PACKS = 100


class PackTier(Model):
    """From that quantity on the whole purchase is sold at this margin."""

    __tablename__ = "pack_tiers"
    __table_args__ = (
        UniqueConstraint("pack_id", "from_quantity"),
        CheckConstraint("from_quantity >= 2", name="from_quantity_above_one"),
        CheckConstraint("margin_bps >= 0 AND margin_bps < 10000", name="margin_in_range"),
    )

    pack_id: Mapped[int] = refers_to("packs.id")
    from_quantity: Mapped[int]
    margin_bps: Mapped[int]


def tiers_of(volume: Iterable[Iterable[int]], known: Iterable[PackTier]) -> list[PackTier]:
    """A tier for each quantity and margin; those that are known by their quantity stay."""
    by_quantity, tiers = {tier.from_quantity: tier for tier in known}, []
    for quantity, margin in sorted(map(tuple, volume)):
        tier = by_quantity.get(quantity) or PackTier(from_quantity=quantity)
        tier.margin_bps = margin
        tiers.append(tier)
    return tiers


def fault_of(pack: CreditPack) -> str | None:
    """Why such tiers cannot be sold: more must always be worth more, and no tier may leave less than the floor."""
    for quantity in range(1, MOST_PACKS + 1):
        quote = pack.quote(quantity)
        if quantity > 1 and quote.worth_nanos <= pack.quote(quantity - 1).worth_nanos:
            return f"{quantity} would be worth no more than {quantity - 1}."
        if quantity in {tier.from_quantity for tier in pack.tiers} and not is_above_floor(
            quote.worth_nanos, quote.price_cents
        ):
            return f"From {quantity} on it would be sold below the margin's floor."
    return None
