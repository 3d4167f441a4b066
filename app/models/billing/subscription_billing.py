"""What a subscription gives: the plan, the allowance of each paid invoice, the trial. billing-rules.md 7."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import select

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.allowance import is_trusted, refill, refill_if_due, repay_debt
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.payment_errors import Mismatch
from app.models.billing.stripe_objects import InvoiceState, LineState, SubscriptionState
from app.models.billing.subscription import Subscription, free_plan_after
from app.models.catalog.plan import Plan
from app.models.identity.account import Account, anniversary, months_between

SECOND = "the account has a subscription already"
LATE = "An invoice of a subscription that had ended was paid"
RETIRED = "the plan was retired before the subscription began"


def follow(
    subscription: Subscription, account: Account, state: SubscriptionState, invoices: Iterable[InvoiceState]
) -> None:
    """Bring a locked account in line with what Stripe says of its subscription and of all its invoices.

    Invoices count once, in the order in which they were paid, whichever event told of them first.
    """
    subscription.check(state)
    reject_if_unwanted(subscription)
    begin_trial(subscription, account, state)
    subscription.mirror(state)
    grow_trial(subscription, account)
    for invoice in sorted(filter(is_charged, invoices), key=by_payment):
        apply_invoice(subscription, account, invoice)
    give_rights(subscription, account)


def is_charged(invoice: InvoiceState) -> bool:
    """Whether an invoice was paid and sold something: the first one of a trial sells nothing."""
    return invoice.is_paid and any(line.amount > 0 for line in invoice.lines)


def by_payment(invoice: InvoiceState) -> tuple[datetime, datetime, bool, str]:
    """Of one second, that which sells a period comes before that which makes it grow."""
    is_growth = invoice.period_line is None
    return invoice.paid_at or invoice.created_at, invoice.created_at, is_growth, invoice.stripe_id


def reject_if_unwanted(subscription: Subscription) -> None:
    """A second live subscription, or one that begins on a plan that ended meanwhile."""
    running = Subscription.live_of(subscription.account_id)
    is_beginning = not subscription.is_in_force and subscription.paid_until is None
    if running is not None and running is not subscription and is_beginning:
        subscription.reject(SECOND)
    if is_beginning and subscription.plan.status == "inactive":
        subscription.reject(RETIRED)


def begin_trial(subscription: Subscription, account: Account, state: SubscriptionState) -> None:
    """The allowance of a trial of the plan that was chosen, once per account and per card.

    Who had one before pays from now on.
    """
    if state.trial_start is None or state.trial_end is None:
        return
    if subscription.rejected_at or subscription.trial_refused_at:
        return
    key = f"trial:{account.id}"
    earlier = db.session.scalar(select(LedgerEntry).where(LedgerEntry.key == key))
    if earlier is not None and earlier.subscription_id == subscription.id:
        return
    if earlier is not None or not may_try(account) or card_was_used(subscription, state):
        subscription.trial_refused_at = utcnow()
        return
    subscription.trial_card = state.card.fingerprint if state.card else None
    subscription.trial_days = subscription.trial_days or (state.trial_end - state.trial_start).days
    amount = subscription.trial_granted_nanos = trial_worth(subscription)
    LedgerEntry.post(
        account, "trial", key, allowance=amount - account.allowance_nanos, subscription_id=subscription.id
    )
    repay_debt(account, key=f"debt:{key}")
    account.period_start, account.period_end = state.trial_start, state.trial_end
    subscription.come_into_force()


def may_try(account: Account) -> bool:
    """Trials are for the personal account of a verified address."""
    return account.kind == "personal" and is_trusted(account)


def trial_days_for(account: Account, plan: Plan) -> int:
    """The plan's trial, for an account that may have one and has not."""
    had_one = db.session.query(LedgerEntry).filter_by(key=f"trial:{account.id}").first() is not None
    return 0 if had_one or not may_try(account) else int(plan.trial_days)


def card_was_used(subscription: Subscription, state: SubscriptionState) -> bool:
    if state.card is None or state.card.fingerprint is None:
        return False
    others = Subscription.trial_card == state.card.fingerprint, Subscription.id != subscription.id
    return db.session.scalar(select(Subscription.id).where(*others)) is not None


