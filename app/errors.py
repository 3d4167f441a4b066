"""Exceptions become answers here and nowhere else: a page for people, problem+json (RFC 9457) for programs."""

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from flask import Flask, Response, g, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_limiter import RateLimitExceeded
from flask_login import AnonymousUserMixin, current_user
from flask_wtf.csrf import CSRFError
from gunicorn.http.errors import ParseException
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException

from app.extensions import db
from app.gateway.errors import dialect_error, is_ours, should_retry
from app.generation.registry import Busy, TooManyReaders
from app.models.base import credits_string, iso
from app.models.billing.payment_errors import Declined, Mismatch, PaymentsNotSetUp, Rejected, UnknownOutcome
from app.models.chat.file_text import ReadersBusy
from app.models.identity.password import HashingBusy
from app.models.metering.refusal import Conflict, InvalidRequest, PricingError, Refusal
from app.models.metering.reservation import AccountBusy
from app.models.operations.refused_call import RefusalCount, RefusedCall
from app.observability.counters import count_problem
from app.payments import breaker
from app.payments.promotion_codes import WrongCode
from app.providers.base import ProviderError
from app.web import form_errors
from app.web.access import KeyMayNot, NotSignedIn, is_guest
from app.web.checkout_limits import note_wrong_code
from app.web.conflicts import conflict_text
from app.web.gate import say_what_is_left
from app.web.guest_session import for_guests
from app.web.rate_limits import LimitUnknown
from app.web.refusals import FOR_MANAGERS, REFUSALS, text_for_guests, text_for_members, text_of

log = logging.getLogger(__name__)

HTTP_CODES = {
    400: "invalid_request",
    401: "not_signed_in",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "invalid_request",
    429: "rate_limited",
    503: "busy",
}
WORDS = {
    404: "There's nothing here, or it belongs to another account.",
    403: "Your role in this account doesn't allow that.",
    405: "This address doesn't accept that kind of request.",
    413: "That's too large. Nothing was saved or charged.",
    429: "Too many requests. Wait a moment, then try again.",
    500: "Something went wrong on our side. You were not charged, and we've recorded the problem.",
}
FOR_NOW: dict[type[Exception], tuple[int, str]] = {
    TooManyReaders: (429, "rate_limited"),
    **dict.fromkeys((Busy, HashingBusy, ReadersBusy, AccountBusy), (503, "busy")),
}
"""What is full at the moment; each says when to try again."""

AMOUNTS = ("needed", "available", "reserved", "limit", "used", "left", "model_ceiling")
COUNTED = {
    "chat_limit_reached": "X-Chats-Remaining",
    "document_limit_reached": "X-Documents-Remaining",
    "image_limit_reached": "X-Images-Remaining",
}
WAYS_OUT = {
    "upgrade": "pages.pricing",
    "buy": "billing.overview",
    "verify": "auth.settings",
    "billing": "billing.overview",
    "signup": "auth.signup",
    "support": "pages.support",
    "members": "auth.account",
    "resume": "billing.breaker",
}


def init_app(app: Flask) -> None:
    app.register_error_handler(Refusal, refused)
    app.register_error_handler(InvalidRequest, invalid)
    app.register_error_handler(Conflict, lambda e: problem(409, e.code, conflict_text(e), **e.details))
    app.register_error_handler(PricingError, lambda e: problem(400, "invalid_request", str(e)))
    app.register_error_handler(ProviderError, lambda e: problem(502, "provider_error", str(e)))
    for kind, (status, code) in FOR_NOW.items():
        app.register_error_handler(kind, partial(not_now, status, code))
    app.register_error_handler(PaymentsNotSetUp, lambda e: problem(503, "payments_not_set_up", NOT_SET_UP))
    app.register_error_handler(UnknownOutcome, lambda e: problem(503, "payment_unknown", UNHEARD, retry_after=10))
    app.register_error_handler(Declined, lambda e: problem(402, "payment_declined", f"{e} Nothing was charged."))
    app.register_error_handler(Rejected, lambda e: problem(409, "payment_refused", f"{e} Nothing was charged."))
    app.register_error_handler(Mismatch, lambda e: problem(409, "payment_parked", PARKED))
    app.register_error_handler(NotSignedIn, lambda e: problem(401, "not_signed_in", str(e)))
    app.register_error_handler(KeyMayNot, lambda e: problem(403, "key_scope", str(e), scope=e.scope))
    app.register_error_handler(CSRFError, lambda e: problem(400, "csrf_failed", CSRF_WORDS))
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(LimitUnknown, limit_unknown)
    init_database_errors(app)
    app.register_error_handler(Exception, broken)
    app.after_request(say_what_is_left)
    app.teardown_appcontext(end_session)


