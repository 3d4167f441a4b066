"""Payment jobs: a few lines each, repeatable, found again by the sweeper if lost."""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar, cast

from app.extensions import db
from app.jobs import JobName, commit, enqueue
from app.models.base import utcnow
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.call_audit import audit_day
from app.models.billing.subscription import Subscription
from app.models.identity.account import Account
from app.notifications import spending_mails
from app.payments import (
    auto_recharge,
    breaker,
    checkout,
    digests,
    payment_methods,
    product_sync,
    promotion_codes,
    refunds,
    rerating,
    stripe_account,
    subscriptions,
    sweeper,
    webhook_events,
)

log = logging.getLogger(__name__)
Job = TypeVar("Job", bound=Callable[..., Any])


def at_stripe(job: Job) -> Job:
    """A job that uses ids of Stripe's, once it is known that they are the key's."""

    @wraps(job)
    def checked(*identifiers: int) -> Any:
        stripe_account.check()
        return job(*identifiers)

    return cast(Job, checked)


def sweep() -> None:
    sweeper.sweep_payments(enqueue_or_do)


def do(job: JobName, identifier: int) -> None:
    """What `enqueue` has a worker do, here and at once."""
    globals()[job.rpartition(".")[2]](identifier)


def enqueue_or_do(job: JobName, identifier: int) -> None:
    """Where Redis takes no job, it is done here."""
    if not enqueue(job, identifier):
        do(job, identifier)


@at_stripe
def end_subscription(subscription_id: int) -> None:
    subscriptions.end_unwanted(subscription_id)
    refunds.refund_rejected()
    commit()


@at_stripe
def account_closed(account_id: int) -> None:
    """What is paid for ends at once."""
    Account.locked(account_id)
    settings = AutoRecharge.of(account_id)
    if settings is not None:
        settings.turn_off()
    subscription = Subscription.live_of(account_id)
    commit()
    if subscription is not None:
        subscriptions.end_unwanted(subscription.id)


@at_stripe
def publish_plan(plan_id: int) -> None:
    """A plan was saved: tell Stripe, and where it is inactive now, end what depends on it."""
    product_sync.publish_one("plan", plan_id)
    sweeper.end_subscriptions(enqueue)
    review_recharges(AutoRecharge.acting(Account.plan_id == plan_id))


@at_stripe
def publish_pack(pack_id: int) -> None:
    """A pack was saved: tell Stripe, and where it is sold no longer, pause what would buy it."""
    product_sync.publish_one("pack", pack_id)
    review_recharges(AutoRecharge.acting(AutoRecharge.pack_id == pack_id))


def review_recharges(account_ids: list[int]) -> None:
    """Pause auto-recharge of those accounts where it may not go on."""
    for account_id in account_ids:
        payment_methods.review_recharge(Account.locked(account_id))
        commit()


def tell_alerts(account_id: int) -> None:
    spending_mails.of_alerts(db.session.get_one(Account, account_id), utcnow())
    commit()


def write_digests() -> int:
    return digests.write(utcnow())


def learn_spending() -> None:
    breaker.learn(utcnow())


def audit_calls() -> int | None:
    """Audit the calls of the day that is over, once; how many differ."""
    audited = audit_day((utcnow() - timedelta(days=1)).date())
    db.session.commit()
    if audited and audited.differing:
        log.error("calls differ from their prices", extra={"day": str(audited.day), "calls": audited.differing})
    return audited.differing if audited else None


process_events = at_stripe(webhook_events.process_due)
recharge = at_stripe(auto_recharge.recharge)
resolve_recharge = at_stripe(auto_recharge.resolve)
use_card = at_stripe(checkout.use_saved_card)
pay_back = at_stripe(refunds.pay_back)
publish_code = at_stripe(promotion_codes.publish_one)
sweep_calls = sweeper.sweep
rerate, rerate_all = rerating.job, rerating.go_on_with_all
