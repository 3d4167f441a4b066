"""Vendors' errors in our own words: without keys, prompts or anything the vendor wrote."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2

from app.providers.base import ProviderError

AGAIN = "Nothing was charged. Please try again, or choose another model."
WORDS = {
    "timeout": f"The model's provider did not answer in time. {AGAIN}",
    "unavailable": f"The model's provider is down or overloaded right now. {AGAIN}",
    "rate_limited": "The model's provider isn't taking more requests right now. "
    "Nothing was charged. Please try again in a minute, or choose another model.",
    "rejected": "The model's provider refused this request. "
    "Nothing was charged. Please change the message, or choose another model.",
    "credentials": "This model cannot be reached right now; the fault is on our side. "
    "Nothing was charged. Please choose another model.",
    "malformed": f"The model's provider sent something unreadable, so the answer ends here. {AGAIN}",
    "cut": f"The connection to the model's provider dropped before the answer was finished. {AGAIN}",
    "no_image": f"The model's provider made no image for this. {AGAIN}",
    "address": "The model's provider sent a link instead of an image, and we don't open links. "
    "Nothing was charged. Please choose another model.",
}
REJECTIONS = {
    "too_long": "This chat is longer than the model can read. "
    "Nothing was charged. Please start a new chat, or choose a model with a larger context window.",
    "image": "The model's provider could not read an image in this message. "
    "Nothing was charged. Send the question again without it, or with the image saved in another format.",
    "moderated": "The model's provider doesn't let its models answer this. "
    "Nothing was charged. Please put it in other words, or choose another model.",
    "gone": "The model's provider no longer knows this model. Nothing was charged. Please choose another model.",
    "unspoken": "The model's provider doesn't support something in this request. "
    "Nothing was charged. Please leave it out, or choose another model.",
    "filtered": "The model's provider doesn't allow this image. Nothing was charged. Please describe another one.",
}
OF_SENDER = {"too_long", "image", "rejected", "filtered", "unspoken", "moderated"}
"""What the request itself caused: the same one would fail again."""

TELLING = {"too_long", "image", "gone", "credentials", "filtered", "moderated"}
"""Reasons that say more than any status does."""

MESSAGES = {
    "rate_limited": re.compile(r"(tokens|requests) per (min|minute|hour|day)\b|\b[TR]P[MD]\b", re.IGNORECASE),
    "image": re.compile(
        r"(process|decode|read|load|open|invalid|unsupported|corrupt)[\w ]{0,20}\bimages?(_url)?\b"
        r"|\bimages?(_url|\(s\))?(?!\w)[^.\n]{0,40}(not (be |a )?(valid|supported|readable)|invalid|could not be)"
        r"|\bimages?\b[^.\n]{0,40}exceed"
        r"|\bimage size\b.{0,40}exceed|(support|at most \d+) image(s|\(s\)| input)|not (a )?multimodal",
        re.IGNORECASE,
    ),
    "too_long": re.compile(
        r"too long|too many (input |prompt )?tokens|(context|prompt)[ _](length|size|window|limit)|maximum context"
        r"|tokens? limit|reduce the length|longer than the model|too large for model"
        r"|exceeds? [\w ]{0,40}(tokens|context|length)|max_new_tokens`? must be|input length should be"
        r"|(must have|only supports) (less than |at most )?\d+ tokens|超长|超过.{0,12}长度",
        re.IGNORECASE,
    ),
    "gone": re.compile(
        r"\bmodels?\b[^.\n]{0,120}(not found|(does |do )?not exist|not (available|supported|loaded)|is not a valid)"
        r"|(unknown|invalid|no such|not a valid|unsupported) model|model identifier is invalid",
        re.IGNORECASE,
    ),
    "credentials": re.compile(
        r"insufficient (balance|credit|quota)|credit balance is too low|budget has been exceeded|good standing"
        r"|exceeded your current quota(?![\s\S]*retry in)|location is not supported|余额不足|欠费"
        r"|api key[\w ]{0,20}(not valid|invalid|expired)|(invalid|incorrect|expired) api key",
        re.IGNORECASE,
    ),
    "moderated": re.compile(
        r"requires moderation|was flagged|inappropriate content|violates [\w ]{0,20}(policy|guidelines)"
        r"|content management policy|considered high risk|敏感",
        re.IGNORECASE,
    ),
}
FIELD = re.compile(r"([a-z][a-z_]{1,39})(?:[.\[][\w.\[\]-]*)?(?:: |$)")
STATUSES = {
    401: "credentials",
    402: "credentials",
    403: "credentials",
    404: "gone",
    408: "timeout",
    409: "unavailable",
    424: "unavailable",
    425: "unavailable",
    429: "rate_limited",
    498: "unavailable",
    499: "unavailable",
    504: "timeout",
}
READ_STATUSES = {400, 403, 404, 413, 422, 429, 500}
"""Those whose body may say more."""

CODES = {
    "context_length_exceeded": "too_long",
    "exceed_context_size_error": "too_long",
    "ContextWindowExceededError": "too_long",
    "string_above_max_length": "too_long",
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
    "NotFoundError": "gone",
    "model_decommissioned": "gone",
    "invalid_model": "gone",
    "image_parse_error": "image",
    "invalid_image": "image",
    "invalid_image_format": "image",
    "exceeded_current_quota_error": "credentials",
    "BadRequestError": "rejected",
    "model_not_found": "gone",
    "content_filter": "moderated",
    "content_policy_violation": "moderated",
    "DataInspectionFailed": "moderated",
    "data_inspection_failed": "moderated",
    "invalid_image_url": "image",
    "Arrearage": "credentials",
    "budget_exceeded": "credentials",
    "moderation_blocked": "filtered",
}
MINIMAX = {
    "timeout": (1001,),
    "unavailable": (1000, 1024, 1033),
    "rate_limited": (1002, 1039, 1041, 2045),
    "credentials": (1004, 1008, 2049, 2056),
    "moderated": (1026, 1027),
    "rejected": (1042, 2013),
}
"""MiniMax's own codes, which stand in `base_resp` or in brackets behind its sentences."""

