"""When what failed, or died with its process, is tried again: mails, and webhooks in and out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, literal, or_

from app.db.types import UtcDateTime

SKEW = timedelta(seconds=10)
"""By how much the clocks of two processes may differ."""


@dataclass(frozen=True)
class Retries:
    """Pauses: `first` after each of the first `steady` attempts, then `factor` times as long each time."""

    most: int
    first: timedelta
    factor: int = 2
    steady: int = 1
    longest: timedelta = timedelta(days=30)

    def pause(self, attempts: int) -> timedelta:
        if attempts == 0:
            return timedelta()
        return min(self.first * self.factor ** max(attempts - self.steady, 0), self.longest)

    def is_due(self, next_at: Any, attempts: Any, at: datetime) -> ColumnElement[bool]:
        """Also what lies further ahead than the pause after its attempts: it was written by a clock that was wrong."""
        ends = {made: literal(at + self.pause(made) + SKEW, UtcDateTime) for made in range(self.most + 1)}
        return or_(next_at <= at, next_at > case(ends, value=attempts))
