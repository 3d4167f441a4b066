"""A subscription applied to its account: what must not go on, trial, paid invoices, rights. billing-rules.md 7."""

from collections.abc import Iterable

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.allowance_refill import refill_if_due
from app.models.billing.invoice import apply_invoice, by_payment, is_charged
from app.models.billing.ledger import LedgerEntry
from app.models.billing.stripe_objects import InvoiceState, SubscriptionState
from app.models.billing.subscription import Subscription, free_plan_after
from app.models.billing.trial import begin_trial, grow_trial
from app.models.catalog.plan import Plan
from app.models.identity.account import Account

SECOND = "the account has a subscription already"
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
    subscription.settle_redemption()
    grow_trial(subscription, account)
    for invoice in sorted(filter(is_charged, invoices), key=by_payment):
        apply_invoice(subscription, account, invoice)
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
    """The account's plan follows the subscription; where its rights end, its allowance ends with them."""
    if subscription.gives_rights:
        subscription.come_into_force()
        account.plan = subscription.plan
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


def choose_free_plan(account: Account, plan: Plan) -> None:
    """A plan at price 0, at once and without Stripe, for a locked account without a subscription.

    The allowance that is there stays until the next refill.
    """
    account.plan = plan
    db.session.flush()
    refill_if_due(account)