def init_database_errors(app: Flask) -> None:
    """What the database does not answer, does not take, or has no longer."""
    for away in AWAY_ERRORS:
        app.register_error_handler(away, database_away)
    for not_data in (DataError, OverflowError, UnicodeEncodeError):
        app.register_error_handler(not_data, not_storable)
    app.register_error_handler(ParseException, lambda e: problem(400, "invalid_request", NOT_HTTP))
    app.register_error_handler(StaleDataError, lambda e: problem(409, "changed_meanwhile", MEANWHILE))


def not_storable(error: Exception) -> Response:
    """A value that no database keeps: a number past its bounds, a NUL, half a character."""
    log.warning("not storable: %s", type(getattr(error, "orig", None) or error).__name__)
    return problem(400, "invalid_request", "One of the values can't be stored. Nothing was changed.")


def not_now(status: int, code: str, error: Any) -> Response:
    return problem(status, code, str(error), retry_after=error.retry_after)


def invalid(error: InvalidRequest) -> ResponseReturnValue:
    """People are back at their form, the fault at its field and what they typed kept; programs are told."""
    if isinstance(error, WrongCode):
        note_wrong_code()
    if not wants_json():
        leave(db.session.rollback)
        if (back := form_errors.back_with(error.errors)) is not None:
            count_problem("invalid_request")
            return back
    return problem(400, error.code, str(error), errors=error.errors)


def refused(refusal: Refusal) -> Response:
    text = text_for_reader(refusal)
    refusal = for_guests(refusal) if is_guest() else refusal
    details: dict[str, Any] = {}
    for name, value in refusal.details.items():
        details |= amount(name, value) if name in AMOUNTS and value is not None else {name: value}
    details |= details.pop("counts", {})
    if not may_manage():
        helps = "members" if details.get("way_out") in FOR_MANAGERS | {"resume"} else details.get("way_out")
        details |= {"pay_url": None, "way_out": helps}
    if way_out := WAYS_OUT.get(details.get("way_out") or ""):
        details["resume_url" if details["way_out"] == "resume" else "upgrade_url"] = url_for(way_out)
    details = {name: value for name, value in details.items() if value is not None}
    status = REFUSALS[refusal.code].status
    answer = problem(status, refusal.code, text, retry_after=refusal.retry_after, **details)
    if refusal.code in COUNTED:
        answer.headers[COUNTED[refusal.code]] = str(details["remaining"])
    keep(refusal)
    return answer


def text_for_reader(refusal: Refusal) -> str:
    if is_guest():
        return text_for_guests(refusal.code)
    return text_of(refusal) if may_manage() else text_for_members(refusal)


def may_manage() -> bool:
    """Whether the reader sees the account's billing, its open invoice too; nobody in particular has none."""
    return bool(getattr(current_user, "can_manage", True))


def keep(refusal: Refusal) -> None:
    """For the overview and the lab in the admin: a refusal is answered whether or not it could be kept."""
    if not current_user.is_authenticated and not is_guest():
        return
    try:
        if refusal.is_trip:
            breaker.trip(current_user.account_id)
        count = RefusalCount.note(current_user.account_id, refusal.code)
        RefusedCall.note(current_user, refusal, count)
        db.session.commit()
    except (DBAPIError, NoConnection) as error:
        db.session.rollback()
        log.warning("refusal not kept", extra={"reason": type(error).__name__})


def amount(name: str, nanos: int) -> dict[str, Any]:
    return {name: credits_string(nanos), f"{name}_nanos": nanos, f"{name}_credits": credits_string(nanos)}


