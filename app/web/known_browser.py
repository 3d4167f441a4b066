"""Which people have signed in at this browser before: so that a sign-in from a new one is told by mail.

The cookie holds a mark of each, which only this installation can make and nobody can read a name from.
"""

import hmac
import secrets
from datetime import timedelta

from flask import Response, after_this_request, current_app, request

from app import mailer
from app.models.base import utcnow
from app.models.identity.user import User
from app.web.formatting import datetime_text

MOST = 5
LIFETIME = timedelta(days=365)
NEW_PERSON = timedelta(hours=1)
"""Who has just signed up is told of no other browser."""


def told_if_new(user: User) -> None:
    """Have a mail written where this browser is new to the user, and remember it. Within the sign-in's transaction."""
    known, mark = marks(), mark_of(user)
    if mark not in known and user.created_at < utcnow() - NEW_PERSON:
        agent = request.headers.get("User-Agent", "")[:200]
        context = {"name": user.name, "agent": agent, "at": datetime_text(utcnow())}
        mailer.post(f"sign-in:{secrets.token_hex(8)}", user.email, "new_sign_in", user_id=user.id, **context)
    written = ".".join([mark, *(other for other in known if other != mark)][:MOST])

    @after_this_request
    def keep(response: Response) -> Response:
        config = current_app.config
        response.set_cookie(
            cookie_name(),
            written,
            max_age=LIFETIME,
            secure=config["SESSION_COOKIE_SECURE"],
            httponly=True,
            samesite="Lax",
        )
        return response


def marks() -> list[str]:
    return request.cookies.get(cookie_name(), "").split(".")[:MOST]


def mark_of(user: User) -> str:
    key = current_app.config["SECRET_KEY"].encode()
    return hmac.digest(key, f"known browser of {user.id}".encode(), "sha256").hex()[:32]


def cookie_name() -> str:
    return "__Host-known" if current_app.config["SESSION_COOKIE_SECURE"] else "known"
