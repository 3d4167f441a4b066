"""Publishes plans and packs to Stripe as Products and Prices, by a job, never by hand."""

from collections.abc import Iterator

from sqlalchemy import select

from app.extensions import db
from app.models.billing.stripe_account import SOLD
from app.models.catalog.offers import is_published, listing
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.worth import tax_behavior
from app.stripe_api import client, requests

Sold = Plan | CreditPack


def publish(sold: Sold) -> None:
    """Tell Stripe of a plan or pack as it is now, where it does not know; a new price where the terms changed."""
    if is_published(sold):
        return
    mark = listing(sold)
    product_id = requests.publish_product(sold)
    price_id = price_for(sold, product_id, sold.stripe_price_id, sold.price_cents)
    sale_id = sale_price_for(sold, product_id) if isinstance(sold, Plan) else None
    db.session.refresh(sold, with_for_update=True)
    former = {sold.stripe_price_id, sold.stripe_sale_price_id if isinstance(sold, Plan) else None}
    gone = former - {None, price_id, sale_id}
    sold.former_price_ids = [*sold.former_price_ids, *sorted(filter(None, gone))]
    sold.stripe_product_id, sold.stripe_price_id, sold.published_digest = product_id, price_id, mark
    if isinstance(sold, Plan):
        sold.stripe_sale_price_id = sale_id
    db.session.commit()


def price_for(sold: Sold, product_id: str, known: str | None, cents: int) -> str:
    """The price at Stripe with these terms: the one that is known, or a new one."""
    if known is not None and requests.terms_at_stripe(known) == (cents, *terms_of(sold)):
        return known
    return requests.publish_price(sold, product_id, cents)


def sale_price_for(plan: Plan, product_id: str) -> str | None:
    cents = plan.sale_price_cents
    return None if cents is None else price_for(plan, product_id, plan.stripe_sale_price_id, cents)


def make_anew(sold: Sold) -> None:
    """Tell Stripe of it once more: it refused what we had made there, which may be gone or archived."""
    if sold.stripe_price_id and not client.exists("price", sold.stripe_price_id):
        sold.former_price_ids = [*sold.former_price_ids, sold.stripe_price_id]
        sold.stripe_price_id = None
    if sold.stripe_product_id and not client.exists("product", sold.stripe_product_id):
        sold.stripe_product_id = None
    sold.published_digest = ""
    db.session.commit()
    publish(sold)


def gone() -> list[tuple[str, Sold]]:
    """What we think that Stripe knows, and what it does not know or will not sell."""
    known = [(kind, sold) for kind, sold in everything() if sold.status != "inactive" and sold.stripe_price_id]
    published = [(kind, sold) for kind, sold in known if is_published(sold)]
    return [(kind, sold) for kind, sold in published if not client.exists("price", sold.stripe_price_id or "")]


def everything() -> Iterator[tuple[str, Sold]]:
    """Each plan and pack, sold or not: ("plan" or "pack", row)."""
    return ((kind, sold) for kind, table in SOLD.items() for sold in db.session.scalars(select(table)))


def terms_of(sold: Sold) -> tuple[str, str, str | None]:
    """Currency, rhythm and tax behavior."""
    return sold.currency, sold.interval if isinstance(sold, Plan) else "once", tax_behavior()


def publish_one(kind: str, sold_id: int) -> None:
    """A plan or pack by its id, once payments are set up."""
    sold: Sold | None = db.session.get(SOLD[kind], sold_id)
    if sold is not None and client.is_set_up() and is_wanted(sold):
        publish(sold)


def is_wanted(sold: Sold) -> bool:
    """What was retired before it was ever sold need not be told to Stripe."""
    return sold.status != "inactive" or bool(sold.published_digest)


def unpublished() -> list[tuple[str, Sold]]:
    """What Stripe does not know as it is now."""
    return [(kind, sold) for kind, sold in everything() if not is_published(sold) and is_wanted(sold)]
