"""What refunds and disputes take back of a payment's worth, and give back. billing-rules.md 8."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Subquery, case, cast, func, select, union_all
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.models.base import Model, not_negative, refers_to
from app.models.billing.ended_allowance import credits_taken, left_of_ended
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.stripe_objects import DisputeState, RefundState, is_credit_note
from app.models.identity.account import Account

AGAINST_US = (
    "needs_response",
    "under_review",
    "appeal_needs_response",
    "appeal_under_review",
    "lost",
    "prevented",
)
"""Where the money is gone. A `prevented` one was paid back before it was opened (Visa's rapid resolution)."""

NOT_MADE = ("wanted", "failed", "canceled")
"""Refunds that nobody has had."""


class Refund(Model):
    """A refund of a payment, asked for here or at Stripe. `wanted`: written down, Stripe has not answered yet."""

    __tablename__ = "refunds"
    __table_args__ = (*not_negative("amount_cents"),)

    account_id: Mapped[int] = refers_to("accounts.id", index=True)
    payment_id: Mapped[int] = refers_to("payments.id", index=True)
    actor_id: Mapped[int | None] = refers_to("users.id")
    amount_cents: Mapped[int]
    status: Mapped[str] = mapped_column(default="wanted")
    reason: Mapped[str] = mapped_column(default="")
    stripe_id: Mapped[str | None] = mapped_column(unique=True)
    refunded_at: Mapped[datetime | None]

    payment = relationship("Payment")

    @classmethod
    def want(cls, payment: Payment, cents: int, *, reason: str, actor_id: int | None = None) -> "Refund":
        """Write down that so much is to be paid back. The account is locked."""
        refund = cls(payment_id=payment.id, account_id=payment.account_id, amount_cents=cents, reason=reason)
        refund.actor_id = actor_id
        db.session.add(refund)
        db.session.flush()
        return refund

    @classmethod
    def wanted(cls) -> list[int]:
        """Those that Stripe has still to be asked for, of payments at the account in use."""
        query = select(cls.id).join(Payment, Payment.id == cls.payment_id).order_by(cls.id)
        return list(db.session.scalars(query.where(cls.status == "wanted", Payment.former_account_id.is_(None))))

    @property
    def idempotency_key(self) -> str:
        return f"refund-{self.id}-{int(self.created_at.timestamp() * 1000)}"

    @property
    def labels(self) -> dict[str, str]:
        return {**self.payment.labels, "refund_id": str(self.id)}


class Dispute(Model):
    """A payment that its payer's bank asks back. `opened_count`: how often it was opened against us."""

    __tablename__ = "disputes"

    account_id: Mapped[int] = refers_to("accounts.id", index=True)
    payment_id: Mapped[int] = refers_to("payments.id", index=True)
    stripe_id: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str]
    opened_count: Mapped[int] = mapped_column(default=0)

    payment = relationship("Payment")

    @property
    def is_against_us(self) -> bool:
        return self.status in AGAINST_US


NOT_REFUNDED = Payment.price_cents - Payment.refunded_cents
OF_PAYMENT = Dispute.payment_id == Payment.id, Dispute.status.in_(AGAINST_US)


def untaxed(cents: Any) -> ColumnElement[int]:
    """What of an amount of a payment is ours: `without_tax`, as the database reckons it."""
    total = cast(Payment.total_cents, BigInteger)
    net = (2 * cast(cents, BigInteger) * (total - Payment.tax_cents) + total) // (2 * total)
    return case(((Payment.tax_cents > 0) & (Payment.tax_cents < total), net), else_=cents)


def kept_cents() -> ColumnElement[int]:
    """What is left of a payment after refunds, disputes and tax."""
    is_lost = select(Dispute.id).where(*OF_PAYMENT).correlate(Payment).exists()
    return case((is_lost, 0), else_=untaxed(NOT_REFUNDED))


def revenue_between(begins: datetime, ends: datetime) -> Subquery:
    """(at, currency, cents without tax) of what was paid, and of what refunds and disputes took, which is negative."""
    columns = Payment.currency.label("currency"), untaxed(Payment.price_cents).label("cents")
    came = select(Payment.paid_at.label("at"), *columns)
    came = came.where(Payment.state == "paid", Payment.paid_at >= begins, Payment.paid_at < ends)
    made = Refund.status.not_in(NOT_MADE), Refund.refunded_at >= begins, Refund.refunded_at < ends
    back = select(Refund.refunded_at, Payment.currency, -untaxed(Refund.amount_cents)).join(Refund.payment).where(*made)
    lost = lost_between(begins, ends).subquery()
    gone = select(lost.c.at, Payment.currency, -untaxed(NOT_REFUNDED)).join(lost, lost.c.payment_id == Payment.id)
    return union_all(came, back, gone).subquery()


def lost_between(begins: datetime, ends: datetime) -> Select[int, datetime]:
    """(payment_id, at): each payment that disputes are against us of, and when the first of them came."""
    first = func.min(Dispute.created_at).label("at")
    opened = select(Dispute.payment_id, first).where(Dispute.status.in_(AGAINST_US)).group_by(Dispute.payment_id)
    return opened.having(first >= begins, first < ends)


