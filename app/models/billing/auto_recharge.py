"""Auto-recharge: the owner's settings, and each attempt to charge the saved card. billing-rules.md 8."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Index, or_, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.types import Nanos
from app.extensions import db
from app.models.base import Model, not_negative, one_of, partial_index, refers_to, utcnow
from app.models.billing.payment import Payment
from app.models.billing.stripe_objects import PaymentState
from app.models.catalog.quote import Quote
from app.models.identity.account import Account

BACK_OFF = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))
KEY_LIFETIME = timedelta(hours=23)
AUTHENTICATION_LIFETIME = timedelta(hours=24)
WORTH_WAITING = timedelta(minutes=10)
"""A card takes seconds, but a bank debit days, and Stripe may repeat an error of its own for a day."""
OPEN = ("open", "authentication")
ONE_OPEN = text("state IN ('open', 'authentication')")
PAUSES = {
    "declined": "Your card was declined three times.",
    "no_card": "There's no saved card.",
    "card_removed": "The card was removed.",
    "other_account": "Payments moved to another Stripe account: save the card again.",
    "pack_gone": "The pack is no longer sold.",
    "packs_not_allowed": "Your plan doesn't allow credit packs.",
    "refund": "A payment was refunded.",
    "dispute": "A payment is disputed.",
    "authentication": "A payment was not confirmed in time.",
    "plan_gone": "The plan has ended.",
    "account": "The account is closed or on hold.",
}


class AutoRecharge(Model):
    """An account's settings: `quantity` of a pack, or as much of it as reaches `target_nanos`.

    It acts while `is_on` and `pause_reason` is empty; the owner's saving ends a pause.
    """

    __tablename__ = "auto_recharges"
    __table_args__ = (*not_negative("threshold_nanos", "target_nanos", "monthly_max_cents", "declines"),)

    account_id: Mapped[int] = refers_to("accounts.id", unique=True)
    is_on: Mapped[bool] = mapped_column(default=False)
    pack_id: Mapped[int] = refers_to("packs.id")
    quantity: Mapped[int] = mapped_column(default=1)
    threshold_nanos: Mapped[Nanos] = mapped_column(default=0)
    target_nanos: Mapped[Nanos | None]
    monthly_max_cents: Mapped[int] = mapped_column(default=0)
    card_id: Mapped[str | None]
    card_label: Mapped[str] = mapped_column(default="")
    pause_reason: Mapped[str] = mapped_column(default="")
    paused_at: Mapped[datetime | None]
    declines: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    limit_notified_for: Mapped[str] = mapped_column(default="")

    account = relationship("Account")
    pack = relationship("CreditPack")

    @classmethod
    def of(cls, account_id: int) -> "AutoRecharge | None":
        return db.session.scalar(select(cls).where(cls.account_id == account_id))

    @classmethod
    def below_threshold(cls, at: datetime) -> list[int]:
        """Accounts that the clock has to look at."""
        figures = Account.allowance_nanos + Account.credits_nanos
        due = Account.recharge_below_nanos.is_not(None), figures < Account.recharge_below_nanos
        rested = or_(cls.next_attempt_at.is_(None), cls.next_attempt_at <= at)
        spending = Account.spending_paused_at.is_(None)
        query = select(cls.account_id).join(Account, Account.id == cls.account_id)
        return list(db.session.scalars(query.where(*due, cls.is_on, rested, spending)))

    @classmethod
    def acting(cls, which: ColumnElement[bool]) -> list[int]:
        """Accounts whose auto-recharge acts, of those that `which` names by a column of either."""
        query = select(cls.account_id).join(Account, Account.id == cls.account_id)
        return list(db.session.scalars(query.where(which, cls.is_on, cls.pause_reason == "")))

    @property
    def is_acting(self) -> bool:
        return self.is_on and not self.pause_reason

    def quote(self) -> Quote:
        """What it would buy now."""
        if self.target_nanos is None:
            return self.pack.quote(self.quantity)
        missing = self.target_nanos - self.account.allowance_nanos - self.account.credits_nanos
        return self.pack.quote_worth(missing)

    @property
    def price_cents(self) -> int:
        return int(self.quote().price_cents)

    def watch(self) -> None:
        """Copy the threshold, while it acts, onto the account's row, which each call reads anyway."""
        self.account.recharge_below_nanos = self.threshold_nanos if self.is_acting else None

    def turn_on(self) -> None:
        """The owner acts: what paused it is over."""
        self.is_on, self.pause_reason, self.paused_at = True, "", None
        self.declines, self.next_attempt_at = 0, None
        if self.card_id is None:
            self.pause("no_card")
        self.watch()

    def turn_off(self) -> None:
        self.is_on = False
        self.watch()

    def pause(self, why: str) -> bool:
        """Stop until the owner acts; whether it was running. `why` is a key of `PAUSES`."""
        was_acting = self.is_acting
        if was_acting:
            self.pause_reason, self.paused_at = why, utcnow()
        self.watch()
        return was_acting

    def use_card(self, card_id: str, label: str) -> None:
        """A card was saved; what waited for one goes on."""
        self.card_id, self.card_label = card_id, label
        if self.pause_reason in {"no_card", "card_removed", "other_account"}:
            self.pause_reason, self.paused_at = "", None
        self.watch()

    def lose_card(self, why: str = "card_removed") -> bool:
        self.card_id, self.card_label = None, ""
        return self.pause(why)

    def forbidden_by(self) -> str | None:
        """Why it has to pause now, or None."""
        if self.account.closed_at or self.account.frozen_at:
            return "account"
        if self.account.plan.status == "inactive":
            return "plan_gone"
        if self.card_id is None:
            return "no_card"
        if self.pack.status != "active":
            return "pack_gone"
        return None if self.account.plan.allows_packs else "packs_not_allowed"

    def month_total_cents(self, at: datetime) -> int:
        """What was or may still be charged in that calendar month (UTC): open attempts count, refunds do not."""
        return sum(attempt.price_cents for attempt in Recharge.counting(self.account_id, at))

    def exceeds_month(self, at: datetime) -> bool:
        return self.month_total_cents(at) + self.price_cents > self.monthly_max_cents

    def is_due(self, at: datetime) -> bool:
        """Whether an attempt may be made now: below the threshold, within the month's maximum, nothing paused."""
        is_rested = self.next_attempt_at is None or self.next_attempt_at <= at
        return is_rested and self.is_wanted() and not self.exceeds_month(at)

    def is_wanted(self) -> bool:
        return self.is_acting and self.account.spending_paused_at is None and self.is_low()

    def allows_open(self, at: datetime) -> bool:
        """Whether the open attempt may still be charged: what its owner wants may have changed since it was made."""
        is_within = self.month_total_cents(at) <= self.monthly_max_cents
        return is_within and self.is_wanted() and self.forbidden_by() is None

    def is_low(self) -> bool:
        """Whether allowance + credits are below the threshold, whatever the day's limit."""
        return bool(self.account.allowance_nanos + self.account.credits_nanos < self.threshold_nanos)

    def succeeded(self) -> None:
        self.declines, self.next_attempt_at = 0, None

    def declined(self, at: datetime) -> bool:
        """Wait longer after each decline; whether this one paused it."""
        self.next_attempt_at = at + BACK_OFF[min(self.declines, len(BACK_OFF) - 1)]
        self.declines += 1
        return self.declines >= len(BACK_OFF) and self.pause("declined")


