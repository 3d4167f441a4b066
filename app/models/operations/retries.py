"""When a failed mail or webhook, in or out, is tried again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from sqlalchemy import ColumnElement, case, literal, or_, update
from sqlalchemy.orm import Mapped, mapped_column

from app.db.types import UtcDateTime
from app.extensions import db
from app.models.base import Model, utcnow

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


class Sendable(Model):
    """A row that is sent once, after as many attempts as it takes."""

    __abstract__ = True
    RETRIES: ClassVar[Retries]
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime] = mapped_column(default=utcnow)

    @classmethod
    def is_unsent(cls) -> ColumnElement[bool]:
        raise NotImplementedError

    @classmethod
    def claim(cls, row_id: int) -> Self | None:
        """Take the row for one attempt; None where it is sent or another process has it.

        Should this attempt die, the next is due after a pause.
        """
        now, row = utcnow(), db.session.get(cls, row_id, populate_existing=True)
        if row is None:
            return None
        due = cls.is_unsent(), cls.RETRIES.is_due(cls.next_attempt_at, cls.attempts, now)
        attempts = row.attempts + 1
        taken = update(cls).where(cls.id == row_id, cls.attempts == row.attempts, *due)
        later = taken.values(attempts=attempts, next_attempt_at=now + cls.RETRIES.pause(attempts))
        return row if db.session.execute(later).rowcount == 1 else None  # type: ignore[attr-defined]

    @classmethod
    def is_to_send(cls) -> tuple[ColumnElement[bool], ...]:
        """The next attempt has come. After the last one a row stays unsent."""
        due = cls.RETRIES.is_due(cls.next_attempt_at, cls.attempts, utcnow())
        return cls.is_unsent(), due, cls.attempts < cls.RETRIES.most
