"""Refunds: those an admin asks for, and those of a subscription that slipped through."""

from contextlib import suppress

from sqlalchemy import func, or_, select

from app.extensions import db
from app.jobs import JobName, commit, enqueue_after_commit
from app.models.billing.ended_allowance import left_of_ended
from app.models.billing.payment import Payment
from app.models.billing.payment_errors import Rejected, UnknownOutcome
from app.models.billing.refund import Refund
from app.models.billing.stripe_account import StripeAccount
from app.models.billing.subscription import Subscription
from app.models.catalog.currency import plain_amount, step
from app.models.identity.account import Account
from app.models.metering.refusal import InvalidRequest
from app.payments.sync import sync_refunds
from app.stripe_api import requests


def request_refund(payment_id: int, cents: int | None = None, *, reason: str, actor_id: int | None = None) -> Refund:
    """Write down that a payment is to be paid back (whole, where no amount is named); a job asks Stripe.

    InvalidRequest where that much was not paid, or was paid back already.
    """
    payment = db.session.get_one(Payment, payment_id)
    Account.locked(payment.account_id)
    db.session.refresh(payment)
    if payment.former_account_id is not None:
        where = db.session.get_one(StripeAccount, payment.former_account_id).label
        raise InvalidRequest({"amount": [f"was paid at {where}, which is no longer in use. Refund it there."]})
    left = refundable_cents(payment)
    cents = left if cents is None else cents
    if not payment.is_paid or not 0 < cents <= left:
        raise InvalidRequest({"amount": [f"must be more than 0 and at most {plain_amount(left, payment.currency)}."]})
    if cents % step(payment.currency):
        least = plain_amount(step(payment.currency), payment.currency)
        raise InvalidRequest({"amount": [f"must be a multiple of {least}."]})
    refund = Refund.want(payment, cents, reason=reason, actor_id=actor_id)
    enqueue_after_commit(JobName.PAY_BACK, refund.id)
    return refund


def refundable_cents(payment: Payment) -> int:
    """What was paid and neither paid back nor is about to be."""
    waiting = Refund.payment_id == payment.id, Refund.status == "wanted"
    pending = db.session.scalar(select(func.coalesce(func.sum(Refund.amount_cents), 0)).where(*waiting)) or 0
    return max(0, payment.price_cents - payment.refunded_cents - int(pending))


def refundable_nanos(payment: Payment, left_cents: int) -> int:
    """What of its worth a refund of all that is left takes back, behind those that are pending."""
    whole = payment.price_cents - payment.refunded_cents
    pending = whole - left_cents
    room = payment.worth_nanos - payment.dispute_taken_nanos
    before, after = (min(room, payment.share_refunded(payment.worth_nanos, cents)) for cents in (pending, whole))
    return max(0, after - before - left_of_ended(payment))


def pay_back(refund_id: int) -> None:
    """Ask Stripe for a refund that is written down, unless it has it already: an earlier key may be forgotten."""
    refund = db.session.get(Refund, refund_id)
    if refund is None or refund.status != "wanted":
        return
    payment_intent = refund.payment.stripe_payment_intent_id
    try:
        sync_refunds(payment_intent or "")
        commit()
        refund = db.session.get_one(Refund, refund_id, populate_existing=True)
        if refund.status != "wanted":
            return
        requests.pay_back(refund)
    except Rejected as error:
        refund = db.session.get_one(Refund, refund_id)
        refund.status, refund.reason = "failed", f"{refund.reason} ({error})".strip()
    except UnknownOutcome:
        return
    commit()
    sync_refunds(payment_intent or "")
    commit()


def refund_rejected() -> None:
    """Pay back whatever a subscription took that was not wanted, and what was paid once the account was closed."""
    is_rejected, is_late = Subscription.rejected_at.is_not(None), Payment.paid_at >= Account.closed_at
    taken = (
        select(Payment.id, is_rejected)
        .join(Account, Account.id == Payment.account_id)
        .outerjoin(Subscription, Subscription.id == Payment.subscription_id)
        .where(or_(is_rejected, is_late), Payment.state == "paid", Payment.price_cents > 0)
        .where(Payment.refunded_cents == 0, Payment.stripe_payment_intent_id.is_not(None))
        .where(Payment.former_account_id.is_(None))
        .where(~select(Refund.id).where(Refund.payment_id == Payment.id).exists())
    )
    for payment_id, rejected in db.session.execute(taken).all():
        with suppress(InvalidRequest):
            request_refund(
                payment_id, reason="a second subscription" if rejected else "paid after the account was closed"
            )
        commit()
