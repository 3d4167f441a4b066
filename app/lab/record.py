"""The lab's data: an account's calls and entries by the record, and its state when the days begin."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from app.models.catalog.plan import Plan
from app.models.catalog.rates import AnyRates
from app.models.metering.account_state import AccountState
from app.models.metering.balance import Payment
from app.providers.base import TokenUsage


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the record, or one that was refused and would have begun (`is_guess`: its use is an ordinary one)."""

    id: int
    began: datetime
    ends: datetime | None
    plan_id: int
    model: str
    price_id: int
    ceiling: int
    asked: int
    is_paid: bool
    is_counted: bool
    usage: TokenUsage
    key_id: int | None = None
    image_price_id: int | None = None
    provider: int | None = None
    """What it cost us by the vendor's tokens, where what it is charged is another figure."""

    is_guess: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """A call that was admitted: what is held for it, and how much it may write."""

    call: Call
    ceiling: int
    output: int
    rates: AnyRates


@dataclass(frozen=True, slots=True)
class Ended:
    """What a call came to."""

    call: Call
    cost: int
    payment: Payment

    @property
    def provider(self) -> int:
        """What it cost us."""
        return self.cost if self.call.provider is None else self.call.provider


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger entry of the record. `scale` is what it is scaled by: the same gift as it is, and as it would be."""

    at: datetime
    kind: str
    key: str
    allowance: int
    credits: int
    plan_id: int | None
    scale: tuple[int, int]


class Limits(NamedTuple):
    """What of an allowance may be used on a day, and in some hours: they come with its refill."""

    daily_limit: int | None
    window_hours: int | None
    window_limit: int | None

    @classmethod
    def of(cls, source: Plan | Any) -> "Limits":
        """Of a plan, or of an account's row."""
        return cls(source.daily_limit_nanos, source.window_hours, source.window_limit_nanos)


NO_LIMITS = Limits(None, None, None)


def opening(
    account_id: int,
    kind: str,
    plan_id: int,
    at: datetime,
    *,
    allowance: int = 0,
    credits: int = 0,
    limits: Limits | None = None,
) -> AccountState:
    """An account at the midnight that the days begin with: nothing runs, nothing of the day is used.

    What froze or paused it then is not known.
    """
    return AccountState(
        account_id=account_id, kind=kind, plan_id=plan_id, allowance=allowance, credits=credits,
        reserved=0, running_calls=0, day=at.date(), day_used=0, day_absorbed=0, day_spent=0,
        hour=at, hour_spent=0, period_start=at, period_end=at, frozen_at=None, frozen_by=None, closed_at=None,
        recharge_below=None, alert_below=None, alerts_daily_limit=False, breaker="off", hour_bar=None, day_bar=None,
        spending_paused_at=None, breaker_off_until=None, paused_keys=0, plan_name="", plan_status="active", models=[],
        has_api=True, parallel_calls=None, chats_per_month=None, window_start=at, window_used=0,
        **(limits or NO_LIMITS)._asdict(),
    )  # fmt: skip
