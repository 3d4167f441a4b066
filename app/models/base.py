"""What every table shares: an id, the time of its making, and the words for both."""

import json
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, Self

from flask import g
from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, Text, cast, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, class_mapper, mapped_column

from app.db.compiled_statement import Row, StatementConnection
from app.db.lent_connection import LentConnection
from app.db.replica import REPLICA
from app.db.types import Base, BigId
from app.extensions import db

if TYPE_CHECKING:
    ModelBase = Base
else:
    ModelBase = db.Model

NANOS_PER_CREDIT = 1_000_000
NANOS_PER_CENT = 10_000_000
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


def utcnow() -> datetime:
    """The process's clock, aware and in UTC: the only source of time in Tollgate."""
    return datetime.now(UTC)


def utctoday() -> date:
    return utcnow().date()


def iso(moment: datetime | None) -> str | None:
    """As programs read it: ISO 8601 in UTC."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def credits_string(nanos: int) -> str:
    """Credits as an exact decimal string, as programs read them: no exponent, no idle zeros."""
    return f"{(Decimal(nanos) / NANOS_PER_CREDIT).normalize():f}"


def credits_figure(nanos: int) -> str:
    """Credits to read, wherever they stand: 1,234.5 or 6.25 or 0.0002; never 0 for what is not nothing."""
    exact = Decimal(nanos) / NANOS_PER_CREDIT
    places = 1 if abs(exact) >= 100 else 2 if abs(exact) >= 1 else 4
    rounded = exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return grouped(rounded if rounded or not exact else exact)


def credits_text(nanos: int) -> str:
    """Credits with their unit, for sentences: 6.25 credits, 1 credit."""
    figure = credits_figure(nanos)
    return f"{figure} credit" if figure == "1" else f"{figure} credits"


def grouped(number: Decimal) -> str:
    """A decimal with thousands separators and without idle zeros."""
    whole, _, part = f"{number:,f}".partition(".")
    part = part.rstrip("0")
    return f"{whole}.{part}" if part else whole


def share(amount: int, part: int, whole: int) -> int:
    """`part` of `whole` of an amount of nanos, rounded half up: the only way a worth is divided."""
    return (2 * amount * part + whole) // (2 * whole)


def rounded_up(span: timedelta, unit: timedelta) -> int:
    """A time in whole units, a part of one counted as whole: the only way that a time is rounded.

    What somebody has is not cut, and who waits so long does not come too early.
    """
    return -(-span // unit)


def one_of(column: str, *values: str) -> CheckConstraint:
    """A CHECK that `column` holds one of `values`; rows, not Enums, so that migrations stay plain."""
    allowed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=f"{column}_known")


def not_negative(*columns: str) -> tuple[CheckConstraint, ...]:
    return tuple(CheckConstraint(f"{column} >= 0", name=f"{column}_not_negative") for column in columns)


def partial_index(name: str, *columns: str, where: Any, unique: bool = False) -> Index:
    """An index of the rows that meet a condition, on both databases."""
    return Index(name, *columns, unique=unique, postgresql_where=where, sqlite_where=where)


def refers_to(target: str, *, index: bool = False, **options: Any) -> Any:
    """A foreign key that forbids deleting what it points to."""
    return mapped_column(ForeignKey(target, ondelete="RESTRICT"), index=index, **options)


def has_text(column: Any, text: str) -> ColumnElement[bool]:
    """Whether a JSON list of texts holds that one, as JSON writes it; on both databases."""
    return cast(column, Text).contains(json.dumps(text), autoescape=True)


INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
"""By the database's name; both know ON CONFLICT."""


def insert_once(table: Any) -> Any:
    """An INSERT that does nothing where the row's unique key is there already.

    Where another transaction is just writing that key, PostgreSQL waits for its end.
    """
    return INSERTS[db.engine.dialect.name](table).on_conflict_do_nothing()


def at_once() -> AbstractContextManager[StatementConnection]:
    """A connection for compiled statements, each of which is a transaction by itself.

    The session's, in its transaction, where it has begun one; and with SQLite, which has no round trips to save.
    Never the replica's.
    """
    is_in_transaction = db.session.registry.has() and db.session().in_transaction() and REPLICA not in g
    if is_in_transaction or db.engine.dialect.name == "sqlite":
        return nullcontext(db.session.connection())
    return LentConnection(db.engine)


def commit_if_begun() -> None:
    """Commit what the session has begun; to make one for nothing costs as much as a statement does."""
    if db.session.registry.has():
        db.session.commit()


def row_id(identifier: str | int) -> int | None:
    """The number that an id of outside stands for; None where it can be none. Each has one spelling."""
    text = str(identifier)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 and text[0] != "0" else None


class Model(ModelBase):
    """A row with an id and the time of its making."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    @classmethod
    def by(cls, **columns: Any) -> Self | None:
        """The row of these columns, which are a key; None where there is none."""
        return db.session.scalar(select(cls).filter_by(**columns))

    @classmethod
    def find(cls, identifier: str | int, **conditions: Any) -> Self | None:
        """The row of that id which meets the conditions; None for anything else, malformed ids included."""
        number = row_id(identifier)
        return None if number is None else db.session.scalar(select(cls).filter_by(id=number, **conditions))

    @classmethod
    def apart(cls, columns: Row) -> Self:
        """What a prepared statement read of all columns, to be looked at only: the session knows nothing of it."""
        made: Self = class_mapper(cls).class_manager.new_instance()
        made.__dict__.update(zip(cls.__table__.c.keys(), columns, strict=True))
        return made
