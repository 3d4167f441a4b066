"""Passkeys: credentials that a device keeps and signs in with, by itself and its owner's finger, face or code."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, delete, func, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.types import BigId
from app.extensions import db
from app.models.base import Model, insert_once, utcnow
from app.models.metering.refusal import Conflict

MOST_PASSKEYS = 20


class Passkey(Model):
    """The public half of a credential; the private one never leaves its owner's device."""

    __tablename__ = "passkeys"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    credential_id: Mapped[bytes] = mapped_column(unique=True)
    public_key: Mapped[bytes]
    sign_count: Mapped[int] = mapped_column(BigId)
    """How often the device says that it signed; many always say 0."""

    last_used_at: Mapped[datetime | None]

    user = relationship("User")

    @classmethod
    def of(cls, user_id: int) -> "list[Passkey]":
        return list(db.session.scalars(select(cls).where(cls.user_id == user_id).order_by(cls.id)))

    @classmethod
    def count_of(cls, user_id: int) -> int:
        return db.session.scalar(select(func.count()).where(cls.user_id == user_id)) or 0

    @classmethod
    def add(cls, user_id: int, **fields: Any) -> None:
        """A new one. Conflict where it is known, or its person has as many as one may have; whoever may race holds
        the user."""
        if cls.count_of(user_id) >= MOST_PASSKEYS:
            raise Conflict("too_many_passkeys", context={"most": MOST_PASSKEYS})
        added = insert_once(cls).values(user_id=user_id, **fields).returning(cls.id)
        if db.session.scalar(added) is None:
            raise Conflict("passkey_known")

    @classmethod
    def remove_all_of(cls, user_id: int) -> int:
        """Take a person's passkeys away; returns how many those were."""
        return int(db.session.execute(delete(cls).where(cls.user_id == user_id)).rowcount)  # type: ignore[attr-defined]

    def use(self, sign_count: int, asked_at: datetime) -> bool:
        """Count a signature that answers what was asked then; False where it, or a later one, was used already."""
        unused = or_(Passkey.last_used_at.is_(None), Passkey.last_used_at < asked_at)
        same = Passkey.id == self.id, Passkey.sign_count == self.sign_count, unused
        used = update(Passkey).where(*same).values(sign_count=sign_count, last_used_at=utcnow())
        return db.session.scalar(used.returning(Passkey.id)) is not None
