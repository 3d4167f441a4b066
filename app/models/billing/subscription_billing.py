"""A subscription applied to its account: what must not go on, trial, paid invoices, rights. billing-rules.md 7."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.allowance_refill import refill, refill_if_due
from app.models.billing.ended_allowance import come_back, since_last_end
from app.models.billing.growth import period_around
from app.models.billing.invoice import apply_invoices
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.stripe_objects import InvoiceState, SubscriptionState
from app.models.billing.subscription import Subscription, free_plan_after
from app.models.billing.trial import begin_trial, grow_trial
from app.models.catalog.plan import Plan
from app.models.identity.account import Account

SECOND = "the account has a subscription already"
RETIRED = "the plan was retired before the subscription began"
BACK = "The subscription is active again"


def follow(
    subscription: Subscription, account: Account, state: SubscriptionState, invoices: Iterable[InvoiceState]
) -> None:
    """Bring a locked account in line with what Stripe says of its subscription and of all its invoices.

    Invoices count once, in the order in which they were paid, whichever event told of them first.
    """
    subscription.check(state)
    reject_if_unwanted(subscription)
    begin_trial(subscription, account, state)
    plan = subscription.plan
    subscription.mirror(state)
    subscription.settle_redemption()
    if subscription.plan is not plan:
        grow_trial(subscription, account)
    apply_invoices(subscription, account, invoices)
    give_rights(subscription, account)


def reject_if_unwanted(subscription: Subscription) -> None:
    """A second live subscription, or one that begins on a plan that ended meanwhile."""
    running = Subscription.live_of(subscription.account_id)
    is_beginning = not subscription.is_in_force and subscription.paid_until is None
    if running is not None and running is not subscription and is_beginning:
        subscription.reject(SECOND)
    if is_beginning and subscription.plan.status == "inactive":
        subscription.reject(RETIRED)


def give_rights(subscription: Subscription, account: Account) -> None:
    """The account's plan follows the subscription; its allowance ends with its rights, and comes back with them."""
    if subscription.gives_rights:
        comes_back = not subscription.is_in_force
        subscription.come_into_force()
        account.plan = subscription.plan
        if comes_back:
            give_back(subscription, account, utcnow())
    elif subscription.is_in_force:
        end_rights(subscription, account)


def end_rights(subscription: Subscription, account: Account) -> None:
    """Back to the default plan, or to the free one that was chosen; bought credits stay."""
    count = db.session.query(LedgerEntry).filter_by(subscription_id=subscription.id, kind="allowance_ended").count()
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


def give_back(subscription: Subscription, account: Account, now: datetime) -> None:
    """What ended with the rights of a locked account comes back within the period that it was paid for.

    What was refunded of it meanwhile does not.
    """
    period, paid = period_around(subscription, now), Payment.last_period_of(subscription.id)
    if period is None or paid is None or not period[0] <= now < period[1]:
        return
    is_yearly = subscription.plan.interval == "year"
    account.billing_anchor = paid.period_start or account.created_at if is_yearly else account.created_at
    account.period_start, account.period_end = period
    if entries := since_last_end(subscription, paid, period[0]):
        ended, *grown = entries
        grew = min(account.allowance_nanos, sum(entry.allowance_nanos for entry in grown))
        amount = grew - ended.allowance_nanos - come_back(subscription)
        columns: Any = {"month": f"{period[0]:%Y-%m}", "subscription_id": subscription.id, "reason": BACK}
        refill(account, subscription.plan, max(account.allowance_nanos, amount), key=f"back:{ended.key}", **columns)
    elif is_yearly:  # it ended in a month before, and this one's is still to come
        account.period_end = now
        refill_if_due(account, now)


def choose_free_plan(account: Account, plan: Plan) -> None:
    """A plan at price 0, at once and without Stripe, for a locked account without a subscription.

    The allowance that is there stays until the next refill.
    """
    account.plan = plan
    db.session.flush()
    refill_if_due(account)
