"""What each account spent by day, and when its spending was paused: what the breaker learns and writes down."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Date as SqlDate
from sqlalchemy import ForeignKey, Index, extract, func, literal, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.types import BigId, Nanos
from app.extensions import db
from app.models.base import INSERTS, Model, ModelBase, one_of, partial_index, refers_to
from app.models.metering.usage import Usage
from app.models.metering.usage_rollup import start_of

OF_ACCOUNT = text("resumed_at IS NULL AND api_key_id IS NULL")
OF_KEY = text("resumed_at IS NULL")
HOUR_SECONDS = 3600
MOST_SHOWN = 50


class SpendingDay(ModelBase):
    """What was paid for the calls of one account that ended on one UTC day, and in the busiest hour of it."""

    __tablename__ = "spending_days"
    __table_args__ = (Index("ix_spending_days_day", "day"),)

    account_id: Mapped[int] = mapped_column(BigId, ForeignKey("accounts.id", ondelete="RESTRICT"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    spent_nanos: Mapped[Nanos]
    busiest_hour_nanos: Mapped[Nanos]
    was_mistake: Mapped[bool] = mapped_column(default=False)

    @classmethod
    def newest(cls) -> date | None:
        return db.session.scalar(select(func.max(cls.day)))

    @classmethod
    def learn(cls, day: date) -> None:
        """Add up a day that is over, once. A day that was paused and resumed as a mistake is marked as such."""
        paid = func.sum(Usage.paid_nanos).label("paid")
        seconds = extract("epoch", Usage.settled_at)
        begins, ends = start_of(day), start_of(day + timedelta(days=1))
        ended = Usage.settled_at >= begins, Usage.settled_at < ends, Usage.state == "settled"
        hour = (seconds - seconds % HOUR_SECONDS).label("hour")
        hours = select(Usage.account_id, hour, paid).where(*ended).group_by(Usage.account_id, hour).subquery()
        paused = SpendingPause.created_at >= begins, SpendingPause.created_at < ends
        was_mistake = (
            select(SpendingPause.id)
            .where(SpendingPause.account_id == hours.c.account_id, SpendingPause.was_mistake, *paused)
            .exists()
        )
        spent, busiest = func.sum(hours.c.paid), func.max(hours.c.paid)
        columns: list[Any] = [hours.c.account_id, literal(day, SqlDate), spent, busiest, was_mistake]
        rows = select(*columns).group_by(hours.c.account_id)
        adding = INSERTS[db.engine.dialect.name](cls.__table__).from_select(list(cls.__table__.c.keys()), rows)
        db.session.execute(adding.on_conflict_do_nothing())


class SpendingPause(Model):
    """A trip of the breaker: of the account, or of one key alone. While it is open there is no other of the same.

    `usual_nanos` is what an average day came to; `minutes` since the first call of the period; `model` the one that
    cost the most of it. Whoever writes one holds the account.
    """

    __tablename__ = "spending_pauses"
    __table_args__ = (
        one_of("period", "hour", "day"),
        Index("ix_spending_pauses_account", "account_id", "id"),
        partial_index("uq_spending_pauses_open_of_account", "account_id", unique=True, where=OF_ACCOUNT),
        partial_index("uq_spending_pauses_open_of_key", "api_key_id", unique=True, where=OF_KEY),
    )  # fmt: skip

    account_id: Mapped[int] = refers_to("accounts.id")
    api_key_id: Mapped[int | None] = refers_to("api_keys.id")
    period: Mapped[str]
    spent_nanos: Mapped[Nanos]
    reserved_nanos: Mapped[Nanos]
    bar_nanos: Mapped[Nanos]
    usual_nanos: Mapped[Nanos]
    minutes: Mapped[int]
    model: Mapped[str]
    model_percent: Mapped[int]
    resumed_at: Mapped[datetime | None]
    resumed_by_id: Mapped[int | None] = refers_to("users.id")
    was_mistake: Mapped[bool] = mapped_column(default=False)

    account = relationship("Account")
    api_key = relationship("ApiKey")

    @classmethod
    def open_of(cls, account_id: int) -> "list[SpendingPause]":
        paused = cls.account_id == account_id, cls.resumed_at.is_(None)
        return list(db.session.scalars(select(cls).where(*paused).order_by(cls.id)))

    @classmethod
    def newest(cls, account_id: int) -> "list[SpendingPause]":
        query = select(cls).where(cls.account_id == account_id).order_by(cls.id.desc())
        return list(db.session.scalars(query.limit(MOST_SHOWN)))


def dearest_model(account_id: int, start: datetime, key_ids: tuple[int, ...]) -> tuple[str, int, datetime]:
    """The model that cost the most since then, its percentage, and when the first of those calls began."""
    cost = Usage.paid_nanos + Usage.reserved_nanos
    since = Usage.account_id == account_id, Usage.created_at >= start
    keys = (Usage.api_key_id.in_(key_ids),) if key_ids else ()
    rows = db.session.execute(
        select(Usage.model, func.sum(cost), func.min(Usage.created_at))
        .where(*since, *keys)
        .group_by(Usage.model)
        .order_by(func.sum(cost).desc())
    ).all()
    if not rows:
        return "", 0, start
    total = sum(int(row[1]) for row in rows)
    return rows[0][0], int(rows[0][1]) * 100 // max(1, total), min(row[2] for row in rows)
