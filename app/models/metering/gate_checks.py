"""Who may start a call: the refusals of billing-rules.md 6, in their order."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal

from app.extensions import db
from app.models.base import NANOS_PER_CREDIT
from app.models.billing.auto_recharge import is_being_paid
from app.models.billing.subscription import Subscription
from app.models.catalog.operation import Operation
from app.models.catalog.plan import Plan
from app.models.catalog.price import AIModel, Rates
from app.models.catalog.setting import Setting
from app.models.identity.actor import Actor
from app.models.metering.account_state import AccountState
from app.models.metering.balance import Balance
from app.models.metering.refusal import Refusal, seconds_until
from app.providers.base import Prompt

FEWEST_OUTPUT_TOKENS = 256


def check_account(account_state: AccountState, actor: Actor) -> None:
    """The refusals that do not depend on what is asked for."""
    if account_state.frozen_at or account_state.closed_at:
        raise Refusal("account_frozen", FROZEN[account_state.frozen_by], way_out="support")
    if not actor.is_verified and Setting.get("require_verified_email"):
        raise Refusal("email_unverified", UNVERIFIED, way_out="verify")
    if account_state.plan_status == "inactive":
        raise Refusal(
            "plan_inactive", f"The plan {account_state.plan_name} has ended. {CHOOSE}", way_out="upgrade"
        )
    if actor.api_key_id is not None and not account_state.has_api:
        raise Refusal(
            "api_not_in_plan", f"{account_state.plan_name} has no API access. {CHOOSE}", way_out="upgrade"
        )


def check_model(account_state: AccountState, model: str) -> None:
    if account_state.models and model not in account_state.models:
        message = f"{account_state.plan_name} includes {', '.join(account_state.models)}, but not {model}."
        raise Refusal("model_not_allowed", message, way_out="upgrade")


def check_operation(account_state: AccountState, operation: Operation) -> None:
    """An operation with a minimum plan is for that plan and for those that cost as much or more a month."""
    minimum = db.session.get(Plan, operation.minimum_plan_id)
    own = db.session.get_one(Plan, account_state.plan_id)
    if minimum and own.id != minimum.id and own.monthly_cents < minimum.monthly_cents:
        message = f"{operation.title} is part of {minimum.name} and the plans above it."
        raise Refusal("operation_not_in_plan", message, way_out="upgrade")


def check_pace(account_state: AccountState) -> None:
    """Calls at once."""
    most = account_state.parallel_calls or Setting.get("parallel_calls")
    if account_state.running_calls >= most:
        message = f"{account_state.running_calls} answers are being written; {most} at once are possible. Wait for one."
        raise Refusal("too_many_calls", message, retry_after=5)


def check_absorbed(account_state: AccountState, at: datetime) -> None:
    """Absorbed cost of the day."""
    if account_state.absorbed_on(at) > Setting.get("absorbed_daily"):
        message = "Too many calls of this account failed today. Tomorrow it goes on; the support can lift it sooner."
        raise Refusal(
            "absorbed_limit", message, retry_after=seconds_until(tomorrow(at), at), way_out="support"
        )


def check_chats(account_state: AccountState, at: datetime, started: int) -> None:
    """The plan's new chats of the month; `started` is how many there were."""
    limit = account_state.chats_per_month
    if limit is not None and started >= limit:
        message = (
            f"{account_state.plan_name} has {limit} new chats a month, and they are used. Older chats go on."
        )
        details = {"resets_at": account_state.period_end, "way_out": "upgrade"}
        raise Refusal(
            "chat_limit_reached", message, retry_after=seconds_until(account_state.period_end, at), **details
        )


def check_funds(account_state: AccountState, at: datetime) -> None:
    """Something must be available for a call to begin."""
    balance = account_state.balance(at)
    if balance.available > 0:
        return
    if account_state.recharge_below is not None and is_being_paid(account_state.account_id, at):
        raise Refusal(
            "recharge_in_progress", TOPPING_UP, available=balance.available, retry_after=3, way_out="wait"
        )
    if balance.unreserved > 0:
        raise credits_reserved(balance)
    if balance.allowance > 0 and balance.day_rest == 0 and balance.credits <= 0:
        raise daily_limit_reached(account_state, balance, at)
    subscription = Subscription.live_of(account_state.account_id)
    if subscription is not None and subscription.is_unpaid:
        details = {"pay_url": subscription.pay_url, "way_out": "billing"}
        raise Refusal("subscription_unpaid", UNPAID, retry_after=None, available=balance.available, **details)
    message = f"The credits are used up. {next_refill(account_state)}Nothing is lost: buy credits or change the plan."
    raise Refusal(
        "out_of_credits",
        message,
        available=balance.available,
        resets_at=account_state.period_end,
        way_out="buy",
    )


