"""What went wrong at a vendor, in our own words: no key, no prompt, nothing that the vendor wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx2

from app.providers.base import ProviderError

AGAIN = "Nothing was charged. Please try again, or choose another model."
WORDS = {
    "timeout": f"The model's provider did not answer in time. {AGAIN}",
    "unavailable": f"The model's provider is out of order or overloaded right now. {AGAIN}",
    "rate_limited": "The model's provider takes no more requests right now. "
    "Nothing was charged. Please try again in a minute, or choose another model.",
    "rejected": "The model's provider refused this request. "
    "Nothing was charged. Please change the message, or choose another model.",
    "credentials": "This model cannot be reached right now; the fault is on our side. "
    "Nothing was charged. Please choose another model.",
    "malformed": f"The model's provider sent something unreadable, so the answer ends here. {AGAIN}",
    "cut": f"The connection to the model's provider broke before the answer was finished. {AGAIN}",
}
REJECTIONS = {
    "too_long": "This chat is longer than the model can read. "
    "Nothing was charged. Please start a new chat, or choose a model with a larger context window.",
    "gone": "The model's provider does not know this model any more. "
    "Nothing was charged. Please choose another model.",
}
STATUSES = {
    401: "credentials",
    402: "credentials",
    403: "credentials",
    404: "gone",
    408: "timeout",
    429: "rate_limited",
    504: "timeout",
}
CODES = {
    "context_length_exceeded": "too_long",
    "request_too_large": "too_long",
    "insufficient_quota": "credentials",
    "billing_error": "credentials",
    "invalid_api_key": "credentials",
    "authentication_error": "credentials",
    "permission_error": "credentials",
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "timeout_error": "timeout",
    "timeout": "timeout",
    "invalid_request_error": "rejected",
    "not_found_error": "gone",
    "model_not_found": "gone",
    "content_filter": "rejected",
    "content_policy_violation": "rejected",
}


def failure(reason: str, technical: str = "") -> ProviderError:
    """The error for a reason of ProviderError, or for `too_long` or `gone`, which are rejections too."""
    if reason in REJECTIONS:
        return ProviderError("rejected", REJECTIONS[reason], technical)
    return ProviderError(reason, WORDS[reason], technical)


def explained(error: Exception, *, has_begun: bool) -> ProviderError:
    """An SDK's or the connection's error as ours."""
    status = getattr(error, "status_code", None)
    details = (type(error).__name__, *causes(error), status, getattr(error, "request_id", None))
    technical = " ".join(str(fact) for fact in details if fact)[:100]
    if isinstance(status, int):
        return failure(reason_of_status(status, getattr(error, "body", None)), technical)
    if isinstance(error, httpx2.TimeoutException) or isinstance(error.__cause__, httpx2.TimeoutException):
        return failure("timeout", technical)
    return failure("cut" if has_begun else "unavailable", technical)


def causes(error: BaseException) -> Iterator[str]:
    """The kinds of what it came from, down to the system's own: for the log."""
    while error := error.__cause__:  # type: ignore[assignment]
        yield type(error).__name__


def reason_of_status(status: int, body: object) -> str:
    """Codes say more than the status; a 400 is often too long a chat, a 429 an unpaid bill of ours."""
    reason = reason_of_event(body) if status in (400, 413, 422, 429) else None
    if reason in ("too_long", "gone", "credentials"):
        return reason
    if status == 413:
        return "too_long"
    return STATUSES.get(status) or ("rejected" if 400 <= status < 500 else "unavailable")


def reason_of_event(body: object) -> str:
    """The reason that an error's body names, inside a stream or in an answer; `unavailable` where it names none."""
    inner: Any = (body.get("error") or body) if isinstance(body, Mapping) else None
    if not isinstance(inner, Mapping):
        return "unavailable"
    code, kind = inner.get("code"), inner.get("type")
    if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600:
        return reason_of_status(code, None)
    known = (CODES.get(name) for name in (code, kind) if isinstance(name, str))
    reason = next((name for name in known if name), "unavailable")
    is_long = reason == "rejected" and "too long" in str(inner.get("message"))[:500]
    return "too_long" if is_long else reason


def retry_delay(error: Exception, shortest: float, longest: float) -> float | None:
    """Seconds to wait before another try; None where another try would not help or should not be made.

    Not after a timeout: the provider may be at work on the first one, and be paid for it.
    """
    if isinstance(error.__cause__, httpx2.TimeoutException):
        return None
    status = getattr(error, "status_code", None)
    if not isinstance(status, int):
        return shortest if isinstance(error.__cause__, httpx2.TransportError) else None
    if status != 429 and status < 500:
        return None
    if reason_of_status(status, getattr(error, "body", None)) == "credentials":
        return None
    return asked_delay(getattr(error, "response", None), shortest, longest)


def asked_delay(response: httpx2.Response | None, shortest: float, longest: float) -> float | None:
    """What Retry-After asks for; None where that is longer than somebody who waits for an answer would."""
    asked = response.headers.get("retry-after", "") if response is not None else ""
    if not asked.isdecimal():
        return shortest
    return max(shortest, float(asked)) if len(asked) < 4 and float(asked) <= longest else None
