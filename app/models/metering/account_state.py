"""An account as the gate sees it: one row of account and plan, read or held by one statement.

Prepared, not ORM: this is on the path of every message. Its rules hold for what was read and, in the statement that
moves the account, for the columns themselves: `ROW`.
"""

from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Column, Table, bindparam, select, update

from app.db.compiled_statement import CompiledStatement
from app.extensions import db
from app.models.base import at_once
from app.models.catalog.plan import Plan
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.metering.balance import Balance, Clock, greatest, limit_of, only_if

ACCOUNTS: Table = Account.__table__  # type: ignore[assignment]
PLANS: Table = Plan.__table__  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class AccountState:
    """Figures in nano-dollars. A field is called as its column: of the account, without its unit, or of the plan."""

    account_id: int
    kind: str
    frozen_at: datetime | None
    frozen_by: str | None
    closed_at: datetime | None
    allowance: int
    credits: int
    reserved: int
    running_calls: int
    day: date
    day_used: int
    day_absorbed: int
    period_start: datetime
    period_end: datetime
    plan_id: int
    plan_name: str
    plan_status: str
    models: list[str]
    has_api: bool
    parallel_calls: int | None
    daily_limit: int | None
    chats_per_month: int | None
    recharge_below: int | None
    alert_below: int | None
    alerts_daily_limit: bool
    hour: datetime
    hour_spent: int
    day_spent: int
    breaker: str
    hour_bar: int | None
    day_bar: int | None
    spending_paused_at: datetime | None
    breaker_off_until: datetime | None
    paused_keys: int
    window_hours: int | None
    window_limit: int | None
    window_start: datetime
    window_used: int

    @classmethod
    def load(cls, account_id: int) -> "AccountState":
        """As it is, to be read."""
        with at_once() as connection:
            return cls(*READ.one(connection, {"account": account_id}))

    @classmethod
    def lock(cls, account_id: int) -> "AccountState":
        """As it is, and held until the transaction ends; see `Account.locked`.

        Where its plan changed while we waited, PostgreSQL holds the account and shows no row: it is asked again.
        """
        connection = db.session.connection()
        if connection.dialect.name == "sqlite":
            TOUCH.run(connection, {"account": account_id})
        this = {"account": account_id}
        return cls(*(HOLD.first(connection, this) or HOLD.one(connection, this)))

    def used_on(self, at: datetime | Clock) -> Any:
        """What the allowance paid for calls that began that day. A new day begins with nothing used."""
        return only_if(self.day >= clock_of(at).day, self.day_used)

    def spent_on(self, at: datetime | Clock) -> Any:
        """What was paid, by allowance and credits, for calls that ended that day."""
        return only_if(self.day >= clock_of(at).day, self.day_spent)

    def spent_in_hour(self, at: datetime | Clock) -> Any:
        return only_if(self.hour >= clock_of(at).hour, self.hour_spent)

    def absorbed_on(self, at: datetime | Clock) -> Any:
        return only_if(self.day >= clock_of(at).day, self.day_absorbed)

    def window_at(self, at: datetime | Clock) -> Any:
        """When the window of hours began that holds then; a clock that is put back begins none again."""
        hours = self.window_hours
        return self.window_start if hours is None else greatest(self.window_start, clock_of(at).window(hours))

    def used_in_window(self, at: datetime | Clock) -> Any:
        """What the allowance paid for calls that began in it."""
        return only_if(self.window_start == self.window_at(at), self.window_used)

    def is_in_window(self, began: Any, at: datetime | Clock) -> Any:
        """Whether a call that ends now began in the window of now; in a statement null, where there is none."""
        if self.window_hours is None:
            return False
        return (began >= self.window_start) & (began >= clock_of(at).window(self.window_hours))

    def balance(self, at: datetime | Clock) -> Balance:
        day = limit_of(self.daily_limit), self.used_on(at)
        window = limit_of(self.window_limit), self.used_in_window(at)
        return Balance(self.allowance, self.credits, self.reserved, *day, *window)

    @property
    def needs_recharge(self) -> bool:
        """Whether auto-recharge is on and allowance + credits, whatever the day's limit, are below its threshold.

        It buys nothing while spending is paused.
        """
        if self.recharge_below is None or self.spending_paused_at is not None:
            return False
        return self.allowance + self.credits < self.recharge_below

    @property
    def bars(self) -> tuple[int, int]:
        """What the spending of an hour and of a day may not pass, as they were last worked out."""
        floor = int(Setting.get("breaker_floor"))
        return max(floor, self.hour_bar or 0), max(floor, self.day_bar or 0)

    def is_guarded(self, at: datetime) -> bool:
        """Whether spending pauses at the bars now. The house has a day's limit instead."""
        is_off = self.breaker_off_until is not None and at < self.breaker_off_until
        return self.breaker == "on" and self.kind != "house" and not is_off

    def is_within(self, at: datetime | Clock, bars: tuple[Any, Any]) -> Any:
        """Whether what is spent and reserved, in the hour and on the day, has passed neither bar."""
        hour_bar, day_bar = bars
        is_hour_within = self.spent_in_hour(at) + self.reserved <= hour_bar
        return is_hour_within & (self.spent_on(at) + self.reserved <= day_bar)

    def is_over(self, at: datetime) -> bool:
        return not self.is_within(at, self.bars)

    def moved(self, at: datetime | Clock, **differences: Any) -> "AccountState":
        """The figures changed by these differences.

        A new day, hour or window begins with nothing used; a clock that is put back begins none again.
        """
        clock = clock_of(at)
        today: dict[str, Any] = {
            "day_used": self.used_on(clock),
            "day_absorbed": self.absorbed_on(clock),
            "hour": greatest(self.hour, clock.hour),
            "hour_spent": self.spent_in_hour(clock),
            "day_spent": self.spent_on(clock),
            "window_start": self.window_at(clock),
            "window_used": self.used_in_window(clock),
        }
        new = {name: today.get(name, getattr(self, name)) + by for name, by in differences.items()}
        return replace(self, **{"day": greatest(self.day, clock.day), **today, **new})

    def apply(self, at: datetime, **differences: int) -> "AccountState":
        """Write the figures changed by these differences while the row is held; returns what then stands."""
        moved = self.moved(at, **differences)
        figures = {column: getattr(moved, name) for name, column in MOVED.items()}
        MOVE.run(db.session.connection(), {"account": self.account_id, **figures})
        return moved


