"""Who may start a call: the refusals of billing-rules.md 6, in their order."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from app.extensions import db
from app.models.billing.allowance_refill import next_refill
from app.models.billing.auto_recharge import is_being_paid
from app.models.billing.payment import Payment
from app.models.billing.subscription import Subscription
from app.models.catalog.ai_model import AIModel, titles_of
from app.models.catalog.operation import Operation
from app.models.catalog.plan import Plan
from app.models.catalog.price import ModelPrice
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.metering.account_state import AccountState
from app.models.metering.balance import Balance, window_ends
from app.models.metering.gate_decision import funds_code, has_place, is_open, plan_code, takes_model
from app.models.metering.refusal import Refusal, seconds_until
from app.models.metering.usage_rollup import start_of

ABSORBED_PERCENT = 5


def check_account(account_state: AccountState, actor: Actor) -> None:
    """The refusals that do not depend on what is asked for."""
    if not is_open(account_state):
        raise Refusal("account_frozen", context={"frozen_by": account_state.frozen_by}, way_out="support")
    if not actor.is_verified and Setting.get("require_verified_email"):
        raise Refusal("email_unverified", way_out="verify")
    context = {"plan": account_state.plan_name}
    code = plan_code(account_state, has_key=actor.api_key_id is not None)
    if code is not None:
        raise Refusal(code, context=context, way_out="upgrade")


def check_model(account_state: AccountState, model: str) -> None:
    if not takes_model(account_state, model):
        included = titles_of(account_state.models)
        context = {"name": model, "plan": account_state.plan_name, "included": included}
        raise Refusal("model_not_allowed", context=context, way_out="upgrade")


def first_model(names: Sequence[str], plan: str, at: datetime) -> tuple[AIModel, ModelPrice]:
    """The first model on sale of those that the plan names, with its price. Refusal where there is none."""
    offers = AIModel.for_sale(at)
    for model, price in offers:
        if not names or model.name in names:
            return model, price
    if not offers:
        raise Refusal("model_not_for_sale")
    context = {"name": "", "plan": plan, "included": titles_of(names)}
    raise Refusal("model_not_allowed", context=context, way_out="upgrade")


def check_operation(account_state: AccountState, operation: Operation) -> None:
    """An operation with a minimum plan is for that plan, its new versions, and what costs as much or more a month."""
    minimum = db.session.get(Plan, operation.minimum_plan_id)
    own = db.session.get_one(Plan, account_state.plan_id)
    if minimum and own.monthly_cents < minimum.monthly_cents and not own.is_version_of(minimum):
        context = {"operation": operation.title, "plan": minimum.name}
        raise Refusal("operation_not_in_plan", context=context, way_out="upgrade")


def check_pace(account_state: AccountState) -> None:
    """Calls at once."""
    most = most_calls(account_state)
    if not has_place(account_state, most):
        raise Refusal("too_many_calls", context={"most": most}, retry_after=5)


def check_absorbed(account_state: AccountState, at: datetime) -> None:
    """Absorbed cost of the day, as far as the sender caused it. Who pays much may cause more."""
    absorbed = account_state.absorbed_on(at)
    if absorbed <= Setting.get("absorbed_daily"):
        return
    if absorbed > Payment.lately_paid(account_state.account_id, at) * ABSORBED_PERCENT // 100:
        resets, wait = tomorrow(at), seconds_until(tomorrow(at), at)
        raise Refusal("absorbed_limit", retry_after=wait, resets_at=resets, way_out="support")


def check_chats(account_state: AccountState, at: datetime, started: int) -> None:
    """The plan's new chats of the month; `started` is how many there were."""
    limit = account_state.chats_per_month
    if limit is None or started < limit:
        return
    resets = account_state.period_end if account_state.period_end > at else None
    retry_after = seconds_until(resets or tomorrow(at), at)
    counts = {"used": started, "limit": limit, "remaining": 0}
    details: dict[str, Any] = {"counts": counts, "resets_at": resets, "way_out": "upgrade"}
    context = {"plan": account_state.plan_name}
    raise Refusal("chat_limit_reached", context=context, retry_after=retry_after, **details)


def check_funds(account_state: AccountState, at: datetime) -> None:
    """Something must be available for a call to begin."""
    balance = account_state.balance(at)
    code = funds_code(balance)
    if code is None:
        return
    if account_state.recharge_below is not None and is_being_paid(account_state.account_id, at):
        raise Refusal("recharge_in_progress", available=balance.available, retry_after=3, way_out="wait")
    if code == "credits_reserved":
        raise credits_reserved(balance)
    if code in ("daily_limit_reached", "window_limit_reached"):
        raise limit_of_time_reached(code, account_state, balance, at)
    subscription = Subscription.live_of(account_state.account_id)
    if subscription is not None and subscription.is_unpaid:
        details = {"available": balance.available, "pay_url": subscription.pay_url, "way_out": "billing"}
        raise Refusal("subscription_unpaid", context={"changes_plan": False}, **details)
    raise out_of_credits(account_state, balance, at)


def most_calls(account_state: AccountState) -> int:
    """Calls at once."""
    return account_state.parallel_calls or int(Setting.get("parallel_calls"))


def most_absorbed(account_state: AccountState, at: datetime) -> int:
    """Absorbed cost that did not keep this call from being admitted."""
    return max(int(Setting.get("absorbed_daily")), account_state.absorbed_on(at))


def out_of_credits(account_state: AccountState, balance: Balance, at: datetime) -> Refusal:
    """What comes next, and what helps sooner: credits where the plan permits them, else another plan."""
    account = db.session.get_one(Account, account_state.account_id, populate_existing=True)
    comes = next_refill(account, at)
    details: dict[str, Any] = {"available": balance.available, "resets_at": comes.at if comes else None}
    return Refusal("out_of_credits", context={"comes": comes}, way_out=way_to_more(account.plan), **details)


def way_to_more(plan: Plan) -> str:
    """The way out that the plan permits: credits, else another plan."""
    return "buy" if plan.allows_packs else "upgrade"


def credits_reserved(balance: Balance, needed: int | None = None) -> Refusal:
    details = {"available": balance.available, "reserved": balance.reserved, "needed": needed}
    return Refusal("credits_reserved", retry_after=10, way_out="wait", **details)


def limit_of_time_reached(code: str, account_state: AccountState, balance: Balance, at: datetime) -> Refusal:
    """Only the allowance has limits of a day or of some hours; bought credits have none."""
    plan = db.session.get_one(Account, account_state.account_id).plan
    hours, resets, limit = None, tomorrow(at), account_state.daily_limit
    if code == "window_limit_reached" and account_state.window_hours is not None:
        hours, limit = account_state.window_hours, account_state.window_limit
        resets = window_ends(at, hours)
    details: dict[str, Any] = {"available": balance.available, "resets_at": resets, "way_out": way_to_more(plan)}
    context = {"plan": plan.name, "credits": limit, "hours": hours}
    return Refusal(code, context=context, retry_after=seconds_until(resets, at), **details)


def tomorrow(at: datetime) -> datetime:
    return start_of(at.date() + timedelta(days=1))
