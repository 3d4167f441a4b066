"""API keys: how programs sign in. A key acts on the account it was made in."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.models.base import Model, refers_to, utcnow
from app.models.identity.user import digest

PREFIX_LENGTH = 12
USE_IS_KNOWN_TO = timedelta(hours=1)


class ApiKey(Model):
    """256 random bits, of which a prefix and a hash are kept."""

    __tablename__ = "api_keys"

    account_id: Mapped[int] = refers_to("accounts.id", index=True)
    user_id: Mapped[int] = refers_to("users.id")
    name: Mapped[str]
    prefix: Mapped[str]
    secret_hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[str] = mapped_column(default="read spend buy", server_default="read spend buy")
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    account = relationship("Account")
    user = relationship("User")

    @classmethod
    def make(cls, account_id: int, user_id: int, name: str) -> tuple[ApiKey, str]:
        """A new key, and its secret: the only time that it is shown."""
        secret = "tg_" + secrets.token_urlsafe(32)
        key = cls(account_id=account_id, user_id=user_id, name=name, secret_hash=digest(secret))
        key.prefix = secret[:PREFIX_LENGTH]
        db.session.add(key)
        return key, secret

    @classmethod
    def revoke_all(cls, account_id: int, user_id: int | None = None) -> None:
        """Stop the account's keys, or one person's of them."""
        keys = [cls.account_id == account_id, cls.revoked_at.is_(None)]
        if user_id is not None:
            keys.append(cls.user_id == user_id)
        db.session.execute(update(cls).where(*keys).values(revoked_at=utcnow()))

    @classmethod
    def note_use(cls, key_id: int, last_used_at: datetime | None) -> bool:
        """Write down that a key is used, to the hour: whether there was something to write, to be committed."""
        now = utcnow()
        if last_used_at is not None and now - last_used_at < USE_IS_KNOWN_TO:
            return False
        db.session.execute(update(cls).where(cls.id == key_id).values(last_used_at=now))
        return True

    def revoke(self) -> None:
        self.revoked_at = self.revoked_at or utcnow()
