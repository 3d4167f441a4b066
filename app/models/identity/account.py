"""Accounts: what is charged. Two balances, a plan, and the members who draw on them. billing-rules.md 4 and 7."""

from calendar import monthrange
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from sqlalchemy import false, select, text, update
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.types import Nanos
from app.extensions import db
from app.models.base import Model, not_negative, one_of, partial_index, refers_to, utcnow
from app.models.catalog.plan import Plan
from app.models.identity.api_key import ApiKey
from app.models.identity.membership import Membership, send_home
from app.models.identity.user import User

if TYPE_CHECKING:
    from app.models.billing.ledger import LedgerEntry


LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
OF_HOUSE = text("kind = 'house'")


def anniversary(start: datetime, months: int) -> datetime:
    """`start` plus whole months, on the same day or the month's last: 31 Jan, 28 Feb, 31 Mar."""
    years, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + years, month + 1
    return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))


def months_between(start: datetime, moment: datetime) -> int:
    """How many anniversaries of `start` have come by `moment`."""
    months = (moment.year - start.year) * 12 + moment.month - start.month
    return months if anniversary(start, months) <= moment else months - 1


class Account(Model):
    """A personal or team account, or the house's. Its figures are moved by ledger entries and usage rows only."""

    __tablename__ = "accounts"
    __table_args__ = (
        one_of("kind", "personal", "team", "house"),
        partial_index("uq_accounts_one_house", "kind", unique=True, where=OF_HOUSE),
        one_of("frozen_by", "admin", "dispute"),
        one_of("breaker", "on", "alert", "off"),
        *not_negative("allowance_nanos", "reserved_nanos", "running_calls"),
        *not_negative("day_used_nanos", "day_absorbed_nanos", "window_used_nanos"),
    )

    kind: Mapped[str] = mapped_column(default="personal")
    name: Mapped[str] = mapped_column(default="")
    plan_id: Mapped[int] = refers_to("plans.id", index=True)
    allowance_nanos: Mapped[Nanos] = mapped_column(default=0)
    credits_nanos: Mapped[Nanos] = mapped_column(default=0)
    reserved_nanos: Mapped[Nanos] = mapped_column(default=0)
    running_calls: Mapped[int] = mapped_column(default=0)
    daily_limit_nanos: Mapped[Nanos | None]
    window_hours: Mapped[int | None]
    window_limit_nanos: Mapped[Nanos | None]
    window_start: Mapped[datetime] = mapped_column(default=LONG_AGO)
    window_used_nanos: Mapped[Nanos] = mapped_column(default=0)
    day: Mapped[date] = mapped_column(default=lambda: utcnow().date())
    day_used_nanos: Mapped[Nanos] = mapped_column(default=0)
    day_absorbed_nanos: Mapped[Nanos] = mapped_column(default=0)
    hour: Mapped[datetime] = mapped_column(default=LONG_AGO)
    hour_spent_nanos: Mapped[Nanos] = mapped_column(default=0)
    day_spent_nanos: Mapped[Nanos] = mapped_column(default=0)
    breaker: Mapped[str] = mapped_column(default="on")
    hour_bar_nanos: Mapped[Nanos | None]
    day_bar_nanos: Mapped[Nanos | None]
    spending_paused_at: Mapped[datetime | None]
    breaker_off_until: Mapped[datetime | None]
    paused_keys: Mapped[int] = mapped_column(default=0)
    billing_anchor: Mapped[datetime] = mapped_column(default=utcnow)
    period_start: Mapped[datetime] = mapped_column(default=utcnow)
    period_end: Mapped[datetime] = mapped_column(default=utcnow)
    frozen_at: Mapped[datetime | None]
    frozen_by: Mapped[str | None]
    closed_at: Mapped[datetime | None]
    stripe_customer_id: Mapped[str | None] = mapped_column(unique=True)
    customer_generation: Mapped[int] = mapped_column(default=0)
    recharge_below_nanos: Mapped[Nanos | None]
    alert_below_nanos: Mapped[Nanos | None]
    alerts_daily_limit: Mapped[bool] = mapped_column(default=False)
    warns_near_limits: Mapped[bool] = mapped_column(default=False, server_default=false())
    writes_titles: Mapped[bool] = mapped_column(default=True)

    plan = relationship("Plan")
    memberships = relationship("Membership", back_populates="account")

    @classmethod
    def open(cls, owner: User, *, kind: str = "personal", name: str = "", plan: Plan | None = None) -> "Account":
        """A new account on the default plan, with its first owner."""
        now = utcnow()
        account = cls(kind=kind, name=name or owner.name, plan=plan or Plan.default())
        account.billing_anchor = account.period_start = account.period_end = now
        account.take_limits(account.plan)
        db.session.add(account)
        account.memberships.append(Membership(user=owner, role="owner"))
        db.session.flush()
        return account

    @classmethod
    def locked(cls, account_id: int) -> "Account":
        """The account as it is now, held until the transaction ends: whoever moves money takes this first.

        SQLite ignores FOR UPDATE; there an UPDATE opens the transaction and takes the write lock.
        """
        if db.engine.dialect.name == "sqlite":
            db.session.execute(update(cls).where(cls.id == account_id).values(id=account_id))
        held = select(cls).where(cls.id == account_id).with_for_update(of=cls)
        return db.session.scalars(held.execution_options(populate_existing=True)).one()

    def take_limits(self, plan: Plan) -> None:
        """The limits of time that come with a plan's allowance."""
        self.daily_limit_nanos = plan.daily_limit_nanos
        self.window_hours, self.window_limit_nanos = plan.window_hours, plan.window_limit_nanos

    @property
    def title(self) -> str:
        """What people call it: a personal account takes its owner's name, if they gave one."""
        return self.name or "Personal"

    @property
    def owner(self) -> User:
        """The first owner who is not disabled, else the first: whom mails about money go to."""
        owners = (m for m in self.memberships if m.role == "owner")
        return min(owners, key=lambda m: (m.user.disabled_at is not None, m.id)).user

    @classmethod
    def with_customer(cls, customer_id: str | None) -> "Account | None":
        return db.session.scalar(select(cls).where(cls.stripe_customer_id == customer_id)) if customer_id else None

    def lose_customer(self, customer_id: str) -> None:
        """Stripe has no such customer any more; the next purchase makes one."""
        if self.stripe_customer_id == customer_id:
            self.stripe_customer_id = None
            self.customer_generation += 1

    def freeze(self, by: str) -> None:
        """No calls until unfrozen; `by` is "admin" or "dispute". An admin's freeze outlasts a won dispute."""
        if self.frozen_by != "admin":
            self.frozen_at, self.frozen_by = self.frozen_at or utcnow(), by

    def unfreeze(self, by: str) -> None:
        if by in {self.frozen_by, "admin"}:
            self.frozen_at = self.frozen_by = None

    def close(self) -> None:
        """No use from now on, programs' keys included; ledger and receipts stay.

        In whole seconds, as Stripe says when something was paid: what is paid within this one is late.
        Whoever closes it enqueues `app.payments.jobs.account_closed` after the commit: it ends what is paid for.
        """
        self.closed_at = self.closed_at or utcnow().replace(microsecond=0)
        ApiKey.revoke_all(self.id)
        send_home(self.id)

    def entries(self) -> "list[LedgerEntry]":
        """Its ledger, newest first."""
        from_newest = text("id DESC")
        return list(db.session.scalars(self.ledger.select().order_by(from_newest)))

    ledger = relationship("LedgerEntry", lazy="write_only", back_populates="account")
