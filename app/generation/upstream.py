"""How a model is reached: its provider, and the name that it goes by there."""

from dataclasses import replace

from app.models.catalog.ai_model import AIModel
from app.providers.base import Prompt, Provider
from app.providers.registry import open_provider


def provider_of(model: AIModel) -> Provider:
    provider = model.provider
    at = {"base_url": provider.address, "api_key": provider.api_key}
    return open_provider(provider.kind, **at, options=provider.options)


def upstream_prompt(model: AIModel, prompt: Prompt) -> Prompt:
    """The reserved prompt under the name that its provider knows the model by."""
    return replace(prompt, model=model.upstream_name or model.name, limit_name=model.limit_name)
