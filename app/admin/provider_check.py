"""Tries a provider with a small call, at our cost, outside of any account."""

import time
from dataclasses import dataclass

from sqlalchemy import select

from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.models.catalog.provider_account import ProviderAccount
from app.providers.base import Prompt, PromptMessage, ProviderError
from app.providers.registry import open_provider

FEW_TOKENS = 16
QUESTION = PromptMessage("user", "Say ok.")


@dataclass(frozen=True, slots=True)
class Trial:
    """Whether a provider answered, and what to tell the admin."""

    works: bool
    text: str


def tried(provider: ProviderAccount) -> Trial:
    """Ask the provider's first model on sale. No transaction is open meanwhile."""
    model = first_model(provider)
    if model is None:
        return Trial(False, "Unknown: put one of its text models on sale first.")
    if not provider.is_usable:
        return Trial(False, f"Not working: {provider.key_variable} isn't set, or the provider is off.")
    name = model.upstream_name or model.name
    prompt = Prompt(name, (QUESTION,), FEW_TOKENS, is_reasoning=model.is_reasoning)
    at = {"base_url": provider.address, "api_key": provider.api_key}
    service = open_provider(provider.kind, **at, options=provider.options)
    db.session.rollback()
    began = time.monotonic()
    try:
        for _text in service.stream(prompt):
            pass
    except ProviderError as error:
        return Trial(False, f"Not working: {name}: {error}")
    return Trial(True, f"Working: {name} answered in {time.monotonic() - began:.1f} s.")


def first_model(provider: ProviderAccount) -> AIModel | None:
    writes = AIModel.is_for_sale, ~AIModel.makes_images, ~AIModel.is_embedding
    offered = select(AIModel).where(AIModel.provider_id == provider.id, *writes)
    return db.session.scalar(offered.order_by(AIModel.position, AIModel.id).limit(1))
