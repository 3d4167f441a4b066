"""The arithmetic of a balance: what is available, and what pays for a call. billing-rules.md 4. Pure.

It is the same in Python and in a statement: an amount, a moment or an answer may be a value or a column.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func

NO_LIMIT = 2**62
"""A daily limit that no day reaches, where a column cannot be None."""

LONGEST_WINDOW = 12
"""Hours."""


def hour_of(at: datetime) -> datetime:
    """The beginning of its hour."""
    return at.replace(minute=0, second=0, microsecond=0)


def least(one: Any, other: Any) -> Any:
    if isinstance(one, ColumnElement) or isinstance(other, ColumnElement):
        return func.least(one, other)
    return one if one < other else other


def greatest(one: Any, other: Any) -> Any:
    """PostgreSQL passes over what is null."""
    if isinstance(one, ColumnElement) or isinstance(other, ColumnElement):
        return func.greatest(one, other)
    return one if one > other else other


def only_if(is_so: Any, amount: Any) -> Any:
    return case((is_so, amount), else_=0) if isinstance(is_so, ColumnElement) else amount if is_so else 0


def is_none(value: Any) -> Any:
    return value.is_(None) if isinstance(value, ColumnElement) else value is None


def limit_of(limit: Any) -> Any:
    """None where there is none; of a column, what no use reaches."""
    return func.coalesce(limit, NO_LIMIT) if isinstance(limit, ColumnElement) else limit


@dataclass(frozen=True, slots=True)
class Clock:
    """A moment by its day and hour; `number` is the hour's, from 0 to 23."""

    day: Any
    hour: Any
    number: Any

    @classmethod
    def at(cls, moment: datetime) -> "Clock":
        return cls(moment.date(), hour_of(moment), moment.hour)

    def window(self, hours: Any) -> Any:
        """When its window began: windows of so many hours follow each other from midnight UTC, and end with the day."""
        late = self.number % hours
        is_column = isinstance(late, ColumnElement)
        return self.hour - (func.make_interval(0, 0, 0, 0, late) if is_column else timedelta(hours=late))


def window_ends(at: datetime, hours: int) -> datetime:
    begins = Clock.at(at).window(hours)
    return begins + timedelta(hours=min(hours, 24 - begins.hour))


@dataclass(frozen=True, slots=True)
class Payment:
    """What paid for a call; the three add up to its cost. `absorbed` is ours."""

    allowance: Any
    credits: Any
    absorbed: Any

    @property
    def columns(self) -> dict[str, Any]:
        """As a usage row has them."""
        paid = {"allowance_paid_nanos": self.allowance, "credits_paid_nanos": self.credits}
        return paid | {"absorbed_nanos": self.absorbed}


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's figures at one moment. `daily_limit` and `window_limit` are None where the plan has none."""

    allowance: Any
    credits: Any
    reserved: Any = 0
    daily_limit: Any = None
    daily_used: Any = 0
    window_limit: Any = None
    window_used: Any = 0

    @property
    def day_rest(self) -> Any:
        """What of the allowance may still be used today."""
        if self.daily_limit is None:
            return self.allowance
        return least(self.allowance, greatest(0, self.daily_limit - self.daily_used))

    @property
    def usable(self) -> Any:
        """What of the allowance may be used now: within the day's limit, and that of some hours."""
        if self.window_limit is None:
            return self.day_rest
        return least(self.day_rest, greatest(0, self.window_limit - self.window_used))

    @property
    def available(self) -> Any:
        return self.usable + self.credits - self.reserved

    @property
    def unreserved(self) -> Any:
        """What would be available if no call were running."""
        return self.available + self.reserved

    def pay(self, cost: Any, ceiling: Any, overdraft: Any) -> Payment:
        """Split a cost: allowance within its limits of time, credits to 0, the rest of the allowance, then debt.

        The charge never exceeds `ceiling`, and never takes credits below -overdraft: the rest is absorbed.
        """
        due = least(cost, ceiling)
        within = least(due, self.usable)
        from_credits = least(due - within, greatest(0, self.credits))
        from_rest = least(due - within - from_credits, self.allowance - within)
        left = due - within - from_credits - from_rest
        debt = least(left, greatest(0, overdraft + least(0, self.credits)))
        paid_allowance, paid_credits = within + from_rest, from_credits + debt
        return Payment(paid_allowance, paid_credits, cost - paid_allowance - paid_credits)
