"""The context of the pricing page, and of its preview in the admin."""

from typing import Any

from app.models.base import utcnow
from app.models.billing.trial import trial_days_for
from app.models.catalog.ai_model import AIModel
from app.models.catalog.ordinary_answer import answers_of
from app.models.catalog.plan import CreditPack, Plan
from app.models.identity.account import Account
from app.web.plan_features import trial_offer


def pricing_context(plans: list[Plan], packs: list[CreditPack], account: Account | None) -> dict[str, Any]:
    """The variables of `pricing.html`; `account` is the reader's, None for a visitor."""
    return {
        "plans": plans,
        "packs": packs,
        "account": account,
        "code": None,
        "answers": answers_of(plans),
        "trials": trials(plans, account),
        "usual": AIModel.for_sale(),
    }


def trials(plans: list[Plan], account: Account | None) -> dict[int, str]:
    """What each plan's trial is, for the plans that this reader may try."""
    now = utcnow()
    offered = (plan for plan in plans if plan.price_cents and trial_days(plan, account))
    return {plan.id: trial_offer(plan, now) for plan in offered}


def trial_days(plan: Plan, account: Account | None) -> int:
    return plan.trial_days if account is None else trial_days_for(account, plan)