def follow_refunds(payment: Payment, account: Account, states: Iterable[RefundState]) -> list[Refund]:
    """Bring a locked account in line with all refunds of a payment, each once; returns the new ones."""
    new = []
    for state in sorted(states, key=lambda one: (one.created_at, one.stripe_id)):
        known = db.session.scalar(select(Refund).where(Refund.stripe_id == state.stripe_id))
        if known is None:
            new.append(take_refund(payment, account, state))
        elif state.is_gone and known.status not in {"failed", "canceled"}:
            give_back_refund(payment, account, known, state)
        else:
            known.status = state.status
    return new


def take_refund(payment: Payment, account: Account, state: RefundState) -> Refund:
    """A refund that is new to us; one that failed meanwhile took and gave back."""
    refund = asked_for_here(payment, state) or Refund(payment_id=payment.id, account_id=payment.account_id)
    refund.stripe_id, refund.status, refund.amount_cents = state.stripe_id, state.status, state.amount_cents
    refund.refunded_at = state.created_at
    db.session.add(refund)
    refund.status = "succeeded"
    payment.refunded_cents += state.amount_cents
    take_share(payment, account, f"refund:{state.stripe_id}")
    if state.is_gone:
        give_back_refund(payment, account, refund, state)
    else:
        refund.status = state.status
    return refund


def asked_for_here(payment: Payment, state: RefundState) -> Refund | None:
    """Our own wish that Stripe has carried out, where its answer was lost; none is for a credit note."""
    if is_credit_note(state.stripe_id):
        return None
    waiting = (
        Refund.payment_id == payment.id,
        Refund.status == "wanted",
        Refund.amount_cents == state.amount_cents,
    )
    return db.session.scalar(select(Refund).where(*waiting).order_by(Refund.id).limit(1))


def give_back_refund(payment: Payment, account: Account, refund: Refund, state: RefundState) -> None:
    refund.status = state.status
    payment.refunded_cents -= refund.amount_cents
    take_share(payment, account, f"refund_failed:{state.stripe_id}")


def take_share(payment: Payment, account: Account, key: str) -> None:
    """Take or give the difference to what the refunds of now come to.

    A dispute's part makes room for a refund, and keeps what a refund that failed would give back.
    """
    due = payment.share_refunded(payment.worth_nanos)
    difference = due - payment.refund_taken_nanos
    payment.refund_taken_nanos = due
    is_kept = difference < 0 and is_disputed(payment)
    covered = difference if is_kept else max(0, payment.taken_nanos - payment.worth_nanos)
    payment.dispute_taken_nanos -= covered
    move(payment, account, difference - covered, key, taken="refund", given="refund_failed")


def follow_dispute(payment: Payment, account: Account, state: DisputeState) -> Dispute:
    """Freeze and take what is left while a dispute is against us; return and unfreeze once it is won."""
    dispute = Dispute.by(stripe_id=state.stripe_id) or Dispute(
        stripe_id=state.stripe_id, payment_id=payment.id, account_id=payment.account_id, opened_count=0
    )
    was_against_us = dispute.status is not None and dispute.is_against_us
    dispute.status = state.status
    db.session.add(dispute)
    if dispute.is_against_us and not was_against_us:
        dispute.opened_count += 1
        taken = payment.worth_nanos - payment.taken_nanos
        payment.dispute_taken_nanos += taken
        key = f"dispute:{state.stripe_id}:{dispute.opened_count}"
        move(payment, account, taken, key, taken="dispute", given="dispute_won")
        account.freeze("dispute")
    if was_against_us and not dispute.is_against_us:
        release_dispute(payment, account, dispute)
    return dispute


def release_dispute(payment: Payment, account: Account, dispute: Dispute) -> None:
    """What was taken comes back with the last dispute of the payment: each of several may be of a part of it."""
    db.session.flush()
    if not is_disputed(payment):
        given, payment.dispute_taken_nanos = payment.dispute_taken_nanos, 0
        key = f"dispute_won:{dispute.stripe_id}:{dispute.opened_count}"
        move(payment, account, -given, key, taken="dispute", given="dispute_won")
        db.session.flush()
    against_us = Dispute.account_id == account.id, Dispute.status.in_(AGAINST_US)
    if not db.session.scalar(select(func.count()).select_from(Dispute).where(*against_us)):
        account.unfreeze("dispute")


def is_disputed(payment: Payment) -> bool:
    against_us = Dispute.payment_id == payment.id, Dispute.status.in_(AGAINST_US)
    return db.session.scalar(select(Dispute.id).where(*against_us).limit(1)) is not None


def move(payment: Payment, account: Account, nanos: int, key: str, *, taken: str, given: str) -> None:
    """Take `nanos` from the account (give, where negative), by an invoice's rule or a pack's.

    An invoice's is taken from allowance: what ended with its subscription counts, then what is left; then from
    credits. It comes back where it was taken, in reverse.
    """
    if nanos > 0:
        due = nanos - min(nanos, left_of_ended(payment, nanos))
        from_allowance = min(due, account.allowance_nanos) if payment.kind == "invoice" else 0
    else:
        due = -min(-nanos, payment.allowance_taken_nanos + (taken_credits := credits_taken(payment)))
        from_allowance = min(0, due + taken_credits)
    payment.allowance_taken_nanos += from_allowance
    kind, from_credits = (taken if nanos > 0 else given), due - from_allowance
    columns = {"payment_id": payment.id, "subscription_id": payment.subscription_id}
    if due:
        LedgerEntry.post(account, kind, key, allowance=-from_allowance, credits=-from_credits, **columns)
