"""What the calls of a day came to, added up once the day is over: exact, and always to be had again from the calls."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Index,
    Select,
    Subquery,
    and_,
    case,
    delete,
    func,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from app.database import BigId, Nanos
from app.extensions import db
from app.models.account import Account
from app.models.base import Model
from app.models.usage import Usage

SETTLING = timedelta(hours=1)
"""How long after midnight a day stays open at least; it does for as long as one of its calls runs."""

LONGEST_CALL = timedelta(days=1)


class DailyTotal(Model):
    """The calls that began on one UTC day, by model, operation and the plan that their accounts are on."""

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
    """The calls of one account that began on one UTC day, by person, model, operation and chat (0: none).

    Calls and tokens are those of calls that were paid; what the others cost is in the cost, and absorbed.
    """

    __tablename__ = "account_days"
    __table_args__ = (Index("ix_account_days_account", "account_id", "day"),)

    day: Mapped[date] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(primary_key=True)
    chat_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger)
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    cost_nanos: Mapped[Nanos]
    paid_nanos: Mapped[Nanos]
    absorbed_nanos: Mapped[Nanos]


def start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def begun_on(day: date) -> Any:
    """The ended calls of a day; it is the index of their ends that finds them."""
    ends = (
        Usage.settled_at >= start_of(day),
        Usage.settled_at < start_of(day + timedelta(days=1)) + LONGEST_CALL,
    )
    return and_(Usage.day == day, *ends)


def total(column: Any) -> Any:
    return func.coalesce(func.sum(column), 0)


FIGURES = (
    total(Usage.cost_nanos).label("cost_nanos"),
    total(Usage.allowance_paid_nanos + Usage.credits_paid_nanos).label("paid_nanos"),
    total(Usage.absorbed_nanos).label("absorbed_nanos"),
)
INPUT = Usage.uncached_input + Usage.cache_read + Usage.cache_write_5m + Usage.cache_write_1h
PAID = (
    func.count().filter(Usage.state == "settled").label("calls"),
    total(case((Usage.state == "settled", INPUT), else_=0)).label("input_tokens"),
    total(case((Usage.state == "settled", Usage.output), else_=0)).label("output_tokens"),
)


def totals_of(day: date) -> Select[Any]:
    """A day's rows of `DailyTotal`, counted from the calls; the columns are in its order."""
    kinds = Usage.day, Usage.model, Usage.operation, Account.plan_id
    counts = (
        func.count().label("calls"),
        total(INPUT).label("input_tokens"),
        total(Usage.output).label("output_tokens"),
    )
    rows = select(*kinds, *counts, *FIGURES).join(Account, Account.id == Usage.account_id)
    return rows.where(begun_on(day)).group_by(*kinds)


def accounts_of(condition: Any) -> Select[Any]:
    """Rows of `AccountDay`, counted from the calls that meet the condition; the columns are in its order."""
    chat = func.coalesce(Usage.chat_id, literal_column("0"))
    keys = Usage.day, Usage.account_id, Usage.user_id, Usage.model, Usage.operation
    rows = select(*keys, chat.label("chat_id"), *PAID, *FIGURES)
    return rows.where(condition).group_by(*keys, chat)


def use_since(first: date, **whose: int) -> Subquery:
    """What the paid calls of an account, or of one person there, came to: rows of `AccountDay`, open days included."""
    closed = last_closed()
    open_from = max(first, closed + timedelta(days=1)) if closed else first
    past = select(*AccountDay.__table__.c).where(AccountDay.day >= first, AccountDay.calls > 0)
    is_open = (Usage.created_at >= start_of(open_from)) & (Usage.day >= open_from)
    live = accounts_of(is_open & (Usage.state == "settled"))
    parts = (past.where(*belongs_to(AccountDay, whose)), live.where(*belongs_to(Usage, whose)))
    return union_all(*parts).subquery("use")


def belongs_to(table: type[Model], whose: dict[str, int]) -> list[Any]:
    return [getattr(table, name) == value for name, value in whose.items()]


def last_closed() -> date | None:
    return db.session.scalar(select(func.max(AccountDay.day)))


def first_open_day(now: datetime) -> date | None:
    """The oldest day that has calls, is over, and is not added up yet."""
    closed = last_closed() or date.min
    begins = [Usage.settled_at >= start_of(closed + timedelta(days=1))] if closed > date.min else []
    ended = db.session.scalar(
        select(func.min(Usage.settled_at)).where(Usage.settled_at.is_not(None), *begins)
    )
    if ended is None:
        return None
    near = Usage.settled_at >= ended, Usage.settled_at < ended + LONGEST_CALL
    day = db.session.scalar(select(func.min(Usage.day)).where(*near, Usage.day > closed))
    return day if day is not None and is_over(day, now) else None


def is_over(day: date, now: datetime) -> bool:
    """Whether nothing will be added to a day any more."""
    end = start_of(day + timedelta(days=1))
    still = select(Usage.id).where(Usage.state == "running", Usage.created_at < end).limit(1)
    return end + SETTLING <= now and db.session.scalar(still) is None


def close_day(day: date) -> None:
    """Add a day up; nothing happens where that was done at the same moment elsewhere."""
    for table, rows in (
        (DailyTotal.__table__, totals_of(day)),
        (AccountDay.__table__, accounts_of(begun_on(day))),
    ):
        found = select(*rows.subquery().c).where(true())
        names = [column.name for column in table.columns]
        db.session.execute(insert_into(table).from_select(names, found).on_conflict_do_nothing())


def insert_into(table: Any) -> Any:
    return (postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert)(table)


def forget_all() -> None:
    """So that every day is added up anew."""
    db.session.execute(delete(DailyTotal))
    db.session.execute(delete(AccountDay))
