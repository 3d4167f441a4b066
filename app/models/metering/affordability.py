"""What a call may come to: the answer is shortened to what every limit affords, or refused. billing-rules.md 5, 6."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import Plan
from app.models.catalog.rates import AnyRates
from app.models.catalog.setting import Setting
from app.models.identity.api_key import KeyLimits
from app.models.metering.account_state import AccountState
from app.models.metering.balance import Balance
from app.models.metering.gate_checks import credits_reserved, way_to_more
from app.models.metering.gate_decision import (
    FEWEST_OUTPUT_TOKENS,
    floor_of,
    output_within,
    shortage_code,
    takes_model,
)
from app.models.metering.key_limit import is_open_to
from app.models.metering.refusal import Refusal
from app.models.metering.spending_limit import SpendingLimit
from app.providers.base import Prompt


class Cheaper(NamedTuple):
    """A model that would pass where another did not, and the most that the call can cost there."""

    ceiling: int
    name: str
    title: str

    @property
    def details(self) -> dict[str, Any]:
        return {"model": self.name, "model_title": self.title, "model_ceiling": self.ceiling}


def fit(
    account_state: AccountState,
    prompt: Prompt,
    rates: AnyRates,
    at: datetime,
    limits: Sequence[SpendingLimit] = (),
    key: KeyLimits | None = None,
) -> Prompt:
    """The prompt, with as much output as the balance and every limit afford. Refusal under the floor."""
    balance, overdraft = account_state.balance(at), overdraft_of(account_state)
    bound, asked = prompt.input_token_bound, prompt.max_output_tokens
    affordable = min([balance.available + overdraft, *(limit.left for limit in limits)])
    output = output_within(rates, bound, asked, affordable)
    if output == asked:
        return prompt
    if output is not None and not prompt.is_whole:
        return replace(prompt, max_output_tokens=output, shortened_from=asked)
    needed = rates.most_for(bound, asked if prompt.is_whole else floor_of(asked))
    cheaper = cheaper_model(account_state, prompt, affordable, key)
    is_covered = needed <= balance.available + overdraft
    for limit in limits:
        if needed > limit.left and (is_covered or not limit.yields_to_balance):
            raise limit.reached(at, needed=needed, **(cheaper.details if cheaper else {}))
    if shortage_code(balance, overdraft, needed) == "credits_reserved":
        raise credits_reserved(balance, needed)
    raise request_too_large(account_state, balance, needed, cheaper, can_shorten=not prompt.is_whole)


def overdraft_of(account_state: AccountState) -> int:
    """How far below zero a call may take the balance; the house stops at what its day has."""
    return 0 if account_state.kind == "house" else int(Setting.get("overdraft"))


def request_too_large(
    account_state: AccountState, balance: Balance, needed: int, cheaper: Cheaper | None, *, can_shorten: bool
) -> Refusal:
    details = {"needed": needed, "available": balance.available, "reserved": balance.reserved}
    details |= cheaper.details if cheaper else {}
    way_out = way_to_more(db.session.get_one(Plan, account_state.plan_id))
    is_held_back = needed <= balance.allowance + balance.credits + overdraft_of(account_state)
    context = {"can_shorten": can_shorten, "is_held_back": is_held_back}
    return Refusal("request_too_large", context=context, way_out=way_out, **details)


def cheaper_model(
    account_state: AccountState, prompt: Prompt, affordable: int, key: KeyLimits | None = None
) -> Cheaper | None:
    """The dearest model of plan and key that passes within `affordable` nanos, its answer shortened as `fit` does."""
    if prompt.is_whole:
        return None
    on_sale, offers = AIModel.for_sale(is_embedding=prompt.is_embedding), []
    refused = next((model for model, _price in on_sale if model.name == prompt.model), None)
    for model, price in on_sale:
        bound = prompt.input_token_bound - prompt.extra_input_tokens + (model.extra_input_tokens or 0)
        asked = output_of(model, refused, prompt)
        output = output_within(price.rates, bound, asked, affordable)
        is_allowed = takes_model(account_state, model.name) and is_open_to(key, model.name)
        reads = can_take(model, prompt, asked) and reads_as(model, refused, prompt, asked)
        if output is not None and is_allowed and reads:
            offer = Cheaper(price.rates.most_for(bound, output), model.name, model.title)
            offers.append((price.rates.most_for(bound, floor_of(asked)), offer))
    return max(offers, default=(0, None))[1]


def output_of(model: AIModel, refused: AIModel | None, prompt: Prompt) -> int:
    """What the same would ask of another model: all that it writes, where the refused one could write no more."""
    is_own = refused is not None and prompt.max_output_tokens < refused.most_output
    return min(prompt.max_output_tokens, model.most_output) if is_own else model.most_output


def reads_as(model: AIModel, refused: AIModel | None, prompt: Prompt, output: int) -> bool:
    """Whether another model's prompt is no longer: no more of the conversation fits, and images count no more."""
    read = sum(message.likely_tokens for message in prompt.messages)
    if prompt.left_out and model.input_limit(output) > read:
        return False
    return not model.takes_images or counts_images_as(model, refused, prompt)


def counts_images_as(model: AIModel, other: AIModel | None, prompt: Prompt) -> bool:
    """Whether a prompt's images, where it has any, count as much with one model as with another."""
    if not any(message.images for message in prompt.messages):
        return True
    return other is not None and rule_of_images(model) == rule_of_images(other)


def rule_of_images(model: AIModel) -> tuple[str, int | None]:
    return model.provider.kind, model.image_tokens


def can_take(model: AIModel, prompt: Prompt, output: int) -> bool:
    """Whether another model reads the instructions and the last message of a prompt: their length, and its images."""
    if not prompt.messages:
        return model.context_window >= prompt.input_token_bound + FEWEST_OUTPUT_TOKENS
    last = prompt.messages[-1]
    told = [message for message in prompt.messages[:-1] if message.role == "system"]
    needed = sum(message.token_bound for message in (*told, last)) + (model.extra_input_tokens or 0)
    room = model.input_limit(output)
    return needed <= room and (model.takes_images or not last.images)
