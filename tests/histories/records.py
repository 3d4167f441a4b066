"""What the oracle keeps of one account: plans, calls, sales, and the owner's settings."""

from dataclasses import dataclass
from datetime import date, datetime

CALLS_AT_ONCE = 5


@dataclass(frozen=True)
class Offer:
    """A plan's columns, as the rules need them; amounts in nanos."""

    name: str
    price_cents: int
    allowance: int
    daily_limit: int | None
    allows_packs: bool = True
    calls_at_once: int = CALLS_AT_ONCE
    window: tuple[int, int] | None = None
    """Hours, and the credits of each such window, in nanos."""


@dataclass
class Call:
    """A call that runs."""

    ceiling: int
    began: date
    moment: datetime


@dataclass
class Sale:
    """A payment of `worth` nanos, and what was taken back of it; `from_allowance` is the part of an allowance,
    `from_ended` what had ended with the subscription, whose number is `of`.
    """

    worth: int
    price_cents: int
    paid_at: datetime
    is_invoice: bool
    refunded_cents: int = 0
    refunds: int = 0
    dispute: int = 0
    from_allowance: int = 0
    from_ended: int = 0
    of: int = 0
    is_disputed: bool = False

    @property
    def taken(self) -> int:
        return self.refunds + self.dispute


@dataclass
class Term:
    """A subscription: its newest paid period, and the monthly allowance that was last refilled or grown to."""

    start: datetime
    end: datetime
    level: int
    is_past_due: bool = False


@dataclass
class Charge:
    """An attempt to recharge."""

    cents: int
    made: datetime
    state: str = "open"
    ended: datetime | None = None


@dataclass
class Recharging:
    """The owner's settings."""

    threshold: int
    monthly_max: int
    cents: int
    declines: int = 0
    rests_until: datetime | None = None
    is_paused: bool = False
