"""Who may go where: signed in, by role, by form token. Public rules are named; all others need a caller."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Flask, Request, abort, current_app, g, request, session
from flask_login import current_user

from app.extensions import csrf, db, login
from app.models.chat.chat import Chat
from app.models.documents.document import Document, own
from app.models.identity.actor import Actor
from app.models.identity.api_key import OWNERS_SCOPES, ApiKey
from app.models.identity.guest_account import guest_actor
from app.models.identity.membership import Membership
from app.models.metering.refusal import Conflict
from app.web.security_events import note_forbidden
from app.web.session_cookie import SessionCookies

View = TypeVar("View", bound=Callable[..., Any])
GATEWAY = "/v1/"
SAFE = {"GET", "HEAD", "OPTIONS"}
GUEST = "guest"
"""Where the cookie keeps a guest's secret."""


class NotSignedIn(Exception):
    """The request needs a signed-in session or a valid API key."""


def public(view: View) -> View:
    """Mark a view as open to everybody; every other view needs a caller."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def for_guests_too(view: View) -> View:
    """Mark a view as open to guests beside those who are signed in; what it shows and does is the caller's own."""
    view.is_for_guests = True  # type: ignore[attr-defined]
    return view


def in_any_account(view: View) -> View:
    """Mark a view that is the same whatever account the page that asks was shown for."""
    view.is_in_any_account = True  # type: ignore[attr-defined]
    return view


def takes_foreign_posts(view: View) -> View:
    """Mark a public view whose senders prove themselves otherwise (a signature): no form token."""
    view.is_public = view.takes_foreign_posts = True  # type: ignore[attr-defined]
    return view


class KeyMayNot(Exception):
    """The request needs a scope that its key does not have; "session" is what no key has."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        way_out = "Sign in for that." if scope == BY_PEOPLE else f"Make one with the scope `{scope}`."
        super().__init__(f"This key isn't allowed to do that. {way_out}")


BY_PEOPLE = "session"


def for_scope(scope: str) -> Callable[[View], View]:
    """Say what a key needs here: "buy", "read" for a POST that changes nothing, or "session": no key may."""

    def mark(view: View) -> View:
        view.scope = scope  # type: ignore[attr-defined]
        return view

    return mark


def scope_of(view: Any, method: str) -> str:
    """What a key needs: as the view says; else "read" to look, and "spend" for all that changes something."""
    return str(getattr(view, "scope", "read" if method in SAFE else "spend"))


def only_where(may: Callable[[], bool]) -> Callable[[View], View]:
    """Refuse a view to callers who may not."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if not may():
                abort(403)
            return view(*args, **kwargs)

        return cast(View, guarded)

    return guard


managers_only = only_where(lambda: bool(current_user.can_manage))
"""Only owners and admins of the account."""


def init_guards(app: Flask) -> None:
    app.session_interface = SessionCookies()
    login.init_app(app)
    login.session_protection = None
    csrf.init_app(app)
    app.after_request(note_forbidden)
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.before_request(check_actor)


def check_actor() -> None:
    """Every request: a caller where the view is not public, and a form token where a cookie signed it in."""
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or is_preflight():
        return
    is_public = getattr(view, "is_public", False) or request.endpoint == "static"
    if not is_public and not current_user.is_authenticated and not is_guest():
        raise NotSignedIn("Sign in first, or send an API key as `Authorization: Bearer <key>`.")
    if not getattr(view, "takes_foreign_posts", False) and not bearer() and not takes_keys_only():
        csrf.protect()
    if not is_public and not getattr(view, "is_in_any_account", False):
        check_shown_account()
    if not is_public:
        g.share = f"account-{current_user.account_id}"
        check_scope(scope_of(view, request.method))


def check_shown_account() -> None:
    """Conflict where the page that asks was shown for another account: its person switched in another tab since, or
    is no longer in that team."""
    if bearer():  # a program shows no page, and what it sends may be called a form and be none
        return
    shown = request.headers.get("X-Account") or (request.method == "POST" and request.form.get("shown_account"))
    if shown and shown != str(current_user.account_id):
        raise Conflict("other_account", context={"account": current_user.account.title})


def check_scope(needed: str) -> None:
    """Keys may what their scopes say; people may what their role does, but what is for programs alone."""
    scopes = getattr(current_user, "scopes", None)
    if scopes is None and needed in OWNERS_SCOPES:
        abort(403)
    if scopes is not None and needed not in scopes:
        raise KeyMayNot(needed)


def is_guest() -> bool:
    return getattr(current_user, "guest", None) is not None


def bearer() -> str | None:
    """The API key of the request, where it carries one: programs have the API, the pages are for people.

    At the gateway's addresses the vendors' own header counts too.
    """
    if not request.path.startswith(("/api/", GATEWAY)):
        return None
    if token := sent_token():
        return token
    return (request.headers.get("X-Api-Key", "").strip() or None) if takes_keys_only() else None


def sent_token() -> str:
    """What stands behind `Bearer` in the request's Authorization; empty for none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def takes_keys_only() -> bool:
    """The gateway knows no cookies."""
    return request.path.startswith(GATEWAY)


def is_preflight() -> bool:
    """A browser asks without a key whether a page's program may call the gateway; no view answers that."""
    return request.method == "OPTIONS" and takes_keys_only()


@login.user_loader
def load_from_session(secret: str) -> Actor | None:
    """A request that carries a key is the key's, never the cookie's."""
    return None if bearer() or takes_keys_only() else Actor.of_session(secret)


@login.request_loader
def load_from_key(_request: Request) -> Actor | None:
    secret = bearer()
    view = current_app.view_functions.get(request.endpoint or "")
    if secret is None and GUEST in session and getattr(view, "is_for_guests", False):
        return guest_actor(session[GUEST])
    actor = Actor.of_key(secret) if secret else None
    if actor and actor.api_key_id and ApiKey.note_use(actor.api_key_id, actor.key_used_at):
        db.session.commit()
    return actor


def own_membership() -> Membership:
    """The caller's own membership of the account that they are in, as it is now."""
    return Membership.of(current_user.user_id, current_user.account_id) or abort(404)


def own_chat(chat_id: str | int | None) -> Chat:
    """One of the caller's chats, a guest's too; 404 for any other."""
    return Chat.find(chat_id or "", **current_user.owns) or abort(404)


def own_document(document_id: str | int) -> Document:
    """One of the caller's documents; 404 for any other."""
    return Document.find(document_id, **own(current_user)) or abort(404)
