"""Allowance that ended with its subscription: no refund or dispute takes it a second time. billing-rules.md 8."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from app.extensions import db
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.subscription import Subscription
from app.models.identity.account import LONG_AGO

TAKING = ("refund", "refund_failed", "dispute", "dispute_won")


def key_of_late(invoice_id: str | None) -> str:
    """The entry of an invoice that was paid after the subscription's end, and became credits."""
    return f"late:{invoice_id}"


def since_last_end(subscription: Subscription, paid: Payment, since: datetime = LONG_AGO) -> list[LedgerEntry]:
    """Its entry by which the allowance ended, and what grew since; empty where a refill came after it.

    The refill of an older period, paid meanwhile, is growth: it sets nothing anew. `paid` is the running one.
    """
    mine = LedgerEntry.account_id == subscription.account_id, LedgerEntry.subscription_id == subscription.id
    query = select(LedgerEntry).where(*mine, LedgerEntry.created_at >= since).order_by(LedgerEntry.id)
    entries: list[LedgerEntry] = []
    for entry in db.session.scalars(query):
        is_older = entry.payment_id not in (None, paid.id)
        if entry.kind == "allowance_ended" or (entry.kind == "refill" and not is_older):
            entries = []
        if entries or entry.kind == "allowance_ended":
            entries.append(entry)
    return entries


def left_of_ended(payment: Payment, counted: int = 0) -> int:
    """What ended with the payment's subscription, and no refund or dispute has counted yet, in nanos.

    `counted` is what the one that asks has put on its payment already.
    """
    subscription = payment.subscription
    late = select(LedgerEntry.id).where(LedgerEntry.key == key_of_late(payment.stripe_invoice_id))
    if subscription is None or subscription.is_in_force or db.session.scalar(late):
        return 0
    paid = Payment.last_period_of(subscription.id)
    ended = since_last_end(subscription, paid)[:1] if paid else []
    return max(0, sum(-entry.allowance_nanos for entry in ended) - taken_of_ended(subscription) + counted)


def taken_of_ended(subscription: Subscription) -> int:
    """What its payments count as taken, and no balance was moved for."""
    mine: Any = {"account_id": subscription.account_id, "subscription_id": subscription.id}
    taken = Payment.refund_taken_nanos + Payment.dispute_taken_nanos - Payment.allowance_taken_nanos
    counted = db.session.scalar(select(func.sum(taken)).filter_by(**mine)) or 0
    moved = select(func.sum(LedgerEntry.credits_nanos)).where(LedgerEntry.kind.in_(TAKING)).filter_by(**mine)
    return int(counted) + int(db.session.scalar(moved) or 0)


def credits_taken(payment: Payment) -> int:
    """What refunds and disputes of a payment took from the credits, less what they gave back."""
    moved = select(func.sum(LedgerEntry.credits_nanos)).where(LedgerEntry.kind.in_(TAKING))
    return -int(db.session.scalar(moved.filter_by(payment_id=payment.id)) or 0)


def come_back(subscription: Subscription) -> int:
    """What its payments count as taken of an allowance that now comes back, so much smaller."""
    taken = taken_of_ended(subscription)
    for payment in db.session.scalars(select(Payment).filter_by(subscription_id=subscription.id)) if taken else ():
        payment.allowance_taken_nanos = payment.taken_nanos - credits_taken(payment)
    return taken
