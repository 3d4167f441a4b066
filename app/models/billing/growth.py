"""By how much a change of plan makes an allowance grow, and in which period. billing-rules.md 7."""

from datetime import datetime, timedelta

from app.models.base import share
from app.models.billing.allowance_refill import next_invoice, sold_monthly
from app.models.billing.payment import Payment
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import Plan
from app.models.identity.account import anniversary, months_between

INSTANT = timedelta(microseconds=1)


def growth(subscription: Subscription, plan: Plan, at: datetime) -> int:
    """By how much an upgrade at that moment makes the running allowance grow.

    (new worth - what was last refilled) x the fraction of the refill's period that is left: the preview shows
    what this says, and the paid invoice gives it.
    """
    period = unpaid_period(subscription, at) or period_around(subscription, at)
    if period is None:
        return 0
    start, end = period
    left, whole = max(timedelta(0), end - max(at, start)) // INSTANT, (end - start) // INSTANT
    more = max(0, sold_monthly(subscription, plan) - last_refilled(subscription))
    return share(more, left, whole) if whole > 0 else 0


def last_refilled(subscription: Subscription) -> int:
    """What a month was at the last refill, or will be at the first."""
    is_paid = Payment.last_period_of(subscription.id) is not None
    return subscription.allowance_nanos if is_paid else sold_monthly(subscription, subscription.plan)


def unpaid_period(subscription: Subscription, moment: datetime) -> tuple[datetime, datetime] | None:
    """The month that the moment lies in, where it has begun at Stripe and is still to be paid."""
    paid, begun, ends = Payment.last_period_of(subscription.id), subscription.period_start, subscription.period_end
    if begun is None or ends is None or subscription.plan.interval == "year":
        return None
    is_paid = paid is not None and paid.period_end is not None and begun < paid.period_end
    return (begun, ends) if not is_paid and begun <= moment < ends else None


def awaits_period(subscription: Subscription, moment: datetime) -> bool:
    """Whether a change at that moment is of a period that is still to be paid: Stripe keeps the invoice of one that has
    begun as a draft for an hour, and its refill would end what was given before."""
    paid = Payment.last_period_of(subscription.id)
    is_unpaid = paid is not None and paid.period_end is not None and moment >= paid.period_end
    return is_unpaid and next_invoice(subscription, moment) is None


def period_around(subscription: Subscription, moment: datetime) -> tuple[datetime, datetime] | None:
    """The refill's period that the moment lies in: the paid period, or its month on a yearly plan; None before one."""
    paid = Payment.last_period_of(subscription.id)
    if paid is None or paid.period_start is None or paid.period_end is None:
        return None
    if subscription.plan.interval == "month" or moment < paid.period_start:
        return paid.period_start, paid.period_end
    months = months_between(paid.period_start, moment)
    return anniversary(paid.period_start, months), anniversary(paid.period_start, months + 1)
