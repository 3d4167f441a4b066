"""Jobs that RQ runs for billing: a few lines each, repeatable, found again by the sweeper if they are lost."""

from __future__ import annotations

from app.billing import (
    buying,
    cards,
    processing,
    publishing,
    recharging,
    refunding,
    subscribing,
    sweeping,
    telling,
)
from app.billing.ringing import commit
from app.extensions import db
from app.models.account import Account
from app.models.base import utcnow
from app.models.recharge import AutoRecharge
from app.models.subscription import Subscription
from app.queue import enqueue


def sweep() -> int:
    released = sweeping.sweep()
    processing.ring_for_due()
    sweeping.sweep_payments(ring)
    return released


def ring(name: str, identifier: int) -> None:
    enqueue(f"app.billing.jobs.{name}", identifier)


def do(name: str, identifier: int) -> None:
    """What `ring` has a worker do, here and at once."""
    globals()[name](identifier)


def process_events() -> int:
    return processing.process_due()


def recharge(account_id: int) -> None:
    recharging.recharge(account_id)


def resolve_recharge(recharge_id: int) -> None:
    recharging.resolve(recharge_id)


def use_card(account_id: int) -> None:
    """Have a card that was saved pay the invoices too."""
    buying.use_saved_card(account_id)


def end_subscription(subscription_id: int) -> None:
    subscribing.end_unwanted(subscription_id)
    refunding.refund_rejected()
    commit()


def account_closed(account_id: int) -> None:
    """What is paid for ends at once."""
    Account.locked(account_id)
    settings = AutoRecharge.of(account_id)
    if settings is not None:
        settings.turn_off()
    subscription = Subscription.live_of(account_id)
    commit()
    if subscription is not None:
        subscribing.end_unwanted(subscription.id)


def pay_back(refund_id: int) -> None:
    refunding.pay_back(refund_id)


def publish_plan(plan_id: int) -> None:
    """A plan was saved: tell Stripe, and where it is inactive now, end what depends on it."""
    publishing.publish_one("plan", plan_id)
    sweeping.end_subscriptions(ring)
    for account_id in AutoRecharge.on_plan(plan_id):
        cards.review_recharge(Account.locked(account_id))
        commit()


def publish_pack(pack_id: int) -> None:
    publishing.publish_one("pack", pack_id)


def tell_alerts(account_id: int) -> None:
    telling.of_alerts(db.session.get_one(Account, account_id), utcnow())
    commit()