VAGUE = (None, "unavailable", "rejected")
"""What its sentence may say better."""

MINIMAX_CODES = {code: reason for reason, codes in MINIMAX.items() for code in codes}
BRACKETED = re.compile(r"\(([12]\d{3})\)$")


def failure(reason: str, technical: str = "") -> ProviderError:
    """The error for a reason of ProviderError, or for one of REJECTIONS, which are of that kind too."""
    is_of_sender = reason in OF_SENDER
    if reason in REJECTIONS:
        told = ProviderError("rejected", REJECTIONS[reason], technical, is_of_sender=is_of_sender)
        told.case = reason
        return told
    return ProviderError(reason, WORDS[reason], technical, is_of_sender=is_of_sender)


def explained(error: Exception, *, has_begun: bool) -> ProviderError:
    """An SDK's or the connection's error as ours."""
    status = getattr(error, "status_code", None)
    details = (type(error).__name__, *causes(error), status, getattr(error, "request_id", None))
    technical = " ".join(str(fact) for fact in details if fact)[:100]
    if isinstance(status, int):
        told = failure(reason_of_status(status, body := getattr(error, "body", None)), technical)
        told.field = field_in(body)
        return told
    if isinstance(error, httpx2.TimeoutException) or isinstance(error.__cause__, httpx2.TimeoutException):
        return failure("timeout", technical)
    return failure("cut" if has_begun else "unavailable", technical)


def field_in(body: object) -> str | None:
    """The field of a request that an error's body names: OpenAI beside its sentence, Anthropic as the first word."""
    told = told_in(body)
    named = FIELD.match(str(told.get("param") or told.get("message") or ""))
    return named and named[1]


def causes(error: BaseException) -> Iterator[str]:
    """The kinds of what it came from, down to the system's own: for the log."""
    while error := error.__cause__:  # type: ignore[assignment]
        yield type(error).__name__


def reason_of_status(status: int, body: object) -> str:
    """Codes and messages say more than the status; a 400 is often too long a chat, a 429 an unpaid bill of ours."""
    reason = reason_of_event(body) if status in READ_STATUSES else None
    if (reason in TELLING and (status != 429 or reason == "credentials")) or reason == "rate_limited":
        return reason
    if status == 413:
        return "too_long"
    return STATUSES.get(status) or ("rejected" if 400 <= status < 500 else "unavailable")


