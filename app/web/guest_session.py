"""Guests: visitors who try the chat without an account. The signed cookie says whose chats are whose."""

from collections.abc import Callable
from typing import Any

from flask import session

from app.extensions import limiter
from app.models.catalog.setting import Setting
from app.models.chat.chat import Chat
from app.models.identity.user import User, digest
from app.models.metering.refusal import Refusal
from app.web.access import GUEST, is_guest
from app.web.rate_limits import Decorator, refusing, this_network

WAS_GUEST = "was_guest"
"""In a person's session: the mark of the guest whose chats became theirs."""


def guest_mark(guest: str) -> str:
    """What the browser keeps a guest's drafts under; `guest` is the digest of the secret."""
    return f"guest {guest[:12]}"


def claim_chats(user: User) -> str:
    """What this browser asked as a guest becomes the person's own; returns the guest's mark, "" for no guest."""
    secret = session.get(GUEST)
    if not secret:
        return ""
    Chat.hand_over(digest(secret), account_id=user.home_id, user_id=user.id)
    return guest_mark(digest(secret))


def for_guests(refusal: Refusal) -> Refusal:
    """The same refusal without the figures of the guest account, with the way out that a guest has."""
    details: dict[str, Any] = {"resets_at": refusal.details.get("resets_at"), "way_out": "signup"}
    return Refusal(refusal.code, retry_after=refusal.retry_after, **details)


@refusing
def guest_messages() -> str:
    return f"{Setting.get('guest_messages')} per day"


@refusing
def is_no_guest() -> bool:
    return not is_guest()


def bounded_for_guests(scope: str, *, exempt_when: Callable[[], bool] = is_no_guest) -> Decorator:
    """So many a day by one network address; part of what is offered, so on even where rate limits are off."""
    return limiter.shared_limit(
        guest_messages,
        scope=scope,
        key_func=this_network,
        exempt_when=exempt_when,
        error_message="guest_limit_reached",
    )
