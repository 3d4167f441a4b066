"""Who answered: routers fall back to other models, vendors' aliases move. The price is that of the one that did."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import or_, select

from app.extensions import db
from app.models.catalog.price import AIModel, ModelPrice
from app.models.catalog.price_schedule import in_force

SNAPSHOT = re.compile(
    r"[-@:](\d{3,8}|\d{4}-\d{2}-\d{2}|latest|default|preview[-\d]*|exp[-\d]*)", re.IGNORECASE
)
"""What a vendor puts behind an alias to say which build of the same model answered."""


def is_same_model(answered: str, asked: str) -> bool:
    """Whether both name one model, whatever folder, vendor or date stands around it."""
    shown, wanted = (name.lower().rstrip("/").rpartition("/")[2] for name in (answered, asked))
    if shown == wanted:
        return True
    longer, shorter = (shown, wanted) if len(shown) > len(wanted) else (wanted, shown)
    return longer.startswith(shorter) and SNAPSHOT.fullmatch(longer[len(shorter) :]) is not None


def is_asked(answered: str, model: AIModel) -> bool:
    return any(is_same_model(answered, name) for name in (model.name, model.upstream_name) if name)


def price_of_answering(asked: str, answered: str | None, at: datetime) -> ModelPrice | None:
    """The price of the listed model that answered in the place of another; None: the asked one's holds.

    Listed is what is served under that name, first by the same provider, on sale or not. One that is not listed is
    the admin's to see, and the asked one's price holds.
    """
    model = AIModel.named(asked) if answered else None
    if model is None or answered in (model.name, model.upstream_name):
        return None
    names = or_(AIModel.upstream_name == answered, AIModel.name == answered)
    nearest = (AIModel.provider_id != model.provider_id, AIModel.id)
    other = db.session.scalar(select(AIModel).where(names).order_by(*nearest).limit(1))
    if other is None or other.id == model.id:
        return None
    return in_force([price for price in other.prices if price.approved_at], at)
