"""Signing in and out: the browser's session, and where it may be sent on to."""

from datetime import timedelta
from urllib.parse import unquote

from flask import redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user

from app.extensions import db
from app.models.base import utcnow
from app.models.identity.actor import Actor
from app.models.identity.two_factor import remember
from app.models.identity.user import User, UserSession, digest
from app.web.access import NotSignedIn
from app.web.guest_session import WAS_GUEST, claim_chats
from app.web.known_browser import told_if_new

WAITING = "second factor awaited"
CODE_WITHIN = 600
JUST_NOW = timedelta(minutes=10)


def same_site(target: str | None) -> str | None:
    """The path to go on to, where it is one of this site's own; None for any other, however it is written."""
    if not target or len(target) > 2000:
        return None
    for spelling in (target, unquote(target), unquote(unquote(target))):
        if spelling[:1] != "/" or spelling[1:2] in {"/", "\\"} or not spelling.isprintable():
            return None
    return target


def sign_in(user: User, *, with_second_factor: bool = False) -> None:
    """Begin a session of who has proven who they are; where this browser is new to them, they are told by mail."""
    told_if_new(user)
    begin_session(user)
    if with_second_factor:
        remember(current_user.session_secret)
        db.session.commit()


def begin_session(user: User, account_id: int | None = None) -> None:
    """A new session in the database and, once that is committed, in the cookie: nothing of the one before stays.

    It acts on the account, or on the user's own. What this browser asked as a guest becomes the user's.
    """
    if current_user.is_authenticated:
        end_session()
    agent = request.headers.get("User-Agent", "")
    secret = UserSession.begin(user, account_id or user.home_id, user_agent=agent)
    guest = claim_chats(user)
    db.session.commit()
    session.clear()
    if guest:
        session[WAS_GUEST] = guest
    session.permanent = True
    login_user(Actor.of_session(secret))


def await_code(user: User) -> None:
    """The password was right; the session begins with the second factor, within ten minutes."""
    session[WAITING] = [user.id, digest(user.password_hash), int(utcnow().timestamp())]


def who_waits() -> User | None:
    """Whose second factor this browser is asked for; nobody's once the password is another."""
    user_id, credential, since = session.get(WAITING) or (0, "", 0)
    if utcnow().timestamp() - since > CODE_WITHIN:
        return None
    user = db.session.get(User, user_id)
    is_same = user is not None and user.disabled_at is None and digest(user.password_hash) == credential
    return user if is_same else None


def end_session() -> None:
    """Delete the session's row: from now on a copy of the cookie is worth nothing."""
    own = own_session()
    if own:
        db.session.delete(own)


def own_session() -> UserSession | None:
    """The row of the browser that asks; None where another request has just ended it."""
    return UserSession.with_secret(current_user.session_secret)


def hold_person() -> User:
    """Who asks, held until the transaction ends. NotSignedIn where their session ended since the request began.

    Whoever makes or changes a credential calls this before: else it would outlive a new password that ends them all.
    """
    User.hold(current_user.user_id)
    if own_session() is None:
        raise NotSignedIn("You've been signed out. Sign in again.")
    user: User = current_user.user
    db.session.refresh(user)
    return user


def has_just_signed_in() -> bool:
    """Whether this browser's session is so new that its person need not say the password again."""
    own = own_session()
    return own is not None and own.created_at > utcnow() - JUST_NOW


def sign_out() -> None:
    end_session()
    db.session.commit()
    logout_user()
    session.clear()


def onwards(target: str | None = None) -> ResponseReturnValue:
    """To where the person wanted to go, or to the chat."""
    return redirect(same_site(target) or url_for("chat.show"))