def fit(account_state: AccountState, prompt: Prompt, rates: Rates, at: datetime) -> Prompt:
    """The prompt with as many output tokens as the balance and the overdraft afford. Refusal under the floor."""
    balance, overdraft = account_state.balance(at), overdraft_of(account_state)
    bound, floor = prompt.input_token_bound, min(FEWEST_OUTPUT_TOKENS, prompt.max_output_tokens)
    if rates.most_for(bound, prompt.max_output_tokens) <= balance.available + overdraft:
        return prompt
    affordable = rates.output_tokens_for(balance.available + overdraft, bound)
    if affordable >= floor:
        return replace(prompt, max_output_tokens=min(prompt.max_output_tokens, affordable))
    needed = rates.most_for(bound, floor)
    if needed <= balance.unreserved + overdraft:
        raise credits_reserved(balance, needed)
    cheaper = cheaper_model(account_state, bound, floor, balance.available + overdraft)
    raise request_too_large(balance, needed, cheaper)


def overdraft_of(account_state: AccountState) -> int:
    """How far below zero a call may take the balance; the house stops at what its day has."""
    return 0 if account_state.kind == "house" else int(Setting.get("overdraft"))


def request_too_large(balance: Balance, needed: int, cheaper: str | None) -> Refusal:
    message = f"This may cost up to {credits_text(needed)} credits, more than the balance allows. Shorten it"
    message += f", or ask {cheaper}, which fits." if cheaper else ", or buy credits."
    details = {"needed": needed, "available": balance.available, "reserved": balance.reserved}
    return Refusal("request_too_large", message, way_out="buy", model=cheaper, **details)


def cheaper_model(account_state: AccountState, input_bound: int, floor: int, affordable: int) -> str | None:
    """The name of the dearest model on sale whose ceiling fits into `affordable` nanos, or None."""
    ceilings = (
        (price.rates.most_for(input_bound, floor), model.name)
        for model, price in AIModel.for_sale()
        if not account_state.models or model.name in account_state.models
    )
    return max((offer for offer in ceilings if offer[0] <= affordable), default=(0, None))[1]


def credits_reserved(balance: Balance, needed: int | None = None) -> Refusal:
    message = "The rest of the balance is held for answers that are being written. When they end, what is left is free."
    details = {"available": balance.available, "reserved": balance.reserved, "needed": needed}
    return Refusal("credits_reserved", message, retry_after=10, way_out="wait", **details)


def daily_limit_reached(account_state: AccountState, balance: Balance, at: datetime) -> Refusal:
    message = f"Today's {credits_text(account_state.daily_limit or 0)} credits of {account_state.plan_name} are used. "
    message += "Tomorrow (UTC) there are new ones; credits that are bought work at once."
    details = {"available": balance.available, "resets_at": tomorrow(at), "way_out": "buy"}
    return Refusal("daily_limit_reached", message, retry_after=seconds_until(tomorrow(at), at), **details)


def tomorrow(at: datetime) -> datetime:
    return datetime.combine(at.date() + timedelta(days=1), time(), at.tzinfo)


def next_refill(account_state: AccountState) -> str:
    plan = db.session.get_one(Plan, account_state.plan_id)
    if not plan.allowance_nanos:
        return ""
    day = f"{account_state.period_end.day} {account_state.period_end:%B}"
    return f"The next {credits_text(plan.allowance_nanos)} come on {day}. "


def credits_text(nanos: int) -> str:
    """Credits in a sentence, to a tenth."""
    return f"{Decimal(nanos) / NANOS_PER_CREDIT:,.1f}".removesuffix(".0")


CHOOSE = "Choose another plan to go on; the chats are all there."
TOPPING_UP = "Topping up: the card is being charged right now. Send the message again in a few seconds."
UNPAID = (
    "The credits are used up, and the last invoice is not paid. With its payment the allowance comes back."
)
UNVERIFIED = (
    "Confirm your address first: the link is in the mail that we sent. A new one can be sent from settings."
)
FROZEN = {
    None: "This account is closed.",
    "admin": "This account is on hold. Nothing is lost; the support can say why.",
    "dispute": "This account is on hold while a payment is disputed at the bank. Nothing is lost.",
}
