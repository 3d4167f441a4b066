"""Accounts: what is charged. Two balances, a plan, and the members who draw on them. MONEY.md 4 and 7."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime
from typing import TYPE_CHECKING

from sqlalchemy import Index, UniqueConstraint, select, text, update
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.database import Nanos
from app.extensions import db
from app.models.balance import Balance
from app.models.base import Record, not_negative, one_of, refers_to, utcnow
from app.models.plan import Plan
from app.models.user import User

if TYPE_CHECKING:
    from app.models.ledger import LedgerEntry

ROLES = ("owner", "admin", "member")


def anniversary(start: datetime, months: int) -> datetime:
    """`start` plus whole months, on the same day or the month's last: 31 Jan, 28 Feb, 31 Mar."""
    years, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + years, month + 1
    return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))


def months_between(start: datetime, moment: datetime) -> int:
    """How many anniversaries of `start` have come by `moment`."""
    months = (moment.year - start.year) * 12 + moment.month - start.month
    return months if anniversary(start, months) <= moment else months - 1


class Account(Record):
    """A personal or team account. Its figures are moved by ledger entries and usage rows only."""

    __tablename__ = "accounts"
    __table_args__ = (
        one_of("kind", "personal", "team"),
        one_of("frozen_by", "admin", "dispute"),
        *not_negative("allowance_nanos", "reserved_nanos", "running_calls"),
        *not_negative("day_used_nanos", "day_absorbed_nanos"),
    )

    kind: Mapped[str] = mapped_column(default="personal")
    name: Mapped[str] = mapped_column(default="")
    plan_id: Mapped[int] = refers_to("plans.id", index=True)
    allowance_nanos: Mapped[Nanos] = mapped_column(default=0)
    credits_nanos: Mapped[Nanos] = mapped_column(default=0)
    reserved_nanos: Mapped[Nanos] = mapped_column(default=0)
    running_calls: Mapped[int] = mapped_column(default=0)
    day: Mapped[date] = mapped_column(default=lambda: utcnow().date())
    day_used_nanos: Mapped[Nanos] = mapped_column(default=0)
    day_absorbed_nanos: Mapped[Nanos] = mapped_column(default=0)
    anchor_at: Mapped[datetime] = mapped_column(default=utcnow)
    period_start: Mapped[datetime] = mapped_column(default=utcnow)
    period_end: Mapped[datetime] = mapped_column(default=utcnow)
    frozen_at: Mapped[datetime | None]
    frozen_by: Mapped[str | None]
    closed_at: Mapped[datetime | None]

    plan = relationship("Plan")
    memberships = relationship("Membership", back_populates="account")

    @classmethod
    def open(cls, owner: User, *, kind: str = "personal", name: str = "", plan: Plan | None = None) -> Account:
        """A new account on the default plan, with its first owner."""
        now = utcnow()
        account = cls(kind=kind, name=name or owner.name, plan=plan or Plan.default())
        account.anchor_at = account.period_start = account.period_end = now
        db.session.add(account)
        db.session.add(Membership(account=account, user=owner, role="owner"))
        db.session.flush()
        return account

    @classmethod
    def locked(cls, account_id: int) -> Account:
        """The account as it is now, held until the transaction ends: whoever moves money takes this first.

        SQLite ignores FOR UPDATE; there an UPDATE opens the transaction and takes the write lock.
        """
        if db.engine.dialect.name == "sqlite":
            db.session.execute(update(cls).where(cls.id == account_id).values(id=account_id))
        held = select(cls).where(cls.id == account_id).with_for_update(of=cls)
        return db.session.scalars(held.execution_options(populate_existing=True)).one()

    def balance(self, at: datetime | None = None) -> Balance:
        """The figures now; yesterday's use does not count against today."""
        today = (at or utcnow()).date()
        return Balance(
            allowance=self.allowance_nanos,
            credits=self.credits_nanos,
            reserved=self.reserved_nanos,
            daily_limit=self.plan.daily_limit_nanos,
            daily_used=self.day_used_nanos if self.day == today else 0,
        )

    @property
    def owner(self) -> User:
        """The first owner: whom mails about money go to."""
        owners = (m for m in sorted(self.memberships, key=lambda m: m.id) if m.role == "owner")
        return next(owners).user

    def role_of(self, user: User) -> str | None:
        return next((m.role for m in self.memberships if m.user_id == user.id), None)

    def freeze(self, by: str) -> None:
        """No calls until unfrozen; `by` is "admin" or "dispute". An admin's freeze outlasts a won dispute."""
        if self.frozen_by != "admin":
            self.frozen_at, self.frozen_by = self.frozen_at or utcnow(), by

    def unfreeze(self, by: str) -> None:
        if self.frozen_by == by or by == "admin":
            self.frozen_at = self.frozen_by = None

    def entries(self) -> list[LedgerEntry]:
        """Its ledger, newest first."""
        from_newest = text("id DESC")
        return list(db.session.scalars(self.ledger.select().order_by(from_newest)))

    ledger = relationship("LedgerEntry", lazy="write_only", back_populates="account")


class Membership(Record):
    """A person's place in an account."""

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("account_id", "user_id"),
        one_of("role", *ROLES),
        *not_negative("monthly_limit_nanos"),
        Index("ix_memberships_user", "user_id"),
    )

    account_id: Mapped[int] = refers_to("accounts.id")
    user_id: Mapped[int] = refers_to("users.id")
    role: Mapped[str] = mapped_column(default="member")
    monthly_limit_nanos: Mapped[Nanos | None]

    account = relationship("Account", back_populates="memberships")
    user = relationship("User", back_populates="memberships")

    @property
    def can_manage(self) -> bool:
        """May invite, buy and see billing."""
        return self.role in {"owner", "admin"}
