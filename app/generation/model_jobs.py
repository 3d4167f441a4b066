"""Clock jobs about models: warn in time that one ends or that its price changes."""

import os
from datetime import datetime

from sqlalchemy import func, select

from app.catalog import price_watch
from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import WARNED, AIModel
from app.models.catalog.price_ahead import prices_ahead
from app.models.identity.user import User
from app.models.metering.model_use import uses_of
from app.models.metering.usage_rollup import AccountDay
from app.models.operations.outbox import OutgoingMail
from app.notifications import price_mails


def tell_of_endings() -> int:
    """Mail the admins and those who use a model that ends within 30 days, each once; how many models end."""
    now = utcnow()
    near = AIModel.sold_until > now, AIModel.sold_until <= now + WARNED
    models = db.session.scalars(select(AIModel).where(AIModel.is_for_sale, *near).order_by(AIModel.id)).all()
    sold = [model for model in models if model.provider.is_usable]
    for model in sold:
        price_mails.of_ending(model, users_of(model, now))
    db.session.commit()
    return len(sold)


def users_of(model: AIModel, now: datetime) -> list[tuple[User, int]]:
    """Who had calls of the model paid in the last 30 days, and how many."""
    calls = func.sum(AccountDay.calls).label("calls")
    used = AccountDay.model == model.name, AccountDay.day >= (now - WARNED).date()
    people = (
        select(User, calls).join(AccountDay, AccountDay.user_id == User.id).where(*used, User.disabled_at.is_(None))
    )
    rows = db.session.execute(people.group_by(User.id).having(calls > 0).order_by(User.id))
    return [(user, int(count)) for user, count in rows]


def tell_of_prices() -> int:
    """Mail the admins and those who use a model whose price changes within 30 days, once; how many models."""
    now = utcnow()
    news = [ahead for ahead in prices_ahead(now, WARNED) if not OutgoingMail.was_posted(price_mails.price_key(ahead))]
    for ahead in news:
        uses = uses_of(ahead.model.name, now - WARNED, ahead.now.rates, ahead.then.rates)
        price_mails.of_price(ahead, uses)
    db.session.commit()
    return len(news)


def check_prices() -> int:
    """Compare the list with newer data and a second source, where an address is set; how many differences are new.

    All of them become proposals, of which the admins get a mail, once. Nothing is applied.
    """
    differing = price_watch.watch(utcnow(), os.environ.get("PRICE_DATA"), os.environ.get("PRICE_DATA_SECOND"))
    said = repr([(notice.model, notice.ours, notice.theirs, notice.source) for notice in differing])
    news = price_mails.of_price_notices([notice.text for notice in differing], said) if differing else 0
    db.session.commit()
    return news
