"""Who may go where: signed in, by role, by form token. Public rules are named; all others need a caller."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Flask, Request, abort, current_app, request
from flask_login import current_user

from app.extensions import csrf, db, login
from app.models.api_key import ApiKey
from app.models.caller import Caller

View = TypeVar("View", bound=Callable[..., Any])


class NotSignedIn(Exception):
    """The request needs a signed-in session or a valid API key."""


def public(view: View) -> View:
    """Mark a view as open to everybody; every other view needs a caller."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def takes_foreign_posts(view: View) -> View:
    """Mark a public view whose senders prove themselves otherwise (a signature): no form token."""
    view.is_public = view.takes_foreign_posts = True  # type: ignore[attr-defined]
    return view


def managers_only(view: View) -> View:
    """Only owners and admins of the account."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if not current_user.can_manage:
            abort(403)
        return view(*args, **kwargs)

    return cast(View, guarded)


def init_guards(app: Flask) -> None:
    login.init_app(app)
    login.session_protection = None
    csrf.init_app(app)
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.before_request(check_caller)


def check_caller() -> None:
    """Every request: a caller where the view is not public, and a form token where a cookie signed it in."""
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None:
        return
    is_public = getattr(view, "is_public", False) or request.endpoint == "static"
    if not is_public and not current_user.is_authenticated:
        raise NotSignedIn("Sign in first, or send an API key as `Authorization: Bearer <key>`.")
    if not getattr(view, "takes_foreign_posts", False) and not bearer():
        csrf.protect()


def bearer() -> str | None:
    """The API key of the request, where it carries one: programs have the JSON doors, the pages are for people."""
    if not request.path.startswith("/api/"):
        return None
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


@login.user_loader
def load_from_session(secret: str) -> Caller | None:
    """A request that carries a key is the key's, never the cookie's."""
    return None if bearer() else Caller.of_session(secret)


@login.request_loader
def load_from_key(_request: Request) -> Caller | None:
    secret = bearer()
    caller = Caller.of_key(secret) if secret else None
    if caller and caller.api_key_id and ApiKey.note_use(caller.api_key_id, caller.key_used_at):
        db.session.commit()
    return caller
