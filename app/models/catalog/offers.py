"""Plans and packs on offer, and whether Stripe knows each as it is now."""

import hashlib

from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.worth import tax_behavior


def all_on_offer() -> list[Plan | CreditPack]:
    """Everything that is sold now."""
    sold: list[Plan | CreditPack] = [*Plan.on_offer(), *CreditPack.on_offer()]
    return sold


def listing(sold: Plan | CreditPack) -> str:
    """What Stripe is told of it, in short: where this differs from `published_digest`, it is to be told again."""
    rhythm = sold.interval if isinstance(sold, Plan) else "once"
    terms: tuple[object, ...] = (sold.name, sold.description, sold.status != "inactive")
    terms += (sold.price_cents, sold.currency, rhythm)
    if isinstance(sold, Plan) and sold.sale_price_cents is not None:
        terms += (sold.sale_price_cents,)
    if behavior := tax_behavior():
        terms += (behavior,)
    return hashlib.sha256(repr(terms).encode()).hexdigest()


def is_published(sold: Plan | CreditPack) -> bool:
    """Whether Stripe knows it as it is now; what costs nothing never goes there."""
    return sold.price_cents == 0 or sold.published_digest == listing(sold)
