"""The arithmetic of a balance: what is available, and what pays for a call. billing-rules.md 4. Pure.

It is the same in Python and in a statement: an amount may be a number or a column.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, func

NO_LIMIT = 2**62
"""A daily limit that no day reaches, where a column cannot be None."""

LONGEST_WINDOW = 12
"""Hours."""


def window_of(at: datetime, hours: int) -> datetime:
    """When its window began: windows of so many hours follow each other from midnight UTC, and end with the day."""
    return at.replace(hour=at.hour - at.hour % hours, minute=0, second=0, microsecond=0)


def window_ends(at: datetime, hours: int) -> datetime:
    begins = window_of(at, hours)
    return begins + timedelta(hours=min(hours, 24 - begins.hour))


def least(*amounts: Any) -> Any:
    return min(amounts) if all(isinstance(amount, int) for amount in amounts) else func.least(*amounts)


def greatest(*amounts: Any) -> Any:
    return max(amounts) if all(isinstance(amount, int) for amount in amounts) else func.greatest(*amounts)


def only_if(is_so: Any, amount: Any) -> Any:
    return (amount if is_so else 0) if isinstance(is_so, bool) else case((is_so, amount), else_=0)


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
