"""How often an account may call, and how often it may ask a model. security.md 11."""

from typing import Any

from flask_login import current_user

from app.api.blueprint import api
from app.extensions import limiter
from app.web.guest_session import bounded_for_guests, is_no_guest
from app.web.json_body import sent_object
from app.web.network_address import network
from app.web.rate_limits import is_off, refusing

CALLS = "1200 per minute"
SENDS = "300 per minute"


@refusing
def actor_key() -> str:
    """One person or key of an account; whoever is not signed in counts by network address."""
    if not current_user.is_authenticated:
        return network()
    return f"account-{current_user.account_id}-{current_user.user_id}"


@refusing
def account_key() -> str:
    return f"account-{current_user.account_id}" if current_user.is_authenticated else network()


limiter.limit(CALLS, key_func=actor_key, exempt_when=is_off)(api)
sends = limiter.shared_limit(SENDS, scope="sends", key_func=account_key, exempt_when=is_off)
guests_sends, guests_chats = bounded_for_guests("guest sends"), bounded_for_guests("guest chats")


def is_without_message() -> bool:
    """Whether a chat is begun empty: then nothing is asked of a model yet."""
    return not sent_object().get("content")


@refusing
def is_off_or_without_message() -> bool:
    return is_off() or is_without_message()


@refusing
def is_no_guest_or_without_message() -> bool:
    return is_no_guest() or is_without_message()


def first_sends(view: Any) -> Any:
    """The same limits for a chat that begins with its first message."""
    of_guests = bounded_for_guests("guest sends", exempt_when=is_no_guest_or_without_message)
    of_all = limiter.shared_limit(SENDS, scope="sends", key_func=account_key, exempt_when=is_off_or_without_message)
    return of_guests(of_all(view))


def limited_sends(view: Any) -> Any:
    """For the routes that ask a model: together at most so many a minute of one account, and a few of a guest."""
    return guests_sends(sends(view))
