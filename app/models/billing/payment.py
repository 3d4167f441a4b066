"""Payments: what was sold for how much and what it is worth, fixed when the sale began. billing-rules.md 8."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, Index, func, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.types import BigId, Nanos
from app.extensions import db
from app.models.base import Model, not_negative, one_of, refers_to, share, utcnow
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment_errors import Mismatch
from app.models.billing.stripe_objects import PaymentState, SessionState
from app.models.catalog.quote import Quote, check_packs_allowed
from app.models.catalog.worth import tax_behavior, unit_nanos, without_tax
from app.models.identity.account import Account
from app.models.metering.refusal import Conflict

if TYPE_CHECKING:
    from app.models.identity.actor import Actor

OPEN = ("open", "processing")
ENTRY_KINDS = {"pack": "purchase", "recharge": "recharge"}
CHECKOUT_LIFETIME = timedelta(hours=23)
"""How long a checkout that was begun is offered again; Stripe forgets it, and the key of its request, after a day."""


class Payment(Model):
    """Money from a customer. Price and worth are as they were when the sale began, whatever the pack says now.

    `price_cents` was paid; `total_cents` was asked, after discounts and before a customer's balance. `bonus_nanos` is
    the part of the worth that a code added, `monthly_nanos` what it gives of each month. `tax_cents` is in what was
    paid; `included_tax_cents` of it in the price.

    kind: pack | recharge | invoice (of a subscription) | unknown (Stripe has it, we sold nothing).
    state: open -> processing (a bank debit) -> paid | failed | canceled | parked (does not fit, nobody credited).
    """

    __tablename__ = "payments"
    __table_args__ = (
        one_of("kind", "pack", "recharge", "invoice", "unknown"),
        one_of("state", "open", "processing", "paid", "failed", "canceled", "parked"),
        *not_negative("price_cents", "worth_nanos", "refunded_cents", "refund_taken_nanos", "bonus_nanos"),
        *not_negative("dispute_taken_nanos", "discount_cents", "tax_cents", "included_tax_cents"),
        CheckConstraint("refund_taken_nanos + dispute_taken_nanos <= worth_nanos", name="taken_within_worth"),
        CheckConstraint("quantity >= 1", name="quantity_positive"),
        Index("ix_payments_account_newest", "account_id", "id"),
    )

    account_id: Mapped[int] = refers_to("accounts.id")
    user_id: Mapped[int | None] = refers_to("users.id")
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(default="open")
    price_cents: Mapped[int]
    total_cents: Mapped[int] = mapped_column(default=0)
    discount_cents: Mapped[int] = mapped_column(default=0)
    tax_cents: Mapped[int] = mapped_column(default=0)
    included_tax_cents: Mapped[int] = mapped_column(default=0)
    is_taxed: Mapped[bool] = mapped_column(default=False)
    currency: Mapped[str]
    worth_nanos: Mapped[Nanos] = mapped_column(default=0)
    monthly_nanos: Mapped[Nanos] = mapped_column(default=0)
    bonus_nanos: Mapped[Nanos] = mapped_column(default=0)
    quantity: Mapped[int] = mapped_column(default=1)
    pack_id: Mapped[int | None] = refers_to("packs.id")
    plan_id: Mapped[int | None] = refers_to("plans.id")
    subscription_id: Mapped[int | None] = refers_to("subscriptions.id", index=True)
    stripe_session_id: Mapped[str | None] = mapped_column(unique=True)
    stripe_payment_intent_id: Mapped[str | None] = mapped_column(unique=True)
    stripe_invoice_id: Mapped[str | None] = mapped_column(unique=True)
    paid_at: Mapped[datetime | None]
    period_start: Mapped[datetime | None]
    period_end: Mapped[datetime | None]
    number: Mapped[str] = mapped_column(default="")
    page_url: Mapped[str | None]
    pdf_url: Mapped[str | None]
    method: Mapped[str] = mapped_column(default="")
    saves_card: Mapped[bool] = mapped_column(default=False)
    review_reason: Mapped[str] = mapped_column(default="")
    refunded_cents: Mapped[int] = mapped_column(default=0)
    refund_taken_nanos: Mapped[Nanos] = mapped_column(default=0)
    dispute_taken_nanos: Mapped[Nanos] = mapped_column(default=0)
    allowance_taken_nanos: Mapped[Nanos] = mapped_column(default=0)
    former_account_id: Mapped[int | None] = mapped_column(BigId)
    request_key: Mapped[str | None]
    redemption_id: Mapped[int | None] = mapped_column(BigId, index=True)

    redemption = relationship("Redemption", primaryjoin="foreign(Payment.redemption_id) == Redemption.id")
    account = relationship("Account")
    pack = relationship("CreditPack")
    plan = relationship("Plan")
    subscription = relationship("Subscription")

    @classmethod
    def begin(cls, buyer: "Actor", account: Account, quote: Quote, request_key: str | None = None) -> "Payment":
        """A purchase that is about to be paid for. Refusal where the plan does not permit packs."""
        check_packs_allowed(account)
        payment = cls.of_pack("pack", account, quote)
        payment.user_id, payment.request_key = buyer.user_id, request_key
        return payment

    @classmethod
    def begun(cls, account: Account, quote: Quote, request_key: str | None) -> "Payment | None":
        """The same purchase, begun before and not paid yet: by the key of its request, else by what it buys."""
        mine = cls.account_id == account.id, cls.kind == "pack", cls.former_account_id.is_(None)
        is_young = cls.created_at > utcnow() - CHECKOUT_LIFETIME
        which = cls.request_key == request_key if request_key else cls.state == "open"
        query = select(cls).where(*mine, is_young, which).order_by(cls.id.desc())
        for payment in db.session.scalars(query):
            is_same = payment.terms == quote.terms
            if request_key and not is_same:
                raise Conflict("idempotency_key_reused")
            if is_same and payment.costs_as(quote):
                return payment
        return None

    @property
    def terms(self) -> tuple[object, ...]:
        """As those of its quote: what it buys, whatever that costs now."""
        amount = self.price_cents + self.discount_cents if self.pack.is_any_amount else None
        code_id = self.redemption.code_id if self.redemption else None
        return "pack", self.pack_id, self.quantity, amount, code_id, self.saves_card

    def costs_as(self, quote: Quote) -> bool:
        own = self.price_cents, self.discount_cents, self.worth_nanos, self.currency
        return own == (quote.price_cents, quote.discount_cents, quote.worth_nanos, quote.pack.currency)

    @classmethod
    def of_pack(cls, kind: str, account: Account, quote: Quote) -> "Payment":
        payment = cls(kind=kind, account_id=account.id, pack_id=quote.pack.id, quantity=quote.quantity)
        payment.price_cents = payment.total_cents = quote.price_cents
        payment.discount_cents, payment.currency = quote.discount_cents, quote.pack.currency
        payment.worth_nanos, payment.bonus_nanos = quote.worth_nanos, quote.bonus_nanos
        payment.is_taxed, payment.saves_card = tax_behavior() is not None, quote.saves_card
        db.session.add(payment)
        db.session.flush()
        return payment

    @classmethod
    def lately_paid(cls, account_id: int, at: datetime) -> int:
        """What the account paid in the 30 days before, less what was given back, in nanos."""
        cents = func.sum(cls.price_cents - cls.refunded_cents)
        paid = cls.account_id == account_id, cls.state == "paid", cls.paid_at > at - timedelta(days=30)
        return int(db.session.scalar(select(cents).where(*paid)) or 0) * unit_nanos()

    @classmethod
    def last_period_of(cls, subscription_id: int) -> "Payment | None":
        """The newest paid invoice that sold the subscription a whole period."""
        sold = cls.subscription_id == subscription_id, cls.state == "paid", cls.period_start.is_not(None)
        return db.session.scalar(select(cls).where(*sold).order_by(cls.period_start.desc()).limit(1))

    @classmethod
    def of_year(cls, subscription_id: int) -> "list[Payment]":
        """What pays for the months of the running year: its invoice, and those of upgrades within it."""
        year = cls.last_period_of(subscription_id)
        if year is None:
            return []
        grown = cls.subscription_id == subscription_id, cls.state == "paid", cls.period_start.is_(None)
        query = select(cls).where(*grown, cls.monthly_nanos > 0).order_by(cls.id)
        return [year, *db.session.scalars(query)]

    @classmethod
    def waiting(cls, before: datetime) -> "list[Payment]":
        """Checkouts that began before that moment and whose end we have not heard of."""
        purchases = cls.kind == "pack", cls.former_account_id.is_(None), cls.stripe_session_id.is_not(None)
        query = select(cls).where(*purchases, cls.state.in_(OPEN), cls.created_at < before)
        return list(db.session.scalars(query.order_by(cls.id)))

    @classmethod
    def park_unknown(cls, account: Account, fetched: PaymentState, why: str) -> "Payment":
        """Money that came and that we sold nothing for: kept for a person to look at."""
        payment = cls.by(stripe_payment_intent_id=fetched.stripe_id) or cls(kind="unknown", account_id=account.id)
        payment.price_cents = payment.total_cents = fetched.amount_cents
        payment.currency, payment.stripe_payment_intent_id = fetched.currency, fetched.stripe_id
        payment.park(why)
        db.session.add(payment)
        return payment

    @property
    def idempotency_key(self) -> str:
        """What Stripe knows a request about this row by: the row, and its moment, so that no other database has it."""
        return f"payment-{self.id}-{int(self.created_at.timestamp() * 1000)}"

    @property
    def labels(self) -> dict[str, str]:
        """What we write onto everything that we create at Stripe."""
        return {"account_id": str(self.account_id), "payment_id": str(self.id)}

    @property
    def is_paid(self) -> bool:
        return self.state == "paid"

    @property
    def taken_nanos(self) -> int:
        """What refunds and disputes have taken back of the worth."""
        return self.refund_taken_nanos + self.dispute_taken_nanos

    def share_refunded(self, worth: int, more_cents: int = 0) -> int:
        """What of a worth the refunds so far, and more, come to: by their part of the total that was asked, whatever
        paid it."""
        total = self.total_cents
        return share(worth, min(self.refunded_cents + more_cents, total), total) if total > 0 else 0

    @property
    def is_untaxed(self) -> bool:
        """Whether it is sold with tax, and none is known yet."""
        return self.is_taxed and not self.tax_cents

    @property
    def awaits_tax(self) -> bool:
        """Whether the page that asked for it may have found a tax that is not known here yet."""
        return self.is_untaxed and not self.is_paid and self.stripe_session_id is not None

    def take_tax(self, session: SessionState) -> None:
        """The tax that a finished page found: on top of the price, or in it, which then was worth its net."""
        if self.awaits_tax and session.status == "complete":
            is_on_top = session.amount_cents == self.price_cents + session.tax_cents
            on_top = session.tax_cents if is_on_top else 0
            self.add_tax(on_top=on_top, included=session.tax_cents - on_top)

    def add_tax(self, *, on_top: int, included: int) -> None:
        """Tax on top is paid too; tax within the price leaves less that was bought."""
        asked = self.price_cents
        sold = without_tax(self.worth_nanos - self.bonus_nanos, asked, included)
        self.bonus_nanos = without_tax(self.bonus_nanos, asked, included)
        self.worth_nanos = sold + self.bonus_nanos
        self.price_cents = self.total_cents = asked + on_top
        self.tax_cents, self.included_tax_cents = on_top + included, included

    def check_session(self, session: SessionState) -> None:
        """Mismatch where a checkout session is not the one that we opened for this payment."""
        if not self.is_untaxed or session.amount_cents != self.price_cents + session.tax_cents:
            self.check("amount", session.amount_cents, self.price_cents)
        self.check("currency", session.currency, self.currency)
        for account in (session.client_reference_id, session.metadata.get("account_id")):
            self.check("account", account, str(self.account_id))

    def check_payment(self, fetched: PaymentState) -> None:
        """Mismatch where Stripe's payment is not of what was sold."""
        reported = fetched.received_cents if fetched.is_paid else fetched.amount_cents
        self.check("currency", fetched.currency, self.currency)
        self.check("amount", reported, self.price_cents)
        self.check("account", fetched.metadata.get("account_id", str(self.account_id)), str(self.account_id))
        if self.is_paid and self.stripe_payment_intent_id != fetched.stripe_id:
            raise Mismatch(f"payment {self.id} was paid by {self.stripe_payment_intent_id} already", self.id)

    def check(self, what: str, reported: object, ours: object) -> None:
        if reported is not None and reported != ours:
            raise Mismatch(f"{what} is {reported!r} at Stripe and {ours!r} on payment {self.id}", self.id)

    def succeed(self, account: Account, fetched: PaymentState) -> bool:
        """Credit a locked account with what was bought, once per payment intent; whether this was the time."""
        self.check_payment(fetched)
        if self.is_paid:
            return False
        # A payment that was parked as unknown, and of which we know by now what it was for.
        known = Payment.by(stripe_payment_intent_id=fetched.stripe_id)
        if known is not None and known is not self and known.kind == "unknown":
            db.session.delete(known)
            db.session.flush()
        self.state, self.paid_at, self.review_reason = "paid", utcnow(), ""
        self.stripe_payment_intent_id, self.page_url = fetched.stripe_id, fetched.receipt_url
        if self.pack:
            self.pack.lock_terms()
        self.credit(account, fetched.stripe_id)
        return True

    def credit(self, account: Account, stripe_id: str) -> None:
        """What was sold, and what a code adds to it: two entries."""
        kind, bonus = ENTRY_KINDS[self.kind], self.bonus_nanos
        sold = self.worth_nanos - bonus
        LedgerEntry.post(account, kind, f"payment:{stripe_id}", credits=sold, payment_id=self.id)
        if bonus:
            LedgerEntry.post(account, "bonus", f"bonus:{stripe_id}", credits=bonus, payment_id=self.id)
        if self.redemption:
            self.redemption.use()

    def wait(self) -> None:
        """A bank debit was begun; days may pass."""
        if self.state == "open":
            self.state = "processing"

    def fall_through(self, state: str = "canceled") -> None:
        """Nothing was paid: the checkout was left, expired, or the bank said no."""
        if self.state in OPEN:
            self.state = state
            if self.redemption:
                self.redemption.release()

    def park(self, why: str) -> None:
        if not self.is_paid:
            self.state, self.review_reason = "parked", why[:1000]
