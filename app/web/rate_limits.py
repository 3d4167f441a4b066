"""How often an address, or an account's address, may try: sign-in, sign-up, reset. security.md 11 and 24."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from threading import Lock
from typing import Any, TypeVar, cast

from flask import Flask, Response, g, request
from flask_limiter import RateLimitExceeded
from flask_login import current_user
from limits import parse
from sqlalchemy import update
from werkzeug.exceptions import HTTPException, TooManyRequests

from app.extensions import db, has_room, is_over, limiter
from app.models.base import utcnow
from app.models.catalog.plan import Plan
from app.models.catalog.setting import Setting
from app.models.identity.email_address import mailbox
from app.models.identity.user import User
from app.models.metering.refusal import seconds_until
from app.web.network_address import network

Decorator = Callable[[Any], Any]
Reading = TypeVar("Reading", bound=Callable[..., Any])


def refusing(function: Reading) -> Reading:
    """A part of a limit whose error refuses the request: an error inside a limit is no permission.

    Flask-Limiter takes any other error for a storage that is away, and the second one for no limit at all.
    """

    @wraps(function)
    def read(*args: Any) -> Any:
        try:
            return function(*args)
        except RateLimitExceeded:
            raise
        except Exception as error:
            raise LimitUnknown from error

    read.is_refusing = True  # type: ignore[attr-defined]
    return cast(Reading, read)


class LimitUnknown(RateLimitExceeded):
    """A limit could not be read; nothing is let past it."""

    code = 503
    limit = response = None  # type: ignore[assignment]
    description = "We can't process this right now. Try again in a few seconds."
    retry_after = 5

    def __init__(self) -> None:
        HTTPException.__init__(self)


class TooManyAtOnce(RateLimitExceeded):
    """As many tries of one thing are under way as are let in at once."""

    limit = response = None  # type: ignore[assignment]
    retry_after = 2

    def __init__(self) -> None:
        HTTPException.__init__(self)


AT_ONCE = 3
TENTHS = parse("300 per minute")
"""Of a second of the processor."""

TRIES, LOCK = Counter[str](), Lock()


def few_at_once(key: Callable[[], str]) -> Callable[[], str]:
    """The key of a limit that counts once the answer is known: what is tried until then would pass it uncounted.

    So a few tries of a process are under way at once, each until it was counted.
    """

    @refusing
    @wraps(key)
    def held() -> str:
        name = key()
        if name not in g.setdefault("tries", []):
            with LOCK:
                if TRIES[name] >= AT_ONCE:
                    raise TooManyAtOnce
                TRIES[name] += 1
            g.tries.append(name)
        return name

    held.is_few_at_once = True  # type: ignore[attr-defined]
    return held


def end_tries(_error: BaseException | None) -> None:
    with LOCK:
        for name in g.pop("tries", ()):
            TRIES[name] -= 1
            if not TRIES[name]:
                del TRIES[name]


def init_limits(app: Flask) -> None:
    app.teardown_request(end_tries)


@refusing
def is_off() -> bool:
    """Whether the installation has no rate limits: `RATELIMIT_ENABLED`, else the admin's setting."""
    return not Setting.get("ratelimit_enabled")


@refusing
def this_network() -> str:
    return network()


@refusing
def typed_mailbox() -> str:
    """The mailbox that the form names, in the one spelling that the view compares by."""
    return mailbox(request.form.get("email"))


@refusing
def this_person() -> str:
    return f"person-{current_user.user_id}" if current_user.is_authenticated else network()


def was_refused(response: Response) -> bool:
    return response.status_code >= 400


def was_taken(response: Response) -> bool:
    return not was_refused(response)


def by_machine(limits: str, *, counts: Callable[[Response], bool] | None = None, method: str = "POST") -> Decorator:
    """At most so many requests of a method from one network address; of all, or of those whose answer `counts`."""
    return limiter.limit(limits, key_func=this_network, methods=[method], exempt_when=is_off, deduct_when=counts)


def by_mailbox(limits: str, *, counts: Callable[[Response], bool] | None = None) -> Decorator:
    """At most so many POSTs that name one mailbox, from wherever."""
    key = few_at_once(typed_mailbox) if counts else typed_mailbox
    return limiter.limit(limits, key_func=key, methods=["POST"], exempt_when=is_off, deduct_when=counts)


def by_person(limits: str) -> Decorator:
    """At most so many POSTs of one who is signed in, from wherever."""
    return limiter.limit(limits, key_func=this_person, methods=["POST"], exempt_when=is_off)


def dear(view: Any) -> Any:
    """A page that may take seconds of the processor: of one person three at once, and half of each minute in all."""
    person_of_few = few_at_once(this_person)

    @wraps(view)
    def measured(*args: Any, **kwargs: Any) -> Any:
        if is_off():
            return view(*args, **kwargs)
        who = person_of_few()
        if not has_room(TENTHS, "processor", who):
            raise TooManyRequests(retry_after=60)
        began = time.thread_time()
        try:
            return view(*args, **kwargs)
        finally:
            spent = int((time.thread_time() - began) * 10)
            for _tenth in range(spent):  # one by one: a cost above what is left would not be counted at all
                if is_over(TENTHS, "processor", who):
                    break

    return measured


def keep_wait(response: Response) -> Response:
    """Retry-After is what the error says, else when the limit lets go, rounded up; an answer has none.

    Flask-Limiter cuts parts of a second, and makes the wait of any other refusal as long as its limit's.
    """
    limit, wait = limiter.current_limit, g.pop("retry_after", None)
    if wait is None and limit is not None and limit.breached:
        wait = seconds_until(datetime.fromtimestamp(limit.reset_at, UTC), utcnow())
    if wait is not None:
        response.headers["Retry-After"] = str(wait)
    elif limit is not None:
        response.headers.pop("Retry-After", None)
    return response


def check_signups() -> None:
    """The setting of sign-ups a day, all network addresses together: held, so that no two count the same one."""
    db.session.execute(update(Plan).where(Plan.is_default).values(id=Plan.id))
    now = utcnow()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if User.signed_up_since(midnight) >= Setting.get("signups_per_day"):
        tomorrow = midnight + timedelta(days=1)
        raise TooManyRequests(retry_after=seconds_until(tomorrow, now))
