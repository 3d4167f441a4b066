"""Support requests of customers, with the account and the call in question."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.models.base import Model, partial_index, refers_to, utcnow
from app.models.identity.actor import Actor
from app.models.metering.refusal import InvalidRequest
from app.models.metering.usage import Usage

LONGEST = 5000
OPEN = text("answered_at IS NULL")


class SupportRequest(Model):
    """A question of a person; first in the list where the plan of their account has priority support."""

    __tablename__ = "support_requests"
    __table_args__ = (partial_index("ix_support_requests_open", "created_at", where=OPEN),)

    account_id: Mapped[int] = refers_to("accounts.id", index=True)
    user_id: Mapped[int] = refers_to("users.id", index=True)
    usage_id: Mapped[int | None] = refers_to("usages.id")
    message: Mapped[str]
    is_priority: Mapped[bool] = mapped_column(default=False)
    answered_at: Mapped[datetime | None]

    account = relationship("Account")
    user = relationship("User")

    @classmethod
    def open(cls, actor: Actor, message: str, call_id: str = "") -> "SupportRequest":
        """Keep a question. InvalidRequest where it says nothing, is too long, or names a call of somebody else."""
        written = message.replace("\x00", "").strip()
        if not written or len(written) > LONGEST:
            raise InvalidRequest({"message": [f"must have 1 to {LONGEST:,} characters."]})
        call = Usage.find(call_id, **actor.sees) if call_id else None
        if call_id and call is None:
            raise InvalidRequest({"call_id": ["is not one of your calls."]})
        request = cls(account_id=actor.account_id, user_id=actor.user_id, message=written)
        request.usage_id = call.id if call else None
        request.is_priority = actor.account.plan.has_priority_support
        db.session.add(request)
        db.session.flush()
        return request

    def mark_answered(self) -> None:
        """It has been answered, by mail or otherwise."""
        self.answered_at = self.answered_at or utcnow()
