"""A person's keys of the account that they are in, with what each may spend and has spent."""

from __future__ import annotations

from dataclasses import dataclass

from flask_login import current_user
from sqlalchemy import select

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.price import AIModel
from app.models.identity.api_key import ApiKey
from app.models.metering.key_limit import spent_by_keys


@dataclass(frozen=True, slots=True)
class KeySpent:
    """A key, and what its calls came to this month (UTC) and in all; running ones count as reserved."""

    key: ApiKey
    month: int
    total: int


def own_keys() -> list[ApiKey]:
    """Live ones."""
    mine = ApiKey.user_id == current_user.user_id, ApiKey.account_id == current_user.account_id
    return list(db.session.scalars(select(ApiKey).where(*mine, *ApiKey.is_live()).order_by(ApiKey.id)))


def spent_by(keys: list[ApiKey]) -> list[KeySpent]:
    spent = spent_by_keys([key.id for key in keys], utcnow())
    return [KeySpent(key, *spent.get(key.id, (0, 0))) for key in keys]


def titles() -> dict[str, str]:
    """The models that a key may be kept to, by name."""
    offered = [*AIModel.for_sale(), *AIModel.for_sale(is_embedding=True)]
    return {model.name: model.title for model, _price in offered}
