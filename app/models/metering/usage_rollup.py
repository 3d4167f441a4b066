"""What the calls of a day came to, added up as they end: exact, and always to be had again from the calls."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

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
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.db.types import BigId, Nanos
from app.extensions import db
from app.models.base import INSERTS, ModelBase
from app.models.catalog.setting import SETTINGS, Setting
from app.models.identity.account import Account
from app.models.metering.usage import Usage

P = ParamSpec("P")
T = TypeVar("T")

SETTLING = timedelta(minutes=10)
"""How old a call is at least when it is added up: so much may the clocks of two machines differ."""

ADDED_UP_EVERY = timedelta(minutes=5)
"""How often calls are added up: before a clock that was set back is where the totals end."""

LOOKS = 3
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


class Watermark:
    """The totals hold the calls that began before this moment, and no others: a settings row that no admin sees."""

    KEY = "totals_until"

    @classmethod
    def now(cls) -> datetime:
        text = db.session.scalar(select(SETTINGS.c.value).where(SETTINGS.c.key == cls.KEY))
        return datetime.fromisoformat(text) if text else BEGINNING

    @classmethod
    def held(cls) -> datetime:
        """The same, held until the transaction ends: two who add up at once wait for each other."""
        return datetime.fromisoformat(Setting.held(cls.KEY, BEGINNING.isoformat()))

    @classmethod
    def move(cls, moment: datetime) -> None:
        db.session.execute(update(SETTINGS).where(SETTINGS.c.key == cls.KEY).values(value=moment.isoformat()))


class KeyWatermark(Watermark):
    """The same for the totals of keys, which were begun later."""

    KEY = "key_totals_until"


def in_one_look(read: Callable[Concatenate[datetime, P], T], watermark: type[Watermark] = Watermark) -> Callable[P, T]:
    """Tell `read` the watermark, and read again where it moved: calls would count twice, or not at all."""

    @wraps(read)
    def looked(*arguments: P.args, **named: P.kwargs) -> T:
        for _ in range(LOOKS):
            since = watermark.now()
            totals = read(since, *arguments, **named)
            if watermark.now() == since:
                break
        return totals

    return looked


class DailyTotal(ModelBase):
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


class AccountDay(ModelBase):
    """The calls of one account that began on one UTC day, by person, model, operation and chat (0: none).

    Calls and tokens are those of calls that were paid; what the others cost is in the cost, and absorbed.
    """

    __tablename__ = "account_days"
    __table_args__ = (
        Index("ix_account_days_account", "account_id", "day"),
        Index("ix_account_days_person", "account_id", "user_id", "day"),
    )

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


class KeyDay(ModelBase):
    """What was paid for the calls of one key that began on one UTC day."""

    __tablename__ = "key_days"

    api_key_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    paid_nanos: Mapped[Nanos]


def start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


@dataclass(frozen=True, slots=True)
class DayRange:
    """Whole UTC days, both included."""

    first: date
    last: date

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]

    @property
    def begins(self) -> datetime:
        return start_of(self.first)

    @property
    def ends(self) -> datetime:
        return start_of(self.last + timedelta(days=1))


def begun_since(moment: datetime) -> Any:
    """The ended calls that began then or later; it is the index of their ends that finds them."""
    return and_(Usage.created_at >= moment, Usage.settled_at >= moment - SETTLING)


def total(column: Any) -> Any:
    return func.coalesce(func.sum(column), 0)


FIGURES = (
    total(Usage.cost_nanos).label("cost_nanos"),
    total(Usage.paid_nanos).label("paid_nanos"),
    total(Usage.absorbed_nanos).label("absorbed_nanos"),
)
PAID = (
    func.count().filter(Usage.state == "settled").label("calls"),
    total(case((Usage.state == "settled", Usage.input_tokens), else_=0)).label("input_tokens"),
    total(case((Usage.state == "settled", Usage.output), else_=0)).label("output_tokens"),
)


def totals_of(condition: Any) -> Select[Any]:
    """Rows of `DailyTotal`, counted from the calls that meet the condition; the columns are in its order."""
    kinds = Usage.day, Usage.model, Usage.operation, Account.plan_id
    counts = (
        func.count().label("calls"),
        total(Usage.input_tokens).label("input_tokens"),
        total(Usage.output).label("output_tokens"),
    )
    rows = select(*kinds, *counts, *FIGURES).join(Account, Account.id == Usage.account_id)
    return rows.where(condition).group_by(*kinds)


def accounts_of(condition: Any) -> Select[Any]:
    """Rows of `AccountDay`, counted from the calls that meet the condition; the columns are in its order."""
    chat = func.coalesce(Usage.chat_id, literal_column("0"))
    keys = Usage.day, Usage.account_id, Usage.user_id, Usage.model, Usage.operation
    rows = select(*keys, chat.label("chat_id"), *PAID, *FIGURES)
    return rows.where(condition).group_by(*keys, chat)


def keys_of(condition: Any) -> Select[Any]:
    """Rows of `KeyDay`, counted from the calls that meet the condition; the columns are in its order."""
    keys = Usage.api_key_id, Usage.account_id, Usage.day
    rows = select(*keys, total(Usage.paid_nanos).label("paid_nanos"))
    return rows.where(condition, Usage.api_key_id.is_not(None)).group_by(*keys)


def use_since(first: date, since: datetime, **whose: int) -> Subquery:
    """What the paid calls of an account, or of one person there, came to from that day on: rows of `AccountDay`.

    `since` is the watermark.
    """
    past = select(*AccountDay.__table__.c).where(AccountDay.day >= first, AccountDay.calls > 0)
    begun = Usage.created_at >= max(start_of(first), since)
    live = accounts_of(begun & (Usage.state == "settled"))
    parts = (past.where(*belongs_to(AccountDay, whose)), live.where(*belongs_to(Usage, whose)))
    return union_all(*parts).subquery("use")


def belongs_to(table: type[ModelBase], whose: dict[str, int]) -> list[Any]:
    return [getattr(table, name) == value for name, value in whose.items()]


def add_up(now: datetime) -> None:
    """Add the calls that have ended to the totals. The caller commits; until then others who add up wait."""
    for watermark, totals in TOTALS.items():
        begin, end = watermark.held(), all_ended_before(now)
        if begin > now - SETTLING + ADDED_UP_EVERY:
            begin = forgotten_from(end.date(), totals)
        if end > begin:
            calls = begun_since(begin) & (Usage.created_at < end)
            for table, rows_of in totals.items():
                add_to(table, rows_of(calls))
            watermark.move(end)


TOTALS: dict[type[Watermark], dict[Any, Callable[[Any], Select[Any]]]] = {
    Watermark: {DailyTotal: totals_of, AccountDay: accounts_of},
    KeyWatermark: {KeyDay: keys_of},
}


def forgotten_from(day: date, tables: Iterable[Any]) -> datetime:
    """Drop the totals from that day on. A clock that was ahead ended them later than now, without the calls since."""
    for table in tables:
        db.session.execute(delete(table).where(table.day >= day))
    return start_of(day)


def all_ended_before(now: datetime) -> datetime:
    """The moment before which no call began that still runs, or that another machine may just be writing."""
    running = db.session.scalar(select(func.min(Usage.created_at)).where(Usage.state == "running"))
    settled = now - SETTLING
    return min(running, settled) if running else settled


def add_to(model: type[ModelBase], rows: Select[Any]) -> None:
    """Add the rows' figures to those that have the same key."""
    table: Any = model.__table__
    totals = select(*rows.subquery().c).where(true())
    adding = INSERTS[db.engine.dialect.name](table).from_select(list(table.columns.keys()), totals)
    sums = {c.name: c + adding.excluded[c.name] for c in table.columns if not c.primary_key}
    db.session.execute(adding.on_conflict_do_update(index_elements=list(table.primary_key), set_=sums))