def trial_worth(subscription: Subscription) -> int:
    return int(subscription.plan.allowance_nanos) * subscription.trial_days // 30


def grow_trial(subscription: Subscription, account: Account) -> None:
    """An upgrade in the trial: at most the new plan's share of a month, less what is used."""
    worth = trial_worth(subscription)
    if not subscription.is_trialing or not 0 < subscription.trial_granted_nanos < worth:
        return
    used = subscription.trial_granted_nanos - account.allowance_nanos
    growth = max(0, worth - used) - account.allowance_nanos
    key = f"plan_change:{subscription.stripe_id}:trial:{subscription.plan_id}"
    LedgerEntry.post(account, "plan_change", key, allowance=growth, subscription_id=subscription.id)
    subscription.trial_granted_nanos = worth


def apply_invoice(subscription: Subscription, account: Account, invoice: InvoiceState) -> None:
    """What a paid invoice gives, once. Mismatch where it sells something that we do not."""
    known = Payment.with_invoice(invoice.stripe_id)
    if known is not None:
        known.stripe_payment_intent_id = known.stripe_payment_intent_id or invoice.payment_intent_id
        return
    payment = payment_for(subscription, invoice)
    if subscription.rejected_at:
        return
    if subscription.ended_at and invoice.paid_at and invoice.paid_at > subscription.ended_at:
        give_credits(subscription, account, payment, invoice)
    elif line := invoice.period_line:
        begin_period(subscription, account, payment, line)
    elif line := invoice.growth_line:
        grow(subscription, account, payment, line)


def payment_for(subscription: Subscription, invoice: InvoiceState) -> Payment:
    payment = Payment(
        kind="invoice", state="paid", account_id=subscription.account_id, user_id=subscription.user_id
    )
    payment.price_cents, payment.currency = invoice.paid_cents, invoice.currency
    payment.subscription_id, payment.plan_id = subscription.id, subscription.plan_id
    payment.stripe_invoice_id, payment.stripe_payment_intent_id = invoice.stripe_id, invoice.payment_intent_id
    payment.paid_at, payment.number, payment.page_url = invoice.paid_at, invoice.number, invoice.page_url
    payment.worth_nanos = payment.refunded_cents = 0
    if invoice.currency != subscription.currency:
        raise Mismatch(f"invoice {invoice.stripe_id} is in {invoice.currency}, not {subscription.currency}")
    db.session.add(payment)
    db.session.flush()
    return payment


def give_credits(
    subscription: Subscription, account: Account, payment: Payment, invoice: InvoiceState
) -> None:
    """An invoice that was paid after the end has no period left to serve: what it is worth is credited for good."""
    plan = plan_sold(subscription, invoice)
    whole = plan.worth_nanos if plan.interval == "year" else plan.allowance_nanos
    payment.plan_id, payment.worth_nanos = plan.id, whole * payment.price_cents // plan.price_cents
    columns: Any = {"subscription_id": subscription.id, "payment_id": payment.id, "reason": LATE}
    LedgerEntry.post(account, "purchase", f"late:{invoice.stripe_id}", credits=payment.worth_nanos, **columns)


def plan_sold(subscription: Subscription, invoice: InvoiceState) -> Plan:
    """The plan of an invoice's whole period, or of the growth that it sells."""
    if invoice.period_line:
        return sold_by(subscription, invoice.period_line)
    return subscription.plan_for((invoice.growth_line and invoice.growth_line.price_id) or "")


def begin_period(subscription: Subscription, account: Account, payment: Payment, line: LineState) -> None:
    """The refill of a new period, by what the plan is worth now; one that is paid late adds to the running one."""
    plan = sold_by(subscription, line)
    newest = Payment.last_period_of(subscription.id)
    payment.plan_id, payment.period_start, payment.period_end = plan.id, line.starts_at, line.ends_at
    amount = payment.worth_nanos = plan.allowance_nanos
    key = f"refill:{subscription.stripe_id}:{int(line.starts_at.timestamp())}"
    columns: Any = {
        "month": f"{line.starts_at:%Y-%m}",
        "subscription_id": subscription.id,
        "payment_id": payment.id,
    }
    if newest is not None and newest.period_start > line.starts_at:  # type: ignore[operator]
        LedgerEntry.post(account, "refill", key, allowance=amount, **columns)
        return
    refill(account, amount, key=key, **columns)
    subscription.allowance_nanos, subscription.paid_until = amount, line.ends_at
    subscription.come_into_force()
    is_yearly = plan.interval == "year"
    account.billing_anchor = line.starts_at if is_yearly else account.created_at
    account.period_start = line.starts_at
    account.period_end = anniversary(line.starts_at, 1) if is_yearly else line.ends_at


