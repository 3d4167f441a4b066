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


ADVICE = {
    "credentials": "Check the key, and that the provider's account has credit.",
    "rejected": "Check the address, which ends with /v1 for most, and the provider's name for the model.",
    "unavailable": "Check the address, and that the server runs.",
    "timeout": "Check the address, and that the server runs.",
}
"""What an admin can do; what the error itself says is for the person at the chat."""


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
        return Trial(False, f"Not working: {name}: {explained(error)}")
    return Trial(True, f"Working: {name} answered in {time.monotonic() - began:.1f} s.")


def explained(error: ProviderError) -> str:
    """What happened, with the provider's status, and what to look at."""
    happened = str(error).split(". ")[0].rstrip(".")
    status = f" ({error.technical})" if error.technical else ""
    return f"{happened}{status}. {ADVICE.get(error.reason, '')}".strip()


def first_model(provider: ProviderAccount) -> AIModel | None:
    writes = AIModel.is_for_sale, ~AIModel.makes_images, ~AIModel.is_embedding
    offered = select(AIModel).where(AIModel.provider_id == provider.id, *writes)
    return db.session.scalar(offered.order_by(AIModel.position, AIModel.id).limit(1))
