"""Who may start a call: the refusals of MONEY.md 6, in their order."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal

from app.extensions import db
from app.models.metering.balance import Balance
from app.models.base import NANOS_PER_CREDIT
from app.models.identity.actor import Caller
from app.models.catalog.plan import Plan
from app.models.catalog.price import AIModel, Rates
from app.models.billing.auto_recharge import is_being_paid
from app.models.metering.refusal import Refusal, seconds_until
from app.models.catalog.setting import Setting
from app.models.metering.account_state import Standing
from app.models.billing.subscription import Subscription
from app.providers.base import Prompt

FEWEST_OUTPUT_TOKENS = 256


def check_standing(standing: Standing, caller: Caller) -> None:
    """The refusals that do not depend on what is asked for."""
    if standing.frozen_at or standing.closed_at:
        raise Refusal("account_frozen", FROZEN[standing.frozen_by], way_out="support")
    if not caller.is_verified and Setting.get("require_verified_email"):
        raise Refusal("email_unverified", UNVERIFIED, way_out="verify")
    if standing.plan_status == "inactive":
        raise Refusal(
            "plan_inactive", f"The plan {standing.plan_name} has ended. {CHOOSE}", way_out="upgrade"
        )
    if caller.api_key_id is not None and not standing.has_api:
        raise Refusal(
            "api_not_in_plan", f"{standing.plan_name} has no API access. {CHOOSE}", way_out="upgrade"
        )


def check_model(standing: Standing, model: str) -> None:
    if standing.models and model not in standing.models:
        words = f"{standing.plan_name} includes {', '.join(standing.models)}, but not {model}."
        raise Refusal("model_not_allowed", words, way_out="upgrade")


def check_pace(standing: Standing) -> None:
    """Calls at once."""
    most = standing.parallel_calls or Setting.get("parallel_calls")
    if standing.running_calls >= most:
        words = (
            f"{standing.running_calls} answers are being written; {most} at once are possible. Wait for one."
        )
        raise Refusal("too_many_calls", words, retry_after=5)


def check_absorbed(standing: Standing, at: datetime) -> None:
    """Absorbed cost of the day."""
    if standing.absorbed_on(at) > Setting.get("absorbed_daily"):
        words = "Too many calls of this account failed today. Tomorrow it goes on; the support can lift it sooner."
        raise Refusal("absorbed_limit", words, retry_after=seconds_until(tomorrow(at), at), way_out="support")


def check_chats(standing: Standing, at: datetime, started: int) -> None:
    """The plan's new chats of the month; `started` is how many there were."""
    limit = standing.chats_per_month
    if limit is not None and started >= limit:
        words = f"{standing.plan_name} has {limit} new chats a month, and they are used. Older chats go on."
        facts = {"resets_at": standing.period_end, "way_out": "upgrade"}
        raise Refusal(
            "chat_limit_reached", words, retry_after=seconds_until(standing.period_end, at), **facts
        )


def check_funds(standing: Standing, at: datetime) -> None:
    """Something must be available for a call to begin."""
    balance = standing.balance(at)
    if balance.available > 0:
        return
    if standing.recharge_below is not None and is_being_paid(standing.account_id, at):
        raise Refusal(
            "recharge_in_progress", TOPPING_UP, available=balance.available, retry_after=3, way_out="wait"
        )
    if balance.unreserved > 0:
        raise credits_reserved(balance)
    if balance.allowance > 0 and balance.day_rest == 0 and balance.credits <= 0:
        raise daily_limit_reached(standing, balance, at)
    subscription = Subscription.live_of(standing.account_id)
    if subscription is not None and subscription.is_unpaid:
        facts = {"pay_url": subscription.pay_url, "way_out": "billing"}
        raise Refusal("subscription_unpaid", UNPAID, retry_after=None, available=balance.available, **facts)
    words = (
        f"The credits are used up. {next_refill(standing)}Nothing is lost: buy credits or change the plan."
    )
    raise Refusal(
        "out_of_credits", words, available=balance.available, resets_at=standing.period_end, way_out="buy"
    )


def fit(standing: Standing, prompt: Prompt, rates: Rates, at: datetime) -> Prompt:
    """The prompt with as many output tokens as the balance and the overdraft afford. Refusal under the floor."""
    balance, overdraft = standing.balance(at), overdraft_of(standing)
    bound, floor = prompt.input_token_bound, min(FEWEST_OUTPUT_TOKENS, prompt.max_output_tokens)
    if rates.most_for(bound, prompt.max_output_tokens) <= balance.available + overdraft:
        return prompt
    affordable = rates.output_tokens_for(balance.available + overdraft, bound)
    if affordable >= floor:
        return replace(prompt, max_output_tokens=min(prompt.max_output_tokens, affordable))
    needed = rates.most_for(bound, floor)
    if needed <= balance.unreserved + overdraft:
        raise credits_reserved(balance, needed)
    cheaper = cheaper_model(standing, bound, floor, balance.available + overdraft)
    raise request_too_large(balance, needed, cheaper)


def overdraft_of(standing: Standing) -> int:
    """How far below zero a call may take the balance; the house stops at what its day has."""
    return 0 if standing.kind == "house" else int(Setting.get("overdraft"))


def request_too_large(balance: Balance, needed: int, cheaper: str | None) -> Refusal:
    words = f"This may cost up to {credits_text(needed)} credits, more than the balance allows. Shorten it"
    words += f", or ask {cheaper}, which fits." if cheaper else ", or buy credits."
    facts = {"needed": needed, "available": balance.available, "reserved": balance.reserved}
    return Refusal("request_too_large", words, way_out="buy", model=cheaper, **facts)


def cheaper_model(standing: Standing, input_bound: int, floor: int, affordable: int) -> str | None:
    """The name of the dearest model on sale whose ceiling fits into `affordable` nanos, or None."""
    ceilings = (
        (price.rates.most_for(input_bound, floor), model.name)
        for model, price in AIModel.for_sale()
        if not standing.models or model.name in standing.models
    )
    return max((offer for offer in ceilings if offer[0] <= affordable), default=(0, None))[1]


def credits_reserved(balance: Balance, needed: int | None = None) -> Refusal:
    words = "The rest of the balance is held for answers that are being written. When they end, what is left is free."
    facts = {"available": balance.available, "reserved": balance.reserved, "needed": needed}
    return Refusal("credits_reserved", words, retry_after=10, way_out="wait", **facts)


def daily_limit_reached(standing: Standing, balance: Balance, at: datetime) -> Refusal:
    words = f"Today's {credits_text(standing.daily_limit or 0)} credits of {standing.plan_name} are used. "
    words += "Tomorrow (UTC) there are new ones; credits that are bought work at once."
    facts = {"available": balance.available, "resets_at": tomorrow(at), "way_out": "buy"}
    return Refusal("daily_limit_reached", words, retry_after=seconds_until(tomorrow(at), at), **facts)


def tomorrow(at: datetime) -> datetime:
    return datetime.combine(at.date() + timedelta(days=1), time(), at.tzinfo)


def next_refill(standing: Standing) -> str:
    plan = db.session.get_one(Plan, standing.plan_id)
    if not plan.allowance_nanos:
        return ""
    return f"The next {credits_text(plan.allowance_nanos)} come on {standing.period_end.day} {standing.period_end:%B}. "


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
