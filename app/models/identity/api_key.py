"""API keys: how programs sign in. A key acts on the account it was made in."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.types import Nanos
from app.extensions import db
from app.models.base import Model, refers_to, row_id, utcnow
from app.models.identity.user import digest
from app.models.metering.refusal import Conflict

PREFIX_LENGTH = 12
Scope = Literal["read", "spend", "buy", "hold"]
EVERY_SCOPE: tuple[Scope, ...] = get_args(Scope)
SCOPES = EVERY_SCOPE[:3]
"""What a key may: look at what is there; ask models and change chats; pay, and change what is paid for.
Beside these, where an owner says so: hold and settle credits for calls that run elsewhere."""

OWNERS_SCOPES = {"hold"}
"""What a key may only while its maker owns the account."""

MOST_KEYS = 50
USE_IS_KNOWN_TO = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What a key may spend in a month (UTC) and in all, in nano-dollars, and on which models; None: no limit."""

    month: int | None
    total: int | None
    models: tuple[str, ...]

    @classmethod
    def of(cls, month: int | None, total: int | None, models: Sequence[str]) -> "KeyLimits | None":
        """None where nothing is limited, as with most keys."""
        is_free = month is None and total is None and not models
        return None if is_free else cls(month, total, tuple(models))

    def takes(self, model: str) -> bool:
        return not self.models or model in self.models


class ApiKey(Model):
    """256 random bits, of which a prefix and a hash are kept."""

    __tablename__ = "api_keys"

    account_id: Mapped[int] = refers_to("accounts.id", index=True)
    user_id: Mapped[int] = refers_to("users.id")
    name: Mapped[str]
    prefix: Mapped[str]
    secret_hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[str] = mapped_column(default=" ".join(SCOPES), server_default="read spend buy")
    expires_at: Mapped[datetime | None]
    monthly_limit_nanos: Mapped[Nanos | None]
    total_limit_nanos: Mapped[Nanos | None]
    models: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    last_used_at: Mapped[datetime | None]
    spending_paused_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    account = relationship("Account")
    user = relationship("User")

    @property
    def limits(self) -> KeyLimits | None:
        return KeyLimits.of(self.monthly_limit_nanos, self.total_limit_nanos, self.models)

    @classmethod
    def make(
        cls,
        account_id: int,
        user_id: int,
        name: str,
        *,
        scopes: Sequence[str] = SCOPES,
        days: int | None = None,
    ) -> "tuple[ApiKey, str]":
        """A new key, and its secret: the only time that it is shown. Without `days` it has no end.

        Conflict where the person has as many live keys as one may have; whoever may race holds the account.
        """
        if cls.count_of(user_id) >= MOST_KEYS:
            raise Conflict("too_many_keys", context={"most": MOST_KEYS})
        secret = "tg_" + secrets.token_urlsafe(32)
        key = cls(account_id=account_id, user_id=user_id, name=name, secret_hash=digest(secret))
        key.prefix, key.scopes = secret[:PREFIX_LENGTH], " ".join(one for one in EVERY_SCOPE if one in scopes)
        key.expires_at = None if days is None else utcnow() + timedelta(days=days)
        db.session.add(key)
        return key, secret

    @classmethod
    def is_live(cls) -> tuple[ColumnElement[bool], ...]:
        """Neither revoked nor past its end."""
        return cls.revoked_at.is_(None), or_(cls.expires_at.is_(None), cls.expires_at > utcnow())

    @classmethod
    def find_live(cls, identifier: str | int, **own: object) -> "ApiKey | None":
        """One of those that `own` names, by its id: None where it was revoked or is past its end."""
        return db.session.scalar(select(cls).filter_by(id=row_id(identifier), **own).where(*cls.is_live()))

    @classmethod
    def count_of(cls, user_id: int) -> int:
        """How many live keys a person has, in all accounts."""
        return db.session.scalar(select(func.count()).where(cls.user_id == user_id, *cls.is_live())) or 0

    @classmethod
    def revoke_all_of(cls, user_id: int) -> int:
        """Stop a person's keys in all accounts; returns how many those were."""
        count = cls.count_of(user_id)
        keys = cls.user_id == user_id, cls.revoked_at.is_(None)
        db.session.execute(update(cls).where(*keys).values(revoked_at=utcnow()))
        return count

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

    def rotate(self) -> str:
        """A new secret, which is shown this once; the old one is dead, and what the key has spent stays with it."""
        secret = "tg_" + secrets.token_urlsafe(32)
        self.secret_hash, self.prefix = digest(secret), secret[:PREFIX_LENGTH]
        return secret

    def revoke(self) -> None:
        self.revoked_at = self.revoked_at or utcnow()
