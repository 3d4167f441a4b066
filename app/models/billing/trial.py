"""Trials: their share of a month, once per account and per card. billing-rules.md 7."""

from sqlalchemy import select

from app.extensions import db
from app.models.base import DAY, rounded_up, share, utcnow
from app.models.billing.allowance_refill import is_trusted, repay_debt
from app.models.billing.ledger import LedgerEntry
from app.models.billing.stripe_objects import SubscriptionState
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import Plan
from app.models.identity.account import Account

HAD_ONE = "the account or its card had a trial before"
MONTH_DAYS = 30


def begin_trial(subscription: Subscription, account: Account, state: SubscriptionState) -> None:
    """The allowance of a trial of the plan that was chosen.

    Who had one before is not charged instead: the subscription is rejected, and the owner may subscribe anew.
    """
    if state.trial_start is None or state.trial_end is None or subscription.rejected_at:
        return
    if subscription.paid_until is not None or trial_of(account, subscription):
        return
    if trial_of(account) or not may_try(account) or card_was_used(subscription, state):
        subscription.trial_refused_at = utcnow()
        subscription.reject(HAD_ONE)
        return
    subscription.trial_card = state.card.fingerprint if state.card else None
    subscription.trial_days = subscription.trial_days or rounded_up(state.trial_end - state.trial_start, DAY)
    give_trial(subscription, account)
    account.period_start, account.period_end = state.trial_start, state.trial_end
    subscription.come_into_force()


def give_trial(subscription: Subscription, account: Account) -> None:
    amount = subscription.trial_granted_nanos = trial_worth(subscription, subscription.plan)
    difference, key = amount - account.allowance_nanos, trial_key(account)
    columns = {"subscription_id": subscription.id, "plan_id": subscription.plan_id}
    LedgerEntry.post(account, "trial", key, allowance=difference, **columns)
    account.take_limits(subscription.plan)
    repay_debt(account, key=f"debt:{key}")


def trial_key(account: Account) -> str:
    return f"trial:{account.id}"


def trial_of(account: Account, subscription: Subscription | None = None) -> bool:
    """Whether the account has had its trial (with that subscription)."""
    entry = select(LedgerEntry.id).where(LedgerEntry.key == trial_key(account))
    if subscription is not None:
        entry = entry.where(LedgerEntry.subscription_id == subscription.id)
    return db.session.scalar(entry) is not None


def may_try(account: Account) -> bool:
    """Trials are for the personal account of a verified address."""
    return account.kind == "personal" and is_trusted(account)


def was_refused(account: Account) -> bool:
    """Whether the account was told already that its card had a trial: it is not offered another one."""
    refused = Subscription.account_id == account.id, Subscription.trial_refused_at.is_not(None)
    return db.session.scalar(select(Subscription.id).where(*refused).limit(1)) is not None


def trial_days_for(account: Account, plan: Plan) -> int:
    """The plan's trial, for an account that may have one and has not."""
    is_offered = may_try(account) and not trial_of(account) and not was_refused(account)
    return int(plan.trial_days) if is_offered else 0


def card_was_used(subscription: Subscription, state: SubscriptionState) -> bool:
    if state.card is None or state.card.fingerprint is None:
        return False
    others = Subscription.trial_card == state.card.fingerprint, Subscription.id != subscription.id
    return db.session.scalar(select(Subscription.id).where(*others)) is not None


def trial_worth(subscription: Subscription, plan: Plan) -> int:
    return share(plan.allowance_nanos, subscription.trial_days, MONTH_DAYS)


def trial_growth(subscription: Subscription, account: Account, plan: Plan) -> int:
    """What an upgrade in the trial adds: at most the new plan's share of a month, less what is used."""
    worth = trial_worth(subscription, plan)
    if not subscription.is_trialing or subscription.trial_granted_nanos >= worth:
        return 0
    if not trial_of(account, subscription):
        return 0
    used = subscription.trial_granted_nanos - account.allowance_nanos
    return max(0, worth - used) - account.allowance_nanos


def grow_trial(subscription: Subscription, account: Account) -> None:
    growth = trial_growth(subscription, account, subscription.plan)
    if growth:
        key = f"plan_change:{subscription.stripe_id}:trial:{subscription.plan_id}"
        LedgerEntry.post(account, "plan_change", key, allowance=growth, subscription_id=subscription.id)
        subscription.trial_granted_nanos = trial_worth(subscription, subscription.plan)
