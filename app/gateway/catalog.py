"""The models that a key may call, as each dialect lists them."""

from typing import Any

from flask import Response, request
from flask_login import current_user

from app.gateway.blueprint import gateway
from app.gateway.errors import dialect_error, is_anthropic
from app.models.catalog.ai_model import AIModel
from app.models.metering.refusal import InvalidRequest
from app.web.gate import requires_tokens

MOST, USUAL = 1000, 20


@gateway.get("/models")
@requires_tokens
def list_models() -> dict[str, Any]:
    models = callable_models()
    if is_anthropic():
        return anthropic_page([anthropic_model(model) for model in models])
    return {"object": "list", "data": [openai_model(model) for model in models]}


@gateway.get("/models/<path:model_id>")
@requires_tokens
def read_model(model_id: str) -> dict[str, Any] | Response:
    model = next((model for model in callable_models() if model.name == model_id), None)
    if model is None:
        text = f"There's no model called {model_id[:200]!r} for this key. GET /v1/models lists them."
        return dialect_error(404, "model_not_found", text, {})
    return anthropic_model(model) if is_anthropic() else openai_model(model)


def callable_models() -> list[AIModel]:
    """For sale, in the account's plan, and open to this key."""
    limits = current_user.key_limits
    allowed, own = current_user.account_state.models, limits.models if limits else ()
    return [
        model
        for model, _price in [*AIModel.for_sale(), *AIModel.for_sale(is_embedding=True)]
        if (not allowed or model.name in allowed) and (not own or model.name in own)
    ]


def openai_model(model: AIModel) -> dict[str, Any]:
    created = int(model.created_at.timestamp())
    return {"id": model.name, "object": "model", "created": created, "owned_by": model.provider.name}


def anthropic_model(model: AIModel) -> dict[str, Any]:
    created = model.created_at.isoformat().replace("+00:00", "Z")
    sizes = {"max_input_tokens": model.context_window, "max_tokens": model.max_output_tokens}
    return {"type": "model", "id": model.name, "display_name": model.title, "created_at": created, **sizes}


def anthropic_page(models: list[dict[str, Any]]) -> dict[str, Any]:
    """`limit`, `after_id` and `before_id`, as Anthropic's list has them."""
    limit = request.args.get("limit", str(USUAL))
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:6]) <= MOST):
        raise InvalidRequest({"limit": [f"must be between 1 and {MOST}."]})
    ids = [model["id"] for model in models]
    after, before = request.args.get("after_id"), request.args.get("before_id")
    start = ids.index(after) + 1 if after in ids else 0
    end = ids.index(before) if before in ids else len(ids)
    start = max(start, end - int(limit)) if before in ids else start
    page = models[start : min(end, start + int(limit))]
    more = start > 0 if before in ids else start + len(page) < end
    bounds = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return {"data": page, "has_more": more, **bounds}
