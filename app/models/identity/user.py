"""People: who signs in, where from, and the one-time tokens that are mailed to them."""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, delete, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.types import BigId
from app.extensions import db
from app.models.base import Model, one_of, refers_to, utcnow
from app.models.identity.email_address import known_as
from app.models.identity.password import hashed, is_right

TOKEN_LIFETIME = {"reset": timedelta(hours=1), "verify": timedelta(hours=1)}


def digest(secret: str) -> str:
    """What is stored of a secret of 128 bits or more: its SHA-256, in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


ERASED = "@deleted.invalid"


def is_erased(email: str) -> bool:
    """Whether that stands for an address which was erased: nothing is sent there."""
    return email.endswith(ERASED)


class User(Model):
    """A person. What is charged is an account, never a user."""

    __tablename__ = "users"
    __table_args__ = (one_of("admin_role", "owner", "support"),)

    created_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(default="")
    password_hash: Mapped[str]
    email_verified_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    admin_role: Mapped[str | None]
    totp_secret: Mapped[str | None]
    """Sealed: see `two_factor.py`."""

    totp_step: Mapped[int | None] = mapped_column(BigId)
    recovery_hashes: Mapped[list[str]] = mapped_column(default=list)
    """Of the codes that stand in for a lost authenticator and are not used yet."""

    oidc_subject: Mapped[str | None] = mapped_column(unique=True)
    """Who this is at the provider that signs people in, if one does."""

    chat_instructions: Mapped[str] = mapped_column(default="")
    prompts: Mapped[list[str]] = mapped_column(default=list, server_default="[]", deferred=True)
    """What the person's new chats begin with."""

    memberships = relationship("Membership", back_populates="user", order_by="Membership.id")

    @classmethod
    def with_email(cls, email: str) -> "User | None":
        return db.session.scalar(select(cls).where(cls.email == known_as(email)))

    @classmethod
    def join(cls, email: str, name: str, password: str) -> "User":
        """A new person, whose address is not verified yet."""
        user = cls.joining(email, name, password)
        db.session.add(user)
        return user

    @classmethod
    def joining(cls, email: str, name: str, password: str) -> "User":
        """The same, not yet in the session: the password takes its time, and no lock is to be held meanwhile."""
        user = cls(email=known_as(email), name=name)
        user.set_password(password)
        return user

    @classmethod
    def authenticate(cls, email: str, password: str) -> "User | None":
        """The user whom this address and password belong to; the same work is done where there is none."""
        user = cls.with_email(email)
        is_known = is_right(password, user.password_hash if user else None)
        return user if user and is_known and user.disabled_at is None else None

    def lock_as_checked(self) -> bool:
        """Hold the user until the transaction ends; False where the password that was checked is not theirs anymore.

        Who begins a session calls this first: one that was begun with the old password never outlives its change.
        """
        checked = User.id == self.id, User.password_hash == self.password_hash, User.disabled_at.is_(None)
        held = update(User).where(*checked).values(id=self.id).execution_options(synchronize_session=False)
        return bool(db.session.execute(held).rowcount)  # type: ignore[attr-defined]

    @classmethod
    def hold(cls, *user_ids: int) -> None:
        """Keep others from changing them until the transaction ends."""
        for user_id in sorted(user_ids):
            db.session.execute(update(cls).where(cls.id == user_id).values(id=user_id))

    @classmethod
    def hold_with_owner(cls, user_id: int, owner_id: int) -> bool:
        """Hold both until the transaction ends; False where the second is no owner by then."""
        cls.hold(user_id, owner_id)
        is_owner = cls.id == owner_id, cls.admin_role == "owner", cls.disabled_at.is_(None)
        return db.session.scalar(select(cls.id).where(*is_owner)) is not None

    @classmethod
    def signed_up_since(cls, moment: datetime) -> int:
        return db.session.query(cls).filter(cls.created_at >= moment).count()

    @property
    def is_admin(self) -> bool:
        return self.admin_role is not None and self.disabled_at is None

    @property
    def is_verified(self) -> bool:
        return self.email_verified_at is not None

    @property
    def home_id(self) -> int:
        """The id of the personal account: its membership is a person's first, and is never ended."""
        return int(self.memberships[0].account_id)

    @property
    def credential_mark(self) -> str:
        """Of the current password and address: a link that waits to be mailed is for these alone."""
        return digest(f"{self.password_hash} {self.email}")[:16]

    def has_password(self, password: str) -> bool:
        return is_right(password, self.password_hash)

    def set_password(self, password: str) -> None:
        """Store a new password; every session and mailed token of before is dead."""
        self.password_hash = hashed(password)
        if self.id is not None:
            self.end_sessions()
            self.void_tokens()

    def verify_email(self) -> None:
        self.email_verified_at = self.email_verified_at or utcnow()

    def change_email(self, email: str) -> None:
        """Move to another address, which has to be verified anew."""
        self.email = known_as(email)
        self.email_verified_at = None
        self.void_tokens()

    def disable(self) -> None:
        """Out at once, and no way in; a program's keys stop too."""
        self.disabled_at = self.disabled_at or utcnow()
        self.end_sessions()
        self.void_tokens()

    def erase(self) -> None:
        """Forget who this was. The row stays, since ledger and receipts point to it."""
        self.disable()
        self.email, self.name = f"deleted-{self.id}{ERASED}", ""
        self.password_hash = hashed(secrets.token_urlsafe(32))
        self.admin_role = self.totp_secret = self.oidc_subject = self.email_verified_at = None
        self.recovery_hashes = []

    def end_sessions(self) -> None:
        """Sign out everywhere."""
        db.session.query(UserSession).filter_by(user_id=self.id).delete()

    def void_tokens(self) -> None:
        unused = MailedToken.user_id == self.id, MailedToken.used_at.is_(None)
        db.session.execute(update(MailedToken).where(*unused).values(used_at=utcnow()))


