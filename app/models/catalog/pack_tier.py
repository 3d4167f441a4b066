"""Volume tiers: the quantity from which a pack has another margin. billing-rules.md 8."""

from typing import TYPE_CHECKING, NamedTuple

from app.models.catalog.worth import is_above_floor

if TYPE_CHECKING:
    from app.models.catalog.plan import CreditPack

MOST_PACKS = 100


class PackTier(NamedTuple):
    """From that quantity on the whole purchase is sold at this margin."""

    from_quantity: int
    margin_bps: int


def fault_of(pack: "CreditPack") -> str | None:
    """Why such tiers cannot be sold: more must always be worth more, and no tier may leave less than the floor."""
    for quantity in range(1, MOST_PACKS + 1):
        quote = pack.quote(quantity)
        if quantity > 1 and quote.worth_nanos <= pack.quote(quantity - 1).worth_nanos:
            return f"{quantity} would be worth no more than {quantity - 1}."
        if quantity in {tier.from_quantity for tier in pack.tiers} and not is_above_floor(
            quote.worth_nanos, quote.price_cents
        ):
            return f"From {quantity} on, it would sell below the lowest margin in Settings."
    return None
