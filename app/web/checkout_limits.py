"""How many checkouts an account may begin. security.md 11."""

from collections.abc import Callable
from typing import Any

from flask import Response, g, request
from flask_login import current_user

from app.extensions import limiter
from app.web.json_body import sent_object
from app.web.rate_limits import few_at_once, is_off, refusing, this_network

WRONG_CODE = "wrong_code"


def by_account(limits: str) -> Callable[[Any], Any]:
    """At most so many checkouts of one account, whatever for and by whatever door."""
    return limiter.shared_limit(limits, scope="checkout", key_func=account_key, methods=["POST"], exempt_when=is_off)


def wrong_codes(view: Any) -> Any:
    """At most so many promotional codes that cannot be used: of an account, and of a network whoever asks."""
    by_network = limited_codes("30 per hour", this_network)
    return limited_codes("10 per hour", few_at_once(account_or_network))(by_network(view))


def limited_codes(limits: str, key: Callable[[], str]) -> Callable[[Any], Any]:
    return limiter.shared_limit(
        limits,
        scope=f"codes {limits}",
        key_func=key,
        exempt_when=is_off_or_without_code,
        deduct_when=was_wrong,
    )


@refusing
def is_off_or_without_code() -> bool:
    """Whether nothing is tried: most who open a page with a field for a code type none."""
    typed = sent_object().get("code") or request.values.get("code")
    return is_off() or not (typed or (request.view_args or {}).get("code"))


def was_wrong(_response: Response) -> bool:
    return bool(g.get(WRONG_CODE))


def note_wrong_code() -> None:
    """The request named a code that cannot be used: it counts."""
    setattr(g, WRONG_CODE, True)


@refusing
def account_or_network() -> str:
    return account_key() if current_user.is_authenticated else this_network()


@refusing
def account_key() -> str:
    return f"account-{current_user.account_id}"
