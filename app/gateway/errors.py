"""Errors in the form of each dialect, so that its SDK raises the right class with our text."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Response, current_app, g, jsonify, request

from app.gateway.reported_usage import Event
from app.models.base import iso
from app.models.metering.refusal import InvalidRequest

PASSING = {
    "too_many_calls", "credits_reserved", "rate_limited", "recharge_in_progress", "busy", "provider_error",
}  # fmt: skip
"""What another try in a moment may find gone; all else is as it is until somebody acts."""

HELD = {"member_limit_reached", "key_limit_reached", "own_limit_reached", "chat_budget_reached"}
BUSY_SECONDS = 3
OPENAI_TYPES = {401: "invalid_api_key", 402: "insufficient_quota", 403: "permission_error"}
ANTHROPIC_TYPES = {
    401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
    413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error",
}  # fmt: skip
NO_THREADS = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
"""Tells Anthropic's tool runner to send the whole conversation each time."""

LIMITS = {
    "daily_limit_reached": "day",
    "window_limit_reached": "window",
    "member_limit_reached": "member",
    "chat_limit_reached": "chats",
    "absorbed_limit": "absorbed",
}
IN_HEADERS = (
    "needed_nanos", "needed_credits", "available_nanos", "available_credits", "reserved_nanos", "reserved_credits",
    "limit_nanos", "limit_credits",
    "resets_at", "upgrade_url", "resume_url", "limit_kind", "model",
)  # fmt: skip


TOO_LONG = (
    "prompt is too long: it does not fit the model's context window. Nothing was charged. "
    "Send less of the conversation, or choose a model with a larger window."
)


class PromptTooLong(InvalidRequest):
    """Programs that shorten a conversation and try again know this by OpenAI's code or by Anthropic's first words."""

    code = "context_length_exceeded"

    def __str__(self) -> str:
        return TOO_LONG


def is_ours(path: str) -> bool:
    return path.startswith("/v1/")


def is_anthropic() -> bool:
    """The format of a request: by its address, and of what both share by Anthropic's header."""
    return request.path.startswith("/v1/messages") or "anthropic-version" in request.headers


def is_passing(code: str, details: Mapping[str, Any]) -> bool:
    """Also a limit that running calls hold."""
    return code in PASSING or (code in HELD and "reserved_nanos" in details)


def should_retry(status: int, code: str, details: Mapping[str, Any]) -> str | None:
    """What `x-should-retry` says; None where the client knows best."""
    return None if status == 500 else "true" if is_passing(code, details) else "false"


def dialect_error(status: int, code: str, detail: str, details: dict[str, Any]) -> Response:
    """The whole answer to a request that was not done."""
    fields = shown(code, details)
    if is_anthropic():
        body = anthropic_error(status, code, detail, g.request_id)
        if fields.get("param") == "thread":
            body["error"]["details"] = NO_THREADS
    else:
        body = openai_error(status, code, detail, fields)
    response = jsonify(body)
    response.status_code = status
    response.headers["X-Tollgate-Code"] = code
    for name in IN_HEADERS:
        if name in fields:
            response.headers[f"X-Tollgate-{name.replace('_', '-').title()}"] = str(fields[name])
    if status == 503:
        response.headers["Retry-After"] = str(BUSY_SECONDS)
    return response


def shown(code: str, details: dict[str, Any]) -> Event:
    """What stands beside a code: amounts, moments, the way out as a whole address."""
    fields = {name: iso(value) if isinstance(value, datetime) else value for name, value in details.items()}
    if code in LIMITS:
        fields.setdefault("limit_kind", LIMITS[code])
    for name in ("upgrade_url", "resume_url", "pay_url"):
        if str(fields.get(name, "")).startswith("/"):
            fields[name] = current_app.config["BASE_URL"].rstrip("/") + fields[name]
    return fields


def openai_error(status: int, code: str, detail: str, fields: Event) -> Event:
    kinds = OPENAI_TYPES | {429: "rate_limit_exceeded" if is_passing(code, fields) else "insufficient_quota"}
    kind = kinds.get(status) or ("server_error" if status >= 500 else "invalid_request_error")
    field = fields.get("param") or next(iter(fields.get("errors") or ()), None)
    error = {**fields, "message": detail, "type": kind, "code": code, "param": field}
    return {"error": error}


def anthropic_error(status: int, code: str, detail: str, request_id: str) -> Event:
    kind = ANTHROPIC_TYPES.get(status) or ("api_error" if status >= 500 else "invalid_request_error")
    return {
        "type": "error",
        "error": {"type": kind, "message": detail, "code": code},
        "request_id": request_id,
    }
