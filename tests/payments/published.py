"""What Stripe knows of our plans and packs, told once a test process: it would take most tests longer than all else."""

from copy import deepcopy
from typing import Any

from app.extensions import db
from app.models.billing.stripe_account import SOLD
from app.payments import product_sync
from sandbox.store import Thing
from sandbox.world import Sandbox

THERE = ("product", "price")
HERE = ("stripe_product_id", "stripe_price_id", "published_digest")

Known = tuple[dict[str, dict[str, Thing]], dict[tuple[str, int], dict[str, Any]]]
_known: list[Known] = []


def publish_all(sandbox: Sandbox) -> None:
    """Have every plan and pack of the seeds published, with no notice of it under way; committed."""
    if not _known:
        _known.append(published_by_the_app(sandbox))
    objects, columns = _known[0]
    sandbox.store.objects.update(deepcopy(objects))
    sandbox.store.objects["event"] = {}
    for (kind, sold_id), values in columns.items():
        db.session.query(SOLD[kind]).filter_by(id=sold_id).update(values)
    db.session.commit()


def published_by_the_app(sandbox: Sandbox) -> Known:
    sold = product_sync.unpublished()
    for _kind, each in sold:
        product_sync.publish(each)
    columns = {(kind, each.id): {name: getattr(each, name) for name in HERE} for kind, each in sold}
    return {kind: deepcopy(sandbox.store.objects[kind]) for kind in THERE}, columns
