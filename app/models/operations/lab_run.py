"""What the lab keeps: its runs, and the habits of the users whose months it makes up."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from app.db.types import BigId
from app.extensions import db
from app.models.base import Model, not_negative, one_of, refers_to


class LabRun(Model):
    """A scenario and what it came to. state: waiting -> running -> done | cancelled | failed.

    `last_account_id` and `result` are as far as it has come, so that it goes on there.
    """

    __tablename__ = "lab_runs"
    __table_args__ = (one_of("state", "waiting", "running", "done", "cancelled", "failed"),)

    name: Mapped[str]
    by_id: Mapped[int | None] = refers_to("users.id")
    scenario: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(default="waiting")
    accounts: Mapped[int] = mapped_column(BigInteger, default=0)
    accounts_done: Mapped[int] = mapped_column(BigInteger, default=0)
    last_account_id: Mapped[int] = mapped_column(BigId, default=0)
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    error: Mapped[str] = mapped_column(default="")
    finished_at: Mapped[datetime | None]

    @classmethod
    def unfinished(cls) -> list[int]:
        open_runs = select(cls.id).where(cls.state.in_(("waiting", "running")))
        return list(db.session.scalars(open_runs.order_by(cls.id)))

    @property
    def is_over(self) -> bool:
        return self.state not in ("waiting", "running")

    @property
    def is_simulated(self) -> bool:
        return bool(self.scenario.get("is_simulated"))


class Habit(Model):
    """A kind of users who do not exist: how many, on which plan, and what each does on an ordinary day.

    `calls_per_day` is in hundredths; `buys_bps` is how many of those who run out buy the pack, in basis points.
    """

    __tablename__ = "habits"
    __table_args__ = (
        *not_negative("people", "calls_per_day", "input_tokens", "output_tokens"),
        CheckConstraint("buys_bps >= 0 AND buys_bps <= 10000", name="buys_in_range"),
    )

    name: Mapped[str] = mapped_column(unique=True)
    people: Mapped[int]
    plan_id: Mapped[int] = refers_to("plans.id")
    model: Mapped[str]
    calls_per_day: Mapped[int]
    input_tokens: Mapped[int]
    output_tokens: Mapped[int]
    pack_id: Mapped[int | None] = refers_to("packs.id")
    buys_bps: Mapped[int] = mapped_column(default=0)
