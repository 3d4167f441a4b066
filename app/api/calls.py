"""What every route that calls a model shares: model, limits, Idempotency-Key, stream."""

import hashlib
from typing import Annotated, Any

from flask import request
from flask_login import current_user
from pydantic import Field

from app.api.bodies import Body, Count, CountOrNone, Text, sent_json
from app.api.schemas import JSON, TEXT, shape
from app.generation.call import CallOptions
from app.models.metering.refusal import InvalidRequest

STREAM = shape(
    "StreamEvent",
    id=TEXT,
    event={"enum": ["start", "delta", "block", "done", "error"]},
    data={"contentMediaType": JSON, **TEXT},
) | {"description": "One of many: `start`, `delta`s, then `done` or `error`. `data` is JSON; `id` counts characters."}
LONGEST_KEY = 200
ONCE = {"Idempotency-Key": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY}}


class Limits(Body):
    """Which model answers, and what its answer may come to."""

    model: Annotated[Text, Field(max_length=200)] | None = None
    max_output_tokens: Annotated[Count, Field(le=10**7)] | None = None
    max_cost_nanos: CountOrNone | None = None


def call_options(sent: Limits, model: str = "") -> CallOptions:
    """What the body and the Idempotency-Key ask for; `model` where the body names none."""
    key = request_key()
    whose = getattr(current_user, "guest", None) or ""
    route = f"{request.method} {request.path} {whose}".rstrip()
    return CallOptions(
        model=sent.model or model,
        max_output_tokens=sent.max_output_tokens,
        max_cost_nanos=sent.max_cost_nanos,
        idempotency_key=key and fingerprint(route, key),
        request_hash=key and fingerprint(route, sorted(sent_json().items())),
    )


def request_key() -> str | None:
    """The Idempotency-Key, where one is sent: the same request once more begins nothing more."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 1 <= len(key) <= LONGEST_KEY:
        raise InvalidRequest({"Idempotency-Key": [f"must have 1 to {LONGEST_KEY} characters."]})
    return key


def fingerprint(route: str, body: Any) -> str:
    """What two requests under one idempotency key must share."""
    return hashlib.sha256(f"{route}\n{body!r}".encode("utf-8", "surrogatepass")).hexdigest()


def wants_html() -> bool:
    """The page's own script asks for rendered blocks beside the text."""
    return request.headers.get("X-Render") == "html"


def stream_position() -> int:
    """From which character on a reader who comes back wants the text."""
    position = request.headers.get("Last-Event-ID", "0")
    if not (position.isascii() and position.isdigit() and len(position) <= 12):
        raise InvalidRequest({"Last-Event-ID": ["must be the id of an event of this stream."]})
    return int(position)
