"""Another model in the place of one whose provider failed, where the admin named one. docs/providers.md."""

from dataclasses import replace
from typing import NamedTuple

from app.extensions import db
from app.generation.upstream import provider_of, upstream_prompt
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import ModelPrice
from app.models.identity.api_key import ApiKey
from app.models.metering.account_state import AccountState
from app.models.metering.affordability import counts_images_as
from app.models.metering.gate_decision import FEWEST_OUTPUT_TOKENS, takes_model
from app.models.metering.key_limit import is_open_to
from app.models.metering.refusal import InvalidRequest, Refusal
from app.models.metering.reservation import Reservation
from app.models.metering.usage import Usage
from app.providers.base import Prompt, Provider, WirePrompt


class Answerer(NamedTuple):
    """Who is asked: the call at that model's price, the prompt as it counts and as it is sent."""

    reservation: Reservation
    sent: Prompt
    provider: Provider
    prompt: Prompt


def fallback_for(reservation: Reservation) -> Answerer | None:
    """The model that may answer in the place of the one that was asked, where there is one."""
    instead = fallback_of(reservation)
    if instead is None:
        return None
    model, price, prompt = instead
    priced = replace(reservation, rates=price.rates, tier=price.tier, price_id=price.id)
    return Answerer(priced, prompt, provider_of(model), upstream_prompt(model, prompt))


def fallback_of(reservation: Reservation) -> tuple[AIModel, ModelPrice, Prompt] | None:
    """None where none is named or on sale, where plan, key or guests may not use it, where it has no form for it
    or can't read it, and where the same could cost more than was reserved.
    """
    asked = AIModel.named(reservation.prompt.model)
    offer = offered(asked.fallback) if asked else None
    if asked is None or offer is None or not may_use(reservation, offer[0]):
        return None
    model, price = offer
    told = told_to(model, asked, reservation.prompt)
    prompt = told and within(reservation, price, told)
    return (model, price, prompt) if prompt and fits(model, prompt) else None


def offered(name: str | None) -> tuple[AIModel, ModelPrice] | None:
    try:
        return AIModel.to_sell(name, utcnow()) if name else None
    except (Refusal, InvalidRequest):
        return None


def may_use(reservation: Reservation, model: AIModel) -> bool:
    account = AccountState.load(reservation.account_id)
    key_id = db.session.get_one(Usage, reservation.usage_id).api_key_id
    key = db.session.get(ApiKey, key_id) if key_id else None
    is_for_them = account.kind != "house" or model.is_free_for_guests
    return is_for_them and takes_model(account, model.name) and is_open_to(key.limits if key else None, model.name)


def told_to(model: AIModel, asked: AIModel, prompt: Prompt) -> Prompt | None:
    """The prompt as this model gets it."""
    if isinstance(prompt, WirePrompt):
        return retold(model, prompt)
    if type(prompt) is not Prompt or not counts_images_as(model, asked, prompt):
        return None
    return replace(
        prompt,
        model=model.name,
        max_output_tokens=min(prompt.max_output_tokens, model.most_output),
        is_reasoning=model.is_reasoning,
        extra_input_tokens=model.extra_input_tokens or 0,
        wants_cache=False,
    )


def retold(model: AIModel, prompt: WirePrompt) -> WirePrompt | None:
    """A request in a vendor's own format, as if this model had been asked in it."""
    try:
        told = prompt.for_model(model) if prompt.for_model else None
    except (Refusal, InvalidRequest):
        return None
    return told and replace(told, max_output_tokens=min(told.max_output_tokens, prompt.max_output_tokens))


def within(reservation: Reservation, price: ModelPrice, prompt: Prompt) -> Prompt | None:
    """The prompt at no more than was reserved: what its form or its host adds to the input shortens the answer."""
    if price.ceiling_of(prompt) <= reservation.ceiling:
        return prompt
    bound, asked = prompt.input_token_bound, prompt.max_output_tokens
    if price.rates.most_for(min(bound, reservation.prompt.input_token_bound), asked) > reservation.ceiling:
        return None
    output = price.rates.output_tokens_for(reservation.ceiling, bound)
    return replace(prompt, max_output_tokens=output) if output >= min(FEWEST_OUTPUT_TOKENS, asked * 3 // 4) else None


def fits(model: AIModel, prompt: Prompt) -> bool:
    """By our own count; the provider has the last word."""
    shows_images = any(message.images for message in prompt.messages)
    is_wire = isinstance(prompt, WirePrompt)
    likely = prompt.tokens * 5 // 4 if is_wire else sum(message.likely_tokens for message in prompt.messages)
    is_read = likely + prompt.extra_input_tokens <= model.input_limit(prompt.max_output_tokens)
    return is_read and (model.takes_images or not shows_images)
