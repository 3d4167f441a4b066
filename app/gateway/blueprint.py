"""The gateway's blueprint: addresses that the vendors' own packages and tools call, signed in by a key only."""

import json
from typing import Any

from flask import Blueprint, request

from app.api.rate_limits import CALLS, actor_key, sends
from app.extensions import limiter
from app.models.metering.refusal import InvalidRequest
from app.web.rate_limits import is_off

gateway = Blueprint("gateway", __name__, url_prefix="/v1")
limiter.limit(CALLS, key_func=actor_key, exempt_when=is_off)(gateway)
LONGEST_NAME = 200

__all__ = ["gateway", "json_object", "sends", "text_of", "whole_number"]


def json_object() -> dict[str, Any]:
    """The request's JSON object, without halves of characters and numbers without end; InvalidRequest else."""
    try:
        sent = json.loads(request.get_data())
        json.dumps(sent, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        sent = json.loads(json.dumps(sent, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise InvalidRequest({"body": ["is not JSON."]}) from None
    if not isinstance(sent, dict):
        raise InvalidRequest({"body": ["must be a JSON object."]})
    return sent


def text_of(sent: dict[str, Any], name: str) -> str:
    """A short text that must be there."""
    value = sent.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest({name: ["is missing."]})
    if len(value) > LONGEST_NAME or "\0" in value:
        raise InvalidRequest({name: ["is no name."]})
    return value


def whole_number(sent: dict[str, Any], name: str) -> int | None:
    """A number from 1 on, or None."""
    value = sent.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10**9:
        raise InvalidRequest({name: ["must be a whole number from 1 on."]})
    return value
