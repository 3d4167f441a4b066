"""Refused calls: counted by day and code for good, kept in detail for 90 days, without any text."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Index, delete
from sqlalchemy.orm import Mapped, mapped_column

from app.db.types import BigId
from app.extensions import db
from app.models.base import INSERTS, Model, ModelBase, utctoday
from app.models.identity.actor import Actor
from app.models.metering.refusal import Refusal

KEPT = timedelta(days=90)
MOST_A_DAY = 500
"""How many are kept of an account, a day and a code: a program that asks again and again tells nothing new."""

NO_CALLS = {"packs_not_allowed"}
UNKNOWN_MODELS = {"model_not_for_sale", "model_not_found"}
LONGEST_MODEL = 100


class RefusalCount(ModelBase):
    """One row for an account, a UTC day and a code of billing-rules.md 6."""

    __tablename__ = "refusal_counts"
    __table_args__ = (Index("ix_refusal_counts_day", "day"),)

    account_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=1)

    @classmethod
    def note(cls, account_id: int, code: str) -> int:
        """Count one refusal more; how many there are of it on this day."""
        row = INSERTS[db.engine.dialect.name](cls).values(account_id=account_id, day=utctoday(), code=code, count=1)
        again = {"count": cls.count + 1}
        counted = row.on_conflict_do_update(index_elements=["account_id", "day", "code"], set_=again)
        return int(db.session.scalar(counted.returning(cls.count)) or 1)


class RefusedCall(Model):
    """`input_bound` and `max_output_tokens` are what a reservation would have held, `model` what was asked for.

    `image_price_id` is the fixed price of images. They are null where the refusal came before anybody looked at the
    prompt.
    """

    __tablename__ = "refused_calls"
    __table_args__ = (Index("ix_refused_calls_newest", "created_at"),)

    account_id: Mapped[int] = mapped_column(BigId)
    user_id: Mapped[int] = mapped_column(BigId)
    api_key_id: Mapped[int | None] = mapped_column(BigId)
    plan_id: Mapped[int | None] = mapped_column(BigId)
    model: Mapped[str | None]
    input_bound: Mapped[int | None]
    max_output_tokens: Mapped[int | None]
    image_price_id: Mapped[int | None] = mapped_column(BigId)
    code: Mapped[str]

    @classmethod
    def note(cls, actor: Actor, refusal: Refusal, count: int) -> None:
        """Keep it; `count` is how many of the code the account had on that day, this one with them."""
        if refusal.code in NO_CALLS or count > MOST_A_DAY:
            return
        who: dict[str, Any] = {
            "account_id": actor.account_id,
            "user_id": actor.user_id,
            "api_key_id": actor.api_key_id,
        }
        call = cls(code=refusal.code, **who)
        if refusal.attempt:
            for name, value in refusal.attempt._asdict().items():
                setattr(call, name, value)
        elif refusal.code in UNKNOWN_MODELS:
            call.model = str(refusal.context.get("name", ""))[:LONGEST_MODEL] or None
        db.session.add(call)

    @classmethod
    def forget(cls, now: datetime) -> int:
        """Delete what is older than it is kept; how many."""
        gone = db.session.execute(delete(cls).where(cls.created_at < now - KEPT))
        return int(gone.rowcount)  # type: ignore[attr-defined]
