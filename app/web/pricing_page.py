"""The context of the pricing page, and of its preview in the admin."""

from typing import Any

from flask import request

from app.models.base import utcnow
from app.models.billing.subscription import Subscription
from app.models.billing.trial import trial_days_for
from app.models.catalog.ai_model import AIModel
from app.models.catalog.ordinary_answer import answers_of
from app.models.catalog.plan import CreditPack, Plan
from app.models.identity.account import Account
from app.web.plan_features import trial_offer


def pricing_context(plans: list[Plan], packs: list[CreditPack], account: Account | None) -> dict[str, Any]:
    """The variables of `pricing.html`; `account` is the reader's, None for a visitor."""
    intervals = list(dict.fromkeys(plan.interval for plan in plans if plan.price_cents))
    shown = shown_interval(intervals)
    return {
        "plans": [plan for plan in plans if plan.is_free or plan.interval == shown],
        "intervals": intervals,
        "shown": shown,
        "subscription": running_subscription(account) if account else None,
        "packs": packs,
        "account": account,
        "code": None,
        "answers": answers_of(plans),
        "trials": trials(plans, account),
        "usual": AIModel.for_sale(),
    }


def shown_interval(intervals: list[str]) -> str:
    """Of the intervals that are sold the one that the address asks for, else months, where there are any."""
    wanted = request.args.get("interval", "")
    if wanted in intervals:
        return wanted
    return "month" if "month" in intervals or not intervals else intervals[0]


def running_subscription(account: Account) -> Subscription | None:
    """What another plan would change; without one it begins."""
    subscription = Subscription.live_of(account.id)
    return subscription if subscription and subscription.gives_rights else None


def trials(plans: list[Plan], account: Account | None) -> dict[int, str]:
    """What each plan's trial is, for the plans that this reader may try."""
    now = utcnow()
    offered = (plan for plan in plans if plan.price_cents and plan.trial_days and trial_days(plan, account))
    return {plan.id: trial_offer(plan, now) for plan in offered}


def trial_days(plan: Plan, account: Account | None) -> int:
    return plan.trial_days if account is None else trial_days_for(account, plan)