class Recharge(Model):
    """One attempt: its payment fixes price and worth, its id is Stripe's idempotency key.

    state: open (sent, or about to be; also while the outcome is unknown) -> paid | declined | canceled,
    or -> authentication (its owner has to confirm) -> paid | canceled.
    """

    __tablename__ = "recharges"
    __table_args__ = (
        one_of("state", *OPEN, "paid", "declined", "canceled"),
        partial_index("uq_recharges_one_open", "account_id", unique=True, where=ONE_OPEN),
        Index("ix_recharges_account_newest", "account_id", "created_at"),
    )

    account_id: Mapped[int] = refers_to("accounts.id")
    payment_id: Mapped[int] = refers_to("payments.id", unique=True)
    state: Mapped[str] = mapped_column(default="open")
    card_id: Mapped[str]
    stripe_customer_id: Mapped[str]
    stripe_payment_intent_id: Mapped[str | None] = mapped_column(unique=True)
    tries: Mapped[int] = mapped_column(default=0)
    confirmations: Mapped[int] = mapped_column(default=0)
    decline_code: Mapped[str] = mapped_column(default="")
    ended_at: Mapped[datetime | None]

    payment = relationship("Payment")
    account = relationship("Account")

    @classmethod
    def attempt(cls, settings: AutoRecharge, account: Account) -> "Recharge":
        """Write down an attempt on a locked account; the database refuses a second open one."""
        payment = Payment.of_pack("recharge", account, settings.quote())
        recharge = cls(account_id=account.id, payment=payment, card_id=settings.card_id)
        recharge.stripe_customer_id = account.stripe_customer_id or ""
        db.session.add(recharge)
        db.session.flush()
        return recharge

    @classmethod
    def open_for(cls, account_id: int) -> "Recharge | None":
        return db.session.scalar(select(cls).where(cls.account_id == account_id, cls.state.in_(OPEN)))

    @classmethod
    def all_open(cls, before: datetime) -> list[int]:
        """Attempts that were made before that moment and have not ended."""
        left = cls.state.in_(OPEN), cls.created_at < before
        return list(db.session.scalars(select(cls.id).where(*left).order_by(cls.id)))

    @classmethod
    def counting(cls, account_id: int, at: datetime) -> "list[Recharge]":
        """Attempts that count into the month of `at`: made or paid in it, or still open."""
        start = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        made = (cls.created_at >= start) & cls.state.in_((*OPEN, "paid"))
        paid = (cls.ended_at >= start) & (cls.state == "paid")
        counts = made | paid | cls.state.in_(OPEN)
        return list(db.session.scalars(select(cls).where(cls.account_id == account_id, counts)))

    @property
    def idempotency_key(self) -> str:
        return f"recharge-{self.id}-{int(self.created_at.timestamp() * 1000)}"

    @property
    def labels(self) -> dict[str, str]:
        return {**self.payment.labels, "recharge_id": str(self.id)}

    @property
    def price_cents(self) -> int:
        return int(self.payment.price_cents)

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    def key_is_alive(self, at: datetime) -> bool:
        """Whether Stripe still remembers the key: a repeat is then the same request, later it would be a second."""
        return at < self.created_at + KEY_LIFETIME

    def end(self, state: str) -> None:
        self.state, self.ended_at = state, utcnow()

    def succeed(self, account: Account, fetched: PaymentState) -> bool:
        """Paid, whatever was thought of it before; whether the credits came just now."""
        if not self.payment.succeed(account, fetched):
            return False
        self.stripe_payment_intent_id = fetched.stripe_id
        self.end("paid")
        return True

    def decline(self, code: str) -> None:
        self.decline_code = code
        self.payment.fall_through("failed")
        self.end("declined")

    def ask_owner(self, payment_intent_id: str | None) -> None:
        self.state, self.stripe_payment_intent_id = "authentication", payment_intent_id

    def cancel(self) -> None:
        self.payment.fall_through("canceled")
        self.end("canceled")


def is_being_paid(account_id: int, at: datetime) -> bool:
    """Whether an auto-recharge is on its way right now, or about to be: worth waiting for."""
    attempt = Recharge.open_for(account_id)
    if attempt is not None:
        return attempt.state == "open" and at < attempt.created_at + WORTH_WAITING
    settings = AutoRecharge.of(account_id)
    return settings is not None and settings.is_due(at) and settings.forbidden_by() is None