def clock_of(at: datetime | Clock) -> Clock:
    return at if isinstance(at, Clock) else Clock.at(at)


def column_of(field: str) -> Column[Any]:
    if field == "account_id":
        return ACCOUNTS.c.id
    if field in ACCOUNTS.c and field != "plan_id":
        return ACCOUNTS.c[field]
    name = field.removeprefix("plan_")
    return PLANS.c[name] if name in PLANS.c else ACCOUNTS.c[f"{field}_nanos"]


FIELDS = tuple(field.name for field in fields(AccountState))
COLUMNS: tuple[Any, ...] = tuple(map(column_of, FIELDS))
ROW = AccountState(*COLUMNS)
THIS = ACCOUNTS.c.id == bindparam("account")
SHOWN = select(*COLUMNS).join_from(ACCOUNTS, PLANS).where(THIS)
READ = CompiledStatement(SHOWN)
HOLD = CompiledStatement(SHOWN.with_for_update(of=ACCOUNTS))
TOUCH = CompiledStatement(update(ACCOUNTS).where(THIS).values(id=ACCOUNTS.c.id))
MOVED = {
    name: column_of(name).name
    for name in (
        "allowance", "credits", "reserved", "running_calls", "day", "day_used", "day_absorbed",
        "hour", "hour_spent", "day_spent", "window_start", "window_used",
    )
}  # fmt: skip
"""The columns that calls move."""

MOVE = CompiledStatement(update(ACCOUNTS).where(THIS))