def http_error(error: HTTPException) -> Response | HTTPException:
    status, met = error.code or 500, getattr(error, "original_exception", None)
    if status < 400:
        return error
    if isinstance(met, AWAY_ERRORS):  # met while another answer was made
        return database_away(met)
    if isinstance(error, RateLimitExceeded) and error.limit and error.limit.error_message:
        return refused(Refusal(str(error.limit.error_message)))
    text = WORDS.get(status) or error.description or "We couldn't process that request."
    if is_ours(request.path) and request.routing_exception is not None and status in (404, 405):
        text = f"{request.method} {request.path[:200]} isn't part of this API."
    return problem(status, HTTP_CODES.get(status, "error"), text, retry_after=getattr(error, "retry_after", None))


def limit_unknown(error: LimitUnknown) -> Response:
    log.error("a limit could not be read", exc_info=error.__cause__)
    g._login_user = AnonymousUserMixin()  # what could not be read may be who asks
    return problem(503, "busy", error.description, retry_after=error.retry_after)


def database_away(error: Exception) -> Response:
    """Gone, starting again, locked or overrun: what was asked is undone, and may be tried again."""
    log.exception("the database is away: %s", type(error).__name__)
    g._login_user = AnonymousUserMixin()  # nobody can say who asks, and the answer is not to look again
    return problem(503, "busy", AWAY, retry_after=5)


def end_session(_error: BaseException | None) -> None:
    """By now what was to be kept is committed: an answer does not break over the connection that it leaves."""
    leave(db.session.remove)


def leave(way: Callable[[], None]) -> None:
    """Undo or end what the session has open; where the database is gone, it has done so itself."""
    try:
        way()
    except OperationalError as error:
        log.warning("a connection was lost after its work: %s", error.orig)
        db.session.registry.clear()


def broken(error: Exception) -> Response:
    leave(db.session.rollback)
    log.exception("unhandled %s", type(error).__name__)
    return problem(500, "internal_error", WORDS[500])


def problem(status: int, code: str, detail: str, *, retry_after: int | None = None, **details: Any) -> Response:
    """The answer to a request that was not done; facts go into the body."""
    leave(db.session.rollback)
    count_problem(code)
    response = renderer()(status, code, detail, details)
    if retry_after:
        g.retry_after = response.headers.setdefault("Retry-After", str(retry_after))
    if response.is_json and (again := should_retry(status, code, details)):
        response.headers["X-Should-Retry"] = again
    return response


def renderer() -> Callable[[int, str, str, dict[str, Any]], Response]:
    if is_ours(request.path):
        return dialect_error
    return problem_json if wants_json() else page


def problem_json(status: int, code: str, detail: str, details: dict[str, Any]) -> Response:
    title = code.replace("_", " ").capitalize()
    shown = {name: iso(value) if isinstance(value, datetime) else value for name, value in details.items()}
    known = {"type": "about:blank", "status": status, "code": code, "title": title, "detail": detail}
    response = jsonify(known | shown)
    response.status_code = status
    response.content_type = "application/problem+json"
    return response


def page(status: int, code: str, detail: str, details: dict[str, Any]) -> Response:
    if status == 401:
        from_here = request.full_path.rstrip("?") if request.method == "GET" else None
        return Response(status=302, headers={"Location": url_for("auth.login", next=from_here)})
    body = render_template("errors/error.html", status=status, code=code, detail=detail, details=details)
    return Response(body, status=status, content_type="text/html; charset=utf-8")


def wants_json() -> bool:
    if request.path.startswith(("/api/", "/webhooks/", "/metrics")):
        return True
    best = request.accept_mimetypes.best_match(["text/html", "application/json", "application/problem+json"])
    return best is not None and best != "text/html"


AWAY_ERRORS = (OperationalError, NoConnection)
AWAY = "We can't reach our database right now. Nothing was charged or lost. Try again in a few seconds."
MEANWHILE = "Someone else just changed or removed that. Nothing was changed here; reload the page."
NOT_SET_UP = "Payments aren't set up yet. Nothing was charged."
UNHEARD = "Stripe didn't answer in time. You won't be charged twice. Check again in a minute."
PARKED = "Something about this payment doesn't match. Nothing is lost, and someone on our team will look at it."
NOT_HTTP = "The request's body doesn't match its headers. Nothing was done."
CSRF_WORDS = (
    "This page was open too long, or its form came from somewhere else. Nothing was changed. "
    "Reload the page and try again."
)
