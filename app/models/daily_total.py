"""What the calls of a day came to, added up once the day is over: exact, and always to be had again from the calls."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import BigInteger, Index, Select, delete, func, literal, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from app.database import BigId, Nanos
from app.extensions import db
from app.models.account import Account
from app.models.base import Model
from app.models.usage import Usage

SETTLING = timedelta(hours=1)
"""How long after midnight a call may still be settled into the day before."""


class DailyTotal(Model):
    """The calls that were settled on one UTC day, by model, operation and the plan that their accounts are on."""

    __tablename__ = "daily_totals"

    day: Mapped[date] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger)
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    cost_nanos: Mapped[Nanos]
    paid_nanos: Mapped[Nanos]
    absorbed_nanos: Mapped[Nanos]


class AccountDay(Model):
    """The calls of one account that were settled on one UTC day."""

    __tablename__ = "account_days"
    __table_args__ = (Index("ix_account_days_account", "account_id", "day"),)

    day: Mapped[date] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger)
    cost_nanos: Mapped[Nanos]
    paid_nanos: Mapped[Nanos]
    absorbed_nanos: Mapped[Nanos]


def start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def settled_on(day: date) -> Any:
    return (Usage.settled_at >= start_of(day)) & (Usage.settled_at < start_of(day + timedelta(days=1)))


def total(column: Any) -> Any:
    return func.coalesce(func.sum(column), 0)


FIGURES = (
    total(Usage.cost_nanos).label("cost_nanos"),
    total(Usage.allowance_paid_nanos + Usage.credits_paid_nanos).label("paid_nanos"),
    total(Usage.absorbed_nanos).label("absorbed_nanos"),
)
INPUT = Usage.uncached_input + Usage.cache_read + Usage.cache_write_5m + Usage.cache_write_1h


def totals_of(day: date) -> Select[Any]:
    """A day's rows of `DailyTotal`, counted from the calls; the columns are in its order."""
    kinds = Usage.model, Usage.operation, Account.plan_id
    counts = (
        func.count().label("calls"),
        total(INPUT).label("input_tokens"),
        total(Usage.output).label("output_tokens"),
    )
    rows = select(*kinds, *counts, *FIGURES).join(Account, Account.id == Usage.account_id)
    return rows.where(settled_on(day)).group_by(*kinds)


def accounts_of(day: date) -> Select[Any]:
    """A day's rows of `AccountDay`, counted from the calls."""
    rows = select(Usage.account_id, func.count().label("calls"), *FIGURES)
    return rows.where(settled_on(day)).group_by(Usage.account_id)


def last_closed() -> date | None:
    return db.session.scalar(select(func.max(AccountDay.day)))


def first_open_day(now: datetime) -> date | None:
    """The oldest day that has calls, is over, and is not added up yet."""
    closed = last_closed()
    begins = [Usage.settled_at >= start_of(closed + timedelta(days=1))] if closed else []
    first = db.session.scalar(
        select(func.min(Usage.settled_at)).where(Usage.settled_at.is_not(None), *begins)
    )
    is_over = first is not None and start_of(first.date() + timedelta(days=1)) + SETTLING <= now
    return first.date() if first is not None and is_over else None


def close_day(day: date) -> None:
    """Add a day up; nothing happens where that was done at the same moment elsewhere."""
    for table, rows in ((DailyTotal.__table__, totals_of(day)), (AccountDay.__table__, accounts_of(day))):
        counted = rows.subquery()
        columns = [column.name for column in table.columns if column.name != "day"]
        found = select(literal(day, type_=table.c.day.type), *(counted.c[name] for name in columns)).where(
            true()
        )
        db.session.execute(insert_into(table).from_select(["day", *columns], found).on_conflict_do_nothing())


def insert_into(table: Any) -> Any:
    return (postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert)(table)


def forget_all() -> None:
    """So that every day is added up anew."""
    db.session.execute(delete(DailyTotal))
    db.session.execute(delete(AccountDay))