class UserSession(Model):
    """One signed-in browser. The cookie holds the secret; deleting the row ends it, and so does its age."""

    LONGEST = timedelta(days=90)

    __tablename__ = "user_sessions"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    account_id: Mapped[int] = refers_to("accounts.id")
    secret_hash: Mapped[str] = mapped_column(unique=True)
    user_agent: Mapped[str] = mapped_column(default="")
    second_factor_at: Mapped[datetime | None]

    user = relationship("User")
    account = relationship("Account")

    @classmethod
    def live_of(cls, user_id: int) -> "list[UserSession]":
        """Where a person is signed in, the newest first."""
        live = cls.user_id == user_id, cls.created_at > utcnow() - cls.LONGEST
        return list(db.session.scalars(select(cls).where(*live).order_by(cls.id.desc())))

    @classmethod
    def begin(cls, user: User, account_id: int, *, user_agent: str = "") -> str:
        """Open a session; returns the secret for the cookie. Those of the person that are over are forgotten."""
        db.session.execute(delete(cls).where(cls.user_id == user.id, cls.created_at <= utcnow() - cls.LONGEST))
        secret = secrets.token_urlsafe(32)
        session = cls(user_id=user.id, account_id=account_id, secret_hash=digest(secret))
        session.user_agent = user_agent[:200]
        db.session.add(session)
        return secret

    @classmethod
    def with_secret(cls, secret: str) -> "UserSession | None":
        return db.session.scalar(select(cls).where(cls.secret_hash == digest(secret)))


class MailedToken(Model):
    """A link that was mailed: one purpose, one use, one hour, bound to the address it went to."""

    __tablename__ = "mailed_tokens"
    __table_args__ = (one_of("purpose", "reset", "verify"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str]
    email: Mapped[str]
    secret_hash: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    user = relationship("User")

    @classmethod
    def issue(cls, user: User, purpose: str, email: str | None = None) -> str:
        """Make a token for the user's present address, or for the one they want; returns the link's secret.

        Those of the person that are used or late are forgotten.
        """
        is_over = or_(cls.used_at.is_not(None), cls.expires_at <= utcnow())
        db.session.execute(delete(cls).where(cls.user_id == user.id, is_over))
        secret = secrets.token_urlsafe(24)
        token = cls(user_id=user.id, purpose=purpose, email=email or user.email, secret_hash=digest(secret))
        token.expires_at = utcnow() + TOKEN_LIFETIME[purpose]
        db.session.add(token)
        return secret

    @classmethod
    def find_live(cls, secret: str, purpose: str) -> "MailedToken | None":
        """The token of a link that would still work; does not use it up."""
        live = cls.secret_hash == digest(secret), cls.purpose == purpose
        unused = cls.used_at.is_(None), cls.expires_at > utcnow()
        token = db.session.scalar(select(cls).where(*live, *unused))
        return token if token and token.user.disabled_at is None and token.fits_address else None

    @property
    def fits_address(self) -> bool:
        """Whether the mailbox it went to may still act for the user: a wanted address need not be theirs yet."""
        return self.purpose == "verify" or self.email == self.user.email

    def use(self) -> bool:
        """Use the token up; False where another request was first."""
        unused = MailedToken.id == self.id, MailedToken.used_at.is_(None)
        used = db.session.execute(update(MailedToken).where(*unused).values(used_at=utcnow()))
        return used.rowcount == 1  # type: ignore[attr-defined]