def sold_by(subscription: Subscription, line: LineState) -> Plan:
    """The plan that a line sells. Mismatch where its price is none of ours, or not what we ask."""
    if line.price_id is None:
        raise Mismatch("a line of the invoice has no price")
    plan = subscription.plan_for(line.price_id)
    asked = {plan.price_cents, subscription.price_cents}
    if line.amount not in asked:
        raise Mismatch(f"{line.amount} cents were asked for {plan.name}, which costs {plan.price_cents}")
    return plan


def grow(subscription: Subscription, account: Account, payment: Payment, line: LineState) -> None:
    """A paid upgrade: (new worth - what was last refilled) x the fraction of the period that is left."""
    plan = subscription.plan_for(line.price_id or "")
    start, end = period_around(subscription, line.starts_at)
    left, whole = max(0, seconds(line.starts_at, end)), seconds(start, end)
    more = max(0, plan.allowance_nanos - subscription.allowance_nanos)
    payment.plan_id = plan.id
    payment.worth_nanos = (2 * more * left + whole) // (2 * whole) if whole > 0 else 0
    key = f"plan_change:{payment.stripe_invoice_id}"
    columns = {"subscription_id": subscription.id, "payment_id": payment.id}
    LedgerEntry.post(account, "plan_change", key, allowance=payment.worth_nanos, **columns)
    subscription.allowance_nanos = max(subscription.allowance_nanos, plan.allowance_nanos)


def period_around(subscription: Subscription, moment: datetime) -> tuple[datetime, datetime]:
    """The refill's period that the moment lies in: the paid period, or its month on a yearly plan."""
    paid = Payment.last_period_of(subscription.id)
    if paid is None or paid.period_start is None or paid.period_end is None:
        raise Mismatch(f"subscription {subscription.stripe_id} was changed before its first period was paid")
    if subscription.plan.interval == "month" or moment < paid.period_start:
        return paid.period_start, paid.period_end
    months = months_between(paid.period_start, moment)
    return anniversary(paid.period_start, months), anniversary(paid.period_start, months + 1)


def seconds(start: datetime, end: datetime) -> int:
    return int((end - start).total_seconds())


def give_rights(subscription: Subscription, account: Account) -> None:
    """The account's plan follows the subscription; where its rights end, its allowance ends with them."""
    if subscription.gives_rights:
        subscription.come_into_force()
        account.plan = subscription.plan
    elif subscription.is_in_force:
        end_rights(subscription, account)


def end_rights(subscription: Subscription, account: Account) -> None:
    """Back to the default plan, or to the free one that was chosen; bought credits stay."""
    count = (
        db.session.query(LedgerEntry)
        .filter_by(subscription_id=subscription.id, kind="allowance_ended")
        .count()
    )
    key = f"allowance_ended:{subscription.stripe_id}:{count + 1}"
    if account.allowance_nanos:
        LedgerEntry.post(
            account,
            "allowance_ended",
            key,
            allowance=-account.allowance_nanos,
            subscription_id=subscription.id,
        )
    subscription.is_in_force = False
    account.plan = free_plan_after(subscription.pending_plan)
    now = utcnow()
    account.billing_anchor, account.period_end = account.created_at, now
    db.session.flush()
    refill_if_due(account, now)


def choose_free_plan(account: Account, plan: Plan) -> None:
    """A plan at price 0, at once and without Stripe, for a locked account without a subscription.

    The allowance that is there stays until the next refill.
    """
    account.plan = plan
    db.session.flush()
    refill_if_due(account)
