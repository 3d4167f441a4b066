"""Guests: visitors who try the chat without an account. The signed cookie says whose chats are whose."""

from __future__ import annotations

import secrets

from flask import redirect, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.auth.blueprint import auth
from app.web.access import GUEST, is_guest, public
from app.web.rate_limits import Decorator, network
from app.extensions import db, limiter
from app.models.chat.chat import Chat
from app.models.identity.guest_account import open_house, welcomes_guests
from app.models.metering.refusal import Refusal
from app.models.catalog.setting import Setting
from app.models.identity.user import User, digest

KEPT = "Sign up, it is free: this chat comes with you."
USED_UP = f"The messages that one may send without an account are used. {KEPT}"
WORDS = {
    "guest_limit_reached": USED_UP,
    "daily_limit_reached": f"All that visitors may try today is used up. {KEPT}",
    "credits_reserved": f"Other visitors' answers hold what is left to try today. Wait a few seconds. {KEPT}",
    "too_many_calls": f"Many visitors are trying this right now. Wait a few seconds. {KEPT}",
    "request_too_large": f"This is longer than what is left to try today. Shorten it. {KEPT}",
    "model_not_allowed": f"That model is for people with an account. {KEPT}",
}
CLOSED = f"Trying without an account rests for the moment. {KEPT}"


@auth.post("/try")
@public
def try_out() -> ResponseReturnValue:
    """A visitor becomes a guest, where guests are welcome."""
    if not current_user.is_authenticated and welcomes_guests():
        open_house()
        db.session.commit()
        session.setdefault(GUEST, secrets.token_urlsafe(24))
        session.permanent = True
    return redirect(url_for("chat.show"))


def claim_chats(user: User) -> None:
    """What this browser asked as a guest becomes the person's own."""
    secret = session.get(GUEST)
    if secret:
        Chat.hand_over(digest(secret), account_id=user.home_id, user_id=user.id)


def in_words_for_guests(refusal: Refusal) -> Refusal:
    """The same refusal without the figures of the house, with the way out that a guest has."""
    words = WORDS.get(refusal.code, CLOSED)
    facts = {"resets_at": refusal.facts.get("resets_at"), "way_out": "signup"}
    return Refusal(refusal.code, words, retry_after=refusal.retry_after, **facts)


def guest_messages() -> str:
    return f"{Setting.get('guest_messages')} per day"


def is_no_guest() -> bool:
    return not is_guest()


def bounded_for_guests(scope: str) -> Decorator:
    """So many a day by one network address; part of what is offered, so on even where rate limits are off."""
    return limiter.shared_limit(
        guest_messages, scope=scope, key_func=network, exempt_when=is_no_guest, error_message=USED_UP
    )
