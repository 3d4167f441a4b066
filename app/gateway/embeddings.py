"""Embeddings: metered by their input tokens, through the same gate and reservation as every other call."""

import struct
from base64 import b64encode
from typing import Any

from flask import Response, g, jsonify
from flask_login import current_user

from app.gateway.blueprint import gateway, json_object, sends, text_of
from app.gateway.calls import idempotency, settled
from app.gateway.priced_fields import check_fields
from app.gateway.reported_usage import Event, Settled
from app.generation.wire_call import begin
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.metering.refusal import InvalidRequest
from app.providers.base import TOKENS_PER_MESSAGE, WirePrompt, estimate_tokens, longest_form
from app.providers.vectors import floats_in
from app.web.gate import requires_tokens

MOST_INPUTS, MOST_DIMENSIONS, LARGEST_TOKEN = 2048, 8192, 2**31
FORMATS = (None, "float", "base64")
SHAPES = "must be a text, a list of texts, a list of tokens, or a list of such lists; none of them empty."


@gateway.post("/embeddings")
@sends
@requires_tokens
def create_embeddings() -> Response:
    sent = json_object()
    name = text_of(sent, "model")
    body = {key: value for key, value in sent.items() if key != "model"}
    inputs = checked_inputs(body)
    model, price = AIModel.to_sell(name, utcnow(), is_embedding=True)
    generation = begin(current_user, prompt_for(model, body, inputs), (model, price), idempotency(sent))
    g.available_nanos = generation.reservation.available
    [answer] = [event for events in generation.follow_events() for event in events] or [{}]
    response = jsonify(shown(answer, name, body, settled(generation, body)))
    response.headers["X-Call-Id"] = str(generation.reservation.usage_id)
    return response


def checked_inputs(body: Event) -> list[str | list[int]]:
    """Each input by itself. InvalidRequest, or the refusal of a field that has no price."""
    check_fields("embeddings", body)
    if body.get("encoding_format") not in FORMATS:
        raise InvalidRequest({"encoding_format": ["must be float or base64."]})
    size = body.get("dimensions")
    if size is not None and (type(size) is not int or not 1 <= size <= MOST_DIMENSIONS):
        raise InvalidRequest({"dimensions": [f"must be a whole number between 1 and {MOST_DIMENSIONS}."]})
    given = body.get("input")
    inputs: list[Any] = given if isinstance(given, list) and not is_tokens(given) else [given]
    if not inputs or not all(is_tokens(one) or (isinstance(one, str) and one) for one in inputs):
        raise InvalidRequest({"input": [SHAPES]})
    if len(inputs) > MOST_INPUTS:
        raise InvalidRequest({"input": [f"may hold {MOST_INPUTS} inputs at most."]})
    return inputs


def is_tokens(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(type(token) is int and 0 <= token < LARGEST_TOKEN for token in value)
    )


def prompt_for(model: AIModel, body: Event, inputs: list[str | list[int]]) -> WirePrompt:
    """What the provider is sent. A token counts once; a text as one token a byte at most."""
    bound = sum(TOKENS_PER_MESSAGE + (longest_form(one) if isinstance(one, str) else len(one)) for one in inputs)
    counted = sum(estimate_tokens(one) if isinstance(one, str) else len(one) for one in inputs)
    return WirePrompt(
        model.name,
        (),
        max_output_tokens=0,
        extra_input_tokens=model.extra_input_tokens or 0,
        dialect="embeddings",
        body={name: value for name, value in body.items() if value is not None},
        bound=bound,
        counted=max(1, counted),
    )


def shown(answer: Event, name: str, body: Event, call: Settled) -> Event:
    """The provider's vectors in the encoding that was asked for, with our usage."""
    wants_base64 = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": place, "embedding": encoded(item["embedding"], wants_base64)}
        for place, item in enumerate(in_order(answer["data"]))
    ]
    tokens = call.usage.input_tokens
    usage = {"prompt_tokens": tokens, "total_tokens": tokens, **call.cost}
    return {"object": "list", "data": data, "model": name, "usage": usage}


def in_order(data: list[Event]) -> list[Event]:
    """By the index that each vector bears, where all bear one."""
    has_places = all(type(item.get("index")) is int for item in data)
    return sorted(data, key=lambda item: item["index"]) if has_places else data


def encoded(vector: Any, wants_base64: bool) -> Any:
    """32-bit floats, least byte first, in base64; or their list."""
    if isinstance(vector, str) == wants_base64:
        return vector
    if wants_base64:
        return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return floats_in(vector)
