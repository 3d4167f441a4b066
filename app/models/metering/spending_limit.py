"""A limit that somebody set on spending: a member's, a key's, a chat's, one's own. billing-rules.md 5 and 6.

What is used of it is summed over the calls themselves: exact, since whoever writes one moves the account, and the
reservation is refused where the account has moved since.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from app.extensions import db
from app.models.metering.balance import NO_LIMIT
from app.models.metering.refusal import Refusal, seconds_until
from app.models.metering.usage import Usage

SOON = 10
"""Seconds after which a running call may have ended."""


@dataclass(frozen=True, slots=True)
class SpendingLimit:
    """In nanos; running calls count as reserved. `code`, `retry_after` and `details` are of its refusal.

    It comes back when it `ends`; without that only somebody can raise it.
    `yields_to_balance`: a call that the balance does not cover either is refused for the balance. `counts` names the
    columns of the calls that count, by which a refusal looks whether running ones hold what is missing.
    """

    code: str
    limit: int
    used: int
    ends: datetime | None = None
    retry_after: int | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    yields_to_balance: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)

    def reached(self, at: datetime, **details: Any) -> Refusal:
        """`details` may be what this call needs, and a cheaper model that would pass.

        With `reserved`, where it would pass once the running calls have ended that hold so much of the limit.
        """
        details |= {"limit": self.limit, "used": self.used, "left": self.left, **self.details}
        if (held := self.held()) and self.left + held >= details.get("needed", 1):
            return Refusal(self.code, retry_after=SOON, resets_at=self.ends, reserved=held, **details)
        if self.ends is None:
            return Refusal(self.code, retry_after=self.retry_after, **details)
        return Refusal(self.code, retry_after=seconds_until(self.ends, at), resets_at=self.ends, **details)

    def held(self) -> int:
        """What running calls hold of it."""
        running = select(func.sum(Usage.reserved_nanos)).filter_by(**self.counts, state="running")
        return int(db.session.scalar(running) or 0)


def least_left(limits: Iterable[SpendingLimit]) -> int:
    """What all of them leave."""
    return min((limit.left for limit in limits), default=NO_LIMIT)


def check_limits(limits: Iterable[SpendingLimit], at: datetime) -> None:
    """Something of each must be left for a call to begin."""
    for limit in limits:
        if not limit.left:
            raise limit.reached(at)
