"""Which model really served a call, and at which tier: routers fall back and aliases move. That price counts."""

import re
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import load_only

from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import ModelPrice
from app.models.catalog.price_schedule import in_force

SNAPSHOT = re.compile(
    r"([-@](\d{3,8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|latest|default|preview[-\d]*|exp[-\d]*))+", re.IGNORECASE
)
"""What a vendor puts behind an alias to say which build of the same model answered."""

MOVING = re.compile(r"[-@](latest|default)$")
"""The end of an alias that names whichever build is the newest."""

ROUTE = re.compile(r":(free|nitro|floor|exacto|extended|beta|latest)$|-v\d+:\d+$")
"""How OpenRouter routes, and the version of an interface at Bedrock: behind a name, and no part of it."""

HOUSE = re.compile(r"^((us|eu|apac|au|jp|global)\.)?[a-z]+\.(?=[a-z])")
"""The region and the maker before a model's name at Bedrock."""


def bare(name: str) -> str:
    """A model's name without folder, vendor, region and route; versions by dashes."""
    own = ROUTE.sub("", name.lower().rstrip("/").rpartition("/")[2])
    return HOUSE.sub("", own).replace(".", "-")


def is_same_model(answered: str, asked: str) -> bool:
    """Whether both name one model, whatever folder, vendor or date stands around it. Two builds are two models."""
    shown, wanted = bare(answered), bare(asked)
    if shown == wanted:
        return True
    if MOVING.search(wanted) or MOVING.search(shown):
        shown, wanted = MOVING.sub("", shown), MOVING.sub("", wanted)
    longer, shorter = (shown, wanted) if len(shown) > len(wanted) else (wanted, shown)
    return longer.startswith(shorter) and SNAPSHOT.fullmatch(longer[len(shorter) :] or "-latest") is not None


def is_asked(answered: str, model: AIModel) -> bool:
    return any(is_same_model(answered, name) for name in (model.name, model.upstream_name) if name)


def price_as_served(
    asked: str, answered: str | None, at: datetime, *, tier: str, is_other_tier: bool
) -> ModelPrice | None:
    """The price of what served a call: of the model that answered, at that tier. None: the one reserved at holds.

    A model counts where it is listed under that name, first at the same provider, on sale or not; one that is not
    listed is the admin's to see, and the asked one's price holds. So does the ordinary price of a tier without one.
    """
    model = AIModel.named(asked)
    if model is None:
        return None
    other = other_model(model, answered)
    if other is None and not is_other_tier:
        return None
    return in_force([price for price in (other or model).prices if price.approved_at], at, tier)


def other_model(model: AIModel, answered: str | None) -> AIModel | None:
    """The other model of the price list that answered in the place of this one.

    By its own name first; else by what others call it, unless the one that was asked goes by that name too.
    """
    if not answered or answered in (model.name, model.upstream_name):
        return None
    names = or_(AIModel.upstream_name == answered, AIModel.name == answered)
    nearest = (AIModel.provider_id != model.provider_id, AIModel.id)
    other = db.session.scalar(select(AIModel).where(names).order_by(*nearest).limit(1))
    if other is None and not is_asked(answered, model):
        named = select(AIModel).options(load_only(AIModel.name, AIModel.upstream_name)).order_by(*nearest)
        other = next((one for one in db.session.scalars(named) if is_asked(answered, one)), None)
    return other if other is not None and other.id != model.id else None
