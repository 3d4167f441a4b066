"""The outbox: mails to be sent, written in the transaction that they are about."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.types import BigId
from app.extensions import db
from app.models.base import insert_once, not_negative, partial_index, utcnow
from app.models.operations.retries import Retries, Sendable

UNSENT = text("sent_at IS NULL")


class OutgoingMail(Sendable):
    """A mail to be sent once. `context` is what its template says, in JSON; kept to send it again."""

    RETRIES = Retries(8, timedelta(minutes=1))
    __tablename__ = "outgoing_mails"
    __table_args__ = (
        *not_negative("attempts"),
        partial_index("ix_outgoing_mails_due", "next_attempt_at", where=UNSENT),
    )

    key: Mapped[str] = mapped_column(unique=True)
    to: Mapped[str] = mapped_column(index=True)
    user_id: Mapped[int | None] = mapped_column(BigId, index=True)
    template: Mapped[str]
    context: Mapped[dict[str, Any]] = mapped_column(default=dict)
    sent_at: Mapped[datetime | None]

    @classmethod
    def post(
        cls, key: str, to: str, template: str, context: dict[str, Any], *, user_id: int | None = None
    ) -> "OutgoingMail | None":
        """Write a mail down, once: None where the key was posted before. It is erased with the user."""
        if db.session.scalar(select(cls.id).where(cls.key == key)) is not None:
            return None
        mail = cls(key=key, to=to, template=template, context=context, user_id=user_id)
        db.session.add(mail)
        db.session.flush()
        return mail

    @classmethod
    def post_many(cls, mails: list[dict[str, Any]]) -> None:
        """Write many down, each once for its key, with to, template, context and user_id; the sweeper sends them."""
        now = utcnow()
        rest = {"created_at": now, "next_attempt_at": now, "attempts": 0}
        if mails:
            db.session.execute(insert_once(cls.__table__), [mail | rest for mail in mails])

    @classmethod
    def was_posted(cls, start: str) -> bool:
        """Whether a mail was posted under a key that begins so."""
        return db.session.scalar(select(cls.id).where(cls.key.startswith(f"{start}:")).limit(1)) is not None

    @classmethod
    def is_unsent(cls) -> ColumnElement[bool]:
        return cls.sent_at.is_(None)

    @classmethod
    def due(cls) -> list[int]:
        return list(db.session.scalars(select(cls.id).where(*cls.is_to_send()).order_by(cls.id).limit(500)))

    def mark_sent(self) -> None:
        self.sent_at = utcnow()

    def again(self) -> "OutgoingMail":
        """The same mail once more, as a row of its own; its links are made anew."""
        copy = OutgoingMail(key=f"again:{secrets.token_hex(8)}", to=self.to, template=self.template)
        copy.context, copy.user_id = self.context, self.user_id
        db.session.add(copy)
        db.session.flush()
        return copy
