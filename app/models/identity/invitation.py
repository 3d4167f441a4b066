"""Invitations: a mailed link that lets one address into a team. security.md 17."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.models.base import Model, one_of, partial_index, refers_to, utcnow
from app.models.identity.account import Account
from app.models.identity.email_address import known_as
from app.models.identity.membership import Membership
from app.models.identity.user import User, digest

LIFETIME = timedelta(days=7)
OPEN = text("accepted_at IS NULL AND revoked_at IS NULL")


class Invitation(Model):
    """An open place in a team, bound to an address. The link's secret is made when the mail is sent."""

    __tablename__ = "invitations"
    __table_args__ = (
        one_of("role", "admin", "member"),
        partial_index("uq_invitations_one_open", "account_id", "email", unique=True, where=OPEN),
    )

    account_id: Mapped[int] = refers_to("accounts.id")
    invited_by_id: Mapped[int] = refers_to("users.id")
    email: Mapped[str] = mapped_column(index=True)
    role: Mapped[str] = mapped_column(default="member")
    secret_hash: Mapped[str | None] = mapped_column(unique=True)
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    account: Mapped[Account] = relationship("Account")
    invited_by: Mapped[User] = relationship("User")

    @classmethod
    def send(cls, account: Account, by: User, email: str, role: str) -> "Invitation":
        """Invite an address into a held account; an open invitation of that address starts anew."""
        address = known_as(email)
        known = select(cls).where(cls.account_id == account.id, cls.email == address, *cls.is_open())
        invitation = db.session.scalar(known) or cls(account_id=account.id, email=address)
        invitation.invited_by_id, invitation.role = by.id, role
        invitation.expires_at, invitation.secret_hash = utcnow() + LIFETIME, None
        db.session.add(invitation)
        db.session.flush()
        return invitation

    @classmethod
    def is_open(cls) -> tuple[ColumnElement[bool], ...]:
        """Neither accepted nor taken back; it may be late."""
        return cls.accepted_at.is_(None), cls.revoked_at.is_(None)

    @classmethod
    def open_of(cls, account: Account) -> "list[Invitation]":
        newest = select(cls).where(cls.account_id == account.id, *cls.is_open()).order_by(cls.id.desc())
        return list(db.session.scalars(newest))

    @classmethod
    def find_live(cls, secret: str) -> "Invitation | None":
        """The invitation of a link that would still work."""
        live = cls.secret_hash == digest(secret), cls.expires_at > utcnow(), *cls.is_open()
        invitation = db.session.scalar(select(cls).where(*live))
        return invitation if invitation and invitation.is_rightful else None

    @property
    def is_rightful(self) -> bool:
        """Whether it waits and its sender could still send it: it ends with the right that it was sent by."""
        is_waiting = self.accepted_at is None and self.revoked_at is None
        sender = Membership.of(self.invited_by_id, self.account_id)
        is_active = self.account.closed_at is None and self.invited_by.disabled_at is None
        return is_waiting and is_active and sender is not None and self.role in sender.grantable_roles

    @property
    def terms(self) -> dict[str, str]:
        """What its mail and its page say."""
        inviter_name = self.invited_by.name or self.invited_by.email
        return {"account_name": self.account.name, "inviter_name": inviter_name, "role": self.role}

    @property
    def is_late(self) -> bool:
        return self.expires_at <= utcnow()

    def issue(self) -> str:
        """The secret of a new link; the one before is dead."""
        secret = secrets.token_urlsafe(24)
        self.secret_hash = digest(secret)
        return secret

    def revoke(self) -> None:
        self.revoked_at = self.revoked_at or utcnow()

    def accept(self, user: User) -> None:
        """Give the user their place in the held account. The mailbox is proven: the link went there."""
        self.accepted_at = utcnow()
        user.verify_email()
        if Membership.of(user.id, self.account_id):
            return
        db.session.add(Membership(account_id=self.account_id, user_id=user.id, role=self.role))
        db.session.flush()
