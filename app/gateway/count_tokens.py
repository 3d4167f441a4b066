"""Counts the tokens of a request, free and without a reservation: by Anthropic where it can, else by us."""

from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from flask_login import current_user

from app.extensions import db
from app.gateway.blueprint import gateway, json_object, sends
from app.gateway.prompts import GatewayRequest
from app.generation.upstream import provider_of
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.metering.gate_checks import check_model
from app.providers.base import WirePrompt
from app.web.gate import requires_tokens


@runtime_checkable
class Counter(Protocol):
    """A provider that counts for nothing."""

    def count_tokens(self, prompt: WirePrompt) -> int | None: ...


@gateway.post("/messages/count_tokens")
@sends
@requires_tokens
def count_tokens() -> dict[str, Any]:
    return {"input_tokens": counted("messages")}


@gateway.post("/responses/input_tokens")
@sends
@requires_tokens
def count_input_tokens() -> dict[str, Any]:
    return {"object": "response.input_tokens", "input_tokens": counted("responses")}


def counted(dialect: str) -> int:
    asked = GatewayRequest.read(dialect, json_object())
    model, _price = AIModel.to_sell(asked.model, utcnow())
    check_model(current_user.account_state, model.name)
    prompt, service = asked.prompt_for(model), provider_of(model)
    db.session.rollback()
    told = service.count_tokens(named(prompt, model)) if isinstance(service, Counter) else None
    return prompt.tokens if told is None else told


def named(prompt: WirePrompt, model: AIModel) -> WirePrompt:
    """Under the name that its provider knows the model by."""
    return replace(prompt, model=model.upstream_name or model.name)