def reason_of_event(body: object) -> str:
    """The reason that an error's body names, inside a stream or in an answer; `unavailable` where it names none.

    Type and message come first: a numeric code is often the status alone (llama.cpp, vLLM, SGLang, LiteLLM).
    """
    inner = told_in(body)
    code, kind, message = inner.get("code"), inner.get("type"), inner.get("message")
    names = [name for name in (code, kind) if isinstance(name, str)]
    reason = next((CODES[name] for name in names if name in CODES), None)
    if reason in TELLING or reason == "rate_limited":
        return reason
    own = minimax_reason(body, message)
    said = reason_of_message(message) if own in VAGUE else None
    return said or own or status_reason(code) or reason or "unavailable"


def is_error(event: Mapping[str, Any]) -> bool:
    """Whether an event tells of an error: as such, or by a bare message, code or detail in the place of an answer."""
    if event.get("error") or status_of(event).get("status_code") or error_within(event):
        return True
    if event.get("choices") or "delta" in event:
        return False
    if event.get("object") == "error" or event.get("type") == "error" or event.get("success") is False:
        return True
    is_message = isinstance(event.get("message"), str) and ("code" in event or "type" in event)
    return "usage" not in event and (is_message or bool(event.get("detail")))


def error_within(event: Mapping[str, Any]) -> bool:
    """Whether one stands beside the text: Groq's in `x_groq`, OpenRouter's in the choice."""
    choices = event.get("choices")
    places = (event.get("x_groq"), *(choices if isinstance(choices, list) else ()))
    return any(isinstance(place, Mapping) and place.get("error") for place in places)


def status_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """MiniMax's own status, 0 where all is well."""
    told = event.get("base_resp")
    return told if isinstance(told, Mapping) else {}


def minimax_reason(body: object, message: object) -> str | None:
    code = status_of(body).get("status_code") if isinstance(body, Mapping) else None
    if not code and isinstance(message, str) and (bracketed := BRACKETED.search(message)):
        code = int(bracketed[1])
    return MINIMAX_CODES.get(code) if isinstance(code, int) else None


def told_in(body: object) -> Mapping[str, Any]:
    """Code, type and message of an error's body, which may be bare text, a list of one, or FastAPI's `detail`.

    A router's message may only say that its provider failed; what that said stands beside it (OpenRouter's `raw`).
    """
    if isinstance(body, list):
        return told_in(next(iter(body), None))
    if not isinstance(body, Mapping):
        return {"message": body}
    inner = body.get("error") or next(iter(several if isinstance(several := body.get("errors"), list) else ()), None)
    if isinstance(inner, Mapping):
        body = inner
    said = next((body[name] for name in ("message", "error", "detail", "msg") if body.get(name)), None)
    message = told_in(said)["message"] if said else status_of(body).get("status_msg")
    beside = body.get("metadata")
    if isinstance(beside, Mapping) and beside.get("raw"):
        message = f"{message} {beside['raw']}"
    return {**body, "message": message}


def reason_of_message(message: object) -> str | None:
    """What the vendor's sentence says, where it is one that no code says for certain."""
    text = message[:1000] if isinstance(message, str) else ""
    return next((reason for reason, pattern in MESSAGES.items() if pattern.search(text)), None)


def status_reason(code: object) -> str | None:
    """The reason of a code that is a status, as a number or in digits."""
    digits = str(code) if isinstance(code, int | str) and not isinstance(code, bool) else ""
    is_status = len(digits) == 3 and digits.isdecimal() and 400 <= int(digits) < 600
    return reason_of_status(int(digits), None) if is_status else None


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
    if reason_of_status(status, getattr(error, "body", None)) in TELLING:
        return None
    return asked_delay(getattr(error, "response", None), shortest, longest)


def asked_delay(response: httpx2.Response | None, shortest: float, longest: float) -> float | None:
    """What Retry-After asks for; None where that is longer than somebody who waits for an answer would."""
    asked = response.headers.get("retry-after", "") if response is not None else ""
    if not asked.isdecimal():
        return shortest
    return max(shortest, float(asked)) if len(asked) < 4 and float(asked) <= longest else None
