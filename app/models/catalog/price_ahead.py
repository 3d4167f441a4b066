"""Prices to come: what a model will cost from a day on that is known today. billing-rules.md 3."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import ModelPrice
from app.models.catalog.price_schedule import ORDINARY, in_force


@dataclass(frozen=True, slots=True)
class PriceAhead:
    """A model's usual price now, and the one that begins at `then.effective_from`."""

    model: AIModel
    now: ModelPrice
    then: ModelPrice

    @property
    def begins(self) -> datetime:
        return self.then.effective_from

    def price_then(self) -> ModelPrice:
        """The price that holds in the first moment, a peak's too."""
        return in_force(counted(self.model), self.begins, self.model.provider.tier) or self.then


def counted(model: AIModel) -> list[ModelPrice]:
    """The approved rows."""
    return [price for price in model.prices if price.approved_at]


def usual_price(prices: Sequence[ModelPrice], at: datetime, tier: str = ORDINARY) -> ModelPrice | None:
    """What holds at that moment outside of peaks; where no row holds at all hours, what holds then."""
    always = [price for price in prices if price.schedule.is_always]
    return in_force(always, at, tier) or in_force(prices, at, tier)


def prices_ahead(at: datetime, within: timedelta, name: str | None = None) -> list[PriceAhead]:
    """The next change of price of each model on sale that begins in that time; of one model by its name."""
    soon = (
        ModelPrice.approved_at.is_not(None),
        ModelPrice.effective_from > at,
        ModelPrice.effective_from <= at + within,
    )
    models = select(AIModel).where(AIModel.is_for_sale, AIModel.id.in_(select(ModelPrice.model_id).where(*soon)))
    models = models.where(AIModel.name == name) if name else models
    rows = db.session.scalars(models.options(selectinload(AIModel.prices)).order_by(AIModel.position, AIModel.id))
    changes = (change_of(model, at) for model in rows if model.provider.is_usable)
    return [change for change in changes if change and change.begins <= at + within]


def change_of(model: AIModel, at: datetime) -> PriceAhead | None:
    """The first day to come on which the usual price is another than now, before the model's last day."""
    prices, tier = counted(model), model.provider.tier
    now = usual_price(prices, at, tier)
    for begins in sorted({price.effective_from for price in prices if price.effective_from > at}):
        then = usual_price(prices, begins, tier)
        if now and then and then.rates != now.rates and not model.is_retired(begins):
            return PriceAhead(model, now, then)
    return None
