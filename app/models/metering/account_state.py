"""An account as the gate sees it: one row of account and plan, read or held by one statement.

Prepared, not ORM: this is on the path of every message.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Table, bindparam, select, update

from app.db.compiled_statement import CompiledStatement
from app.extensions import db
from app.models.base import at_once
from app.models.catalog.plan import Plan
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.metering.balance import Balance, window_of

ACCOUNTS: Table = Account.__table__  # type: ignore[assignment]
PLANS: Table = Plan.__table__  # type: ignore[assignment]


SOFTER_PERCENT = 85


def hour_of(at: datetime) -> datetime:
    """The beginning of its hour."""
    return at.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class AccountState:
    """Figures in nano-dollars; the fields are in the order of `COLUMNS`."""

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
    def load(cls, account_id: int) -> AccountState:
        """As it is, to be read."""
        with at_once() as connection:
            return cls(*READ.one(connection, {"account": account_id}))

    @classmethod
    def lock(cls, account_id: int) -> AccountState:
        """As it is, and held until the transaction ends; see `Account.locked`."""
        connection = db.session.connection()
        if connection.dialect.name == "sqlite":
            TOUCH.run(connection, {"account": account_id})
        return cls(*HOLD.one(connection, {"account": account_id}))

    def used_on(self, at: datetime) -> int:
        return self.day_used if self.day >= at.date() else 0

    def spent_on(self, at: datetime) -> int:
        """What was paid, by allowance and credits, for calls that ended that day."""
        return self.day_spent if self.day >= at.date() else 0

    def spent_in_hour(self, at: datetime) -> int:
        return self.hour_spent if self.hour >= hour_of(at) else 0

    def absorbed_on(self, at: datetime) -> int:
        return self.day_absorbed if self.day >= at.date() else 0

    def window_at(self, at: datetime) -> datetime:
        """When the window of hours began that holds then; a clock that is put back begins none again."""
        hours = self.window_hours
        return self.window_start if hours is None else max(self.window_start, window_of(at, hours))

    def used_in_window(self, at: datetime) -> int:
        """What the allowance paid for calls that began in it."""
        return self.window_used if self.window_start == self.window_at(at) else 0

    def is_in_window(self, began: datetime, at: datetime) -> bool:
        """Whether a call that ends now began in the window of now."""
        return self.window_hours is not None and began >= self.window_at(at)

    def balance(self, at: datetime) -> Balance:
        day, window = (self.daily_limit, self.used_on(at)), (self.window_limit, self.used_in_window(at))
        return Balance(self.allowance, self.credits, self.reserved, *day, *window)

    @property
    def needs_recharge(self) -> bool:
        """Whether auto-recharge is on and allowance + credits, whatever the day's limit, are below its threshold.

        It buys nothing while spending is paused.
        """
        if self.recharge_below is None or self.spending_paused_at is not None:
            return False
        return self.allowance + self.credits < self.recharge_below

    def alerts(self, at: datetime) -> set[str]:
        """What the owner wants to be told of, and is so: "low_balance", "daily_limit", "window_limit"."""
        is_low = self.alert_below is not None and self.allowance + self.credits < self.alert_below
        is_day_used = self.daily_limit is not None and self.used_on(at) >= self.daily_limit
        is_window_used = self.window_limit is not None and self.used_in_window(at) >= self.window_limit
        alerts = {
            "low_balance": is_low,
            "daily_limit": is_day_used and self.alerts_daily_limit,
            "window_limit": is_window_used and not is_day_used and self.alerts_daily_limit,
            "unusual_spending": self.is_unusual(at),
        }
        return {name for name, is_so in alerts.items() if is_so}

    @property
    def bars(self) -> tuple[int, int]:
        """What the spending of an hour and of a day may not pass, as they were last worked out."""
        floor = int(Setting.get("breaker_floor"))
        return max(floor, self.hour_bar or 0), max(floor, self.day_bar or 0)

    def is_guarded(self, at: datetime) -> bool:
        """Whether spending pauses at the bars now. The house has a day's limit instead."""
        is_off = self.breaker_off_until is not None and at < self.breaker_off_until
        return self.breaker == "on" and self.kind != "house" and not is_off

    def is_over(self, at: datetime) -> bool:
        """Whether what is spent and reserved has passed a bar."""
        hour_bar, day_bar = self.bars
        is_hour_over = self.spent_in_hour(at) + self.reserved > hour_bar
        return is_hour_over or self.spent_on(at) + self.reserved > day_bar

    def is_unusual(self, at: datetime) -> bool:
        """Whether spending has passed the softer bars, at which it is only told of."""
        if self.breaker == "off" or self.kind == "house":
            return False
        soft_hour, soft_day = (bar * SOFTER_PERCENT // 100 for bar in self.bars)
        return self.spent_in_hour(at) > soft_hour or self.spent_on(at) > soft_day

    @property
    def figures(self) -> dict[str, Any]:
        """What calls move."""
        return {name: getattr(self, name) for name in MOVED}

    def moved(self, at: datetime, **differences: int) -> AccountState:
        """The figures changed by these differences.

        A new day begins with nothing used and nothing absorbed; a clock that is put back begins none again.
        """
        today: dict[str, Any] = {
            "day_used": self.used_on(at),
            "day_absorbed": self.absorbed_on(at),
            "hour": max(self.hour, hour_of(at)),
            "hour_spent": self.spent_in_hour(at),
            "day_spent": self.spent_on(at),
            "window_start": self.window_at(at),
            "window_used": self.used_in_window(at),
        }
        new = {name: today.get(name, getattr(self, name)) + by for name, by in differences.items()}
        return replace(self, **{"day": max(self.day, at.date()), **today, **new})

    def apply(self, at: datetime, **differences: int) -> AccountState:
        """Write the figures changed by these differences while the row is held; returns what then stands."""
        moved = self.moved(at, **differences)
        figures = {column: getattr(moved, name) for name, column in MOVED.items()}
        MOVE.run(db.session.connection(), {"account": self.account_id, **figures})
        return moved


COLUMNS = (
    ACCOUNTS.c.id,
    ACCOUNTS.c.kind,
    ACCOUNTS.c.frozen_at,
    ACCOUNTS.c.frozen_by,
    ACCOUNTS.c.closed_at,
    ACCOUNTS.c.allowance_nanos,
    ACCOUNTS.c.credits_nanos,
    ACCOUNTS.c.reserved_nanos,
    ACCOUNTS.c.running_calls,
    ACCOUNTS.c.day,
    ACCOUNTS.c.day_used_nanos,
    ACCOUNTS.c.day_absorbed_nanos,
    ACCOUNTS.c.period_start,
    ACCOUNTS.c.period_end,
    PLANS.c.id,
    PLANS.c.name,
    PLANS.c.status,
    PLANS.c.models,
    PLANS.c.has_api,
    PLANS.c.parallel_calls,
    ACCOUNTS.c.daily_limit_nanos,
    PLANS.c.chats_per_month,
    ACCOUNTS.c.recharge_below_nanos,
    ACCOUNTS.c.alert_below_nanos,
    ACCOUNTS.c.alerts_daily_limit,
    ACCOUNTS.c.hour,
    ACCOUNTS.c.hour_spent_nanos,
    ACCOUNTS.c.day_spent_nanos,
    ACCOUNTS.c.breaker,
    ACCOUNTS.c.hour_bar_nanos,
    ACCOUNTS.c.day_bar_nanos,
    ACCOUNTS.c.spending_paused_at,
    ACCOUNTS.c.breaker_off_until,
    ACCOUNTS.c.paused_keys,
    ACCOUNTS.c.window_hours,
    ACCOUNTS.c.window_limit_nanos,
    ACCOUNTS.c.window_start,
    ACCOUNTS.c.window_used_nanos,
)
THIS = ACCOUNTS.c.id == bindparam("account")
SHOWN = select(*COLUMNS).join_from(ACCOUNTS, PLANS).where(THIS)
READ = CompiledStatement(SHOWN)
HOLD = CompiledStatement(SHOWN.with_for_update(of=ACCOUNTS))
TOUCH = CompiledStatement(update(ACCOUNTS).where(THIS).values(id=ACCOUNTS.c.id))
MOVED = {
    "allowance": "allowance_nanos",
    "credits": "credits_nanos",
    "reserved": "reserved_nanos",
    "running_calls": "running_calls",
    "day": "day",
    "day_used": "day_used_nanos",
    "day_absorbed": "day_absorbed_nanos",
    "hour": "hour",
    "hour_spent": "hour_spent_nanos",
    "day_spent": "day_spent_nanos",
    "window_start": "window_start",
    "window_used": "window_used_nanos",
}
MOVE = CompiledStatement(update(ACCOUNTS).where(THIS))
