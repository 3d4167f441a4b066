"""Sign-in by OpenID Connect, where the environment names a provider: OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET.

A person is known by the provider and its `sub`; at the first sign-in by an address that both sides have confirmed.
"""

import secrets
from typing import Any

from flask import Flask, abort, current_app, flash, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError

from app import mailer
from app.auth.forms import ConfirmedForm, faults
from app.auth.invitations import invitation_in
from app.auth.settings import done, settings_page
from app.auth.signup_login import may_sign_up, needs_invitation, open_account
from app.extensions import db
from app.lazy_import import LazyImport
from app.models.identity.email_address import LONGEST_NAME, checked_address, holds_address, one_line
from app.models.identity.user import User
from app.web.access import public
from app.web.blueprints import auth
from app.web.browser_session import await_code, hold_person, onwards, same_site, sign_in
from app.web.rate_limits import by_machine, by_person, check_signups
from app.web.security_events import note

flask_client = LazyImport("authlib.integrations.flask_client")
requests, errors = LazyImport("requests"), LazyImport("joserfc.errors")
TARGET = "where to go after the provider"
PATIENCE, TRIES_KEPT = 10, 4
FAILED = "Sign-in with {name} didn't work. Try again, or use your password."
UNCONFIRMED = "{name} hasn't confirmed that email address. Confirm it there, or use a password here."
TAKEN = "There's an account with this email, which isn't confirmed yet. Sign in with your password and confirm it."
CLOSED = "Sign-up is by invitation here."


class NoEntry(Exception):
    """The provider knows the person, and they do not come in; the words say why."""


def init_oidc(app: Flask) -> None:
    if not app.config["OIDC_ISSUER"]:
        return
    app.extensions["oidc"] = flask_client.OAuth(app).register(
        "oidc",
        client_id=app.config["OIDC_CLIENT_ID"],
        client_secret=app.config["OIDC_CLIENT_SECRET"],
        server_metadata_url=f"{app.config['OIDC_ISSUER']}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email profile", "code_challenge_method": "S256", "timeout": PATIENCE},
    )


def provider() -> Any:
    return current_app.extensions.get("oidc") or abort(404)


def issuer() -> str:
    """The provider in use: a `sub` is somebody at this one alone."""
    return str(current_app.config["OIDC_ISSUER"]).rstrip("/")


def refused(message: str) -> ResponseReturnValue:
    flash(message.format(name=current_app.config["OIDC_NAME"]), "error")
    return redirect(url_for("auth.login"))


@auth.get("/login/oidc")
@public
@by_machine("60 per minute; 600 per hour", method="GET")
def oidc_login() -> ResponseReturnValue:
    """Over to the provider; state, nonce and the PKCE verifier wait in this browser's session."""
    service = provider()
    # Keep the newest few sign-ins begun in this browser: each takes 180 bytes of a cookie that holds 4,000.
    tries = (name for name in session if name.startswith("_state_oidc_"))
    for name in sorted(tries, key=lambda name: float(session[name]["exp"]))[:-TRIES_KEPT]:
        session.pop(name)
    session[TARGET] = same_site(request.args.get("next"))
    try:
        answer: ResponseReturnValue = service.authorize_redirect(mailer.link("auth.oidc_callback"))
    except (flask_client.OAuthError, requests.RequestException):
        return refused(FAILED)
    return answer


@auth.get("/login/oidc/callback")
@public
@by_machine("60 per minute; 600 per hour", method="GET")
def oidc_callback() -> ResponseReturnValue:
    """Back with a code, which is worth something only together with what waits in this browser's session."""
    try:
        claims = claims_of(provider())
    except (flask_client.OAuthError, requests.RequestException, errors.JoseError, ValueError, KeyError) as error:
        note("sign-in failed", reason=type(error).__name__, detail=str(error)[:200])
        return refused(FAILED)
    target = session.pop(TARGET, None)
    try:
        user = person_of(claims, target)
    except NoEntry as reason:
        note("sign-in failed")
        return refused(str(reason))
    if user.totp_secret:
        db.session.commit()
        await_code(user)
        return redirect(url_for("auth.login_code", next=target))
    sign_in(user)
    note("sign-in", user.id)
    return onwards(target)


@auth.post("/settings/oidc/remove")
@by_person("30 per hour")
def remove_oidc() -> ResponseReturnValue:
    """The provider signs this person in no more, until they choose it again with an address that both sides know."""
    form = ConfirmedForm()
    if not form.validate_on_submit():
        return settings_page(faults(form), section="oidc"), 400
    hold_person().oidc_subject = None
    db.session.commit()
    note("provider removed")
    return done(f"{current_app.config['OIDC_NAME']} is disconnected.")


def claims_of(service: Any) -> dict[str, Any]:
    """What the provider says about the person: in the token that it signed, and where it says more elsewhere."""
    token = service.authorize_access_token()
    signed = dict(token["userinfo"])
    more = {} if "email" in signed else dict(service.userinfo(token=token))
    if str(signed.get("iss")).rstrip("/") != issuer():
        raise ValueError("another provider signed")
    if more and more["sub"] != signed["sub"]:
        raise ValueError("the provider speaks of two people")
    return more | signed


def person_of(claims: dict[str, Any], target: str | None) -> User:
    """Whom the provider means, held until the transaction ends: known, bound now, or new. NoEntry for nobody."""
    subject, email = f"{issuer()} {claims['sub']}", checked_address(str(claims.get("email") or ""))
    known = User.by(oidc_subject=subject)
    if known is None and (not email or claims.get("email_verified") is not True):
        raise NoEntry(UNCONFIRMED)
    user = known or User.with_email(email or "")
    if user is None:
        return new_person(subject, email or "", str(claims.get("name") or ""), target)
    if user.disabled_at or not user.lock_as_checked():
        raise NoEntry(FAILED)
    if known is None:
        bind(user, subject)
    return user


def bind(user: User, subject: str) -> None:
    """From now on this person at the provider is that user, also in place of one at a provider used before.

    Not with an unconfirmed address, with which a stranger may have signed up.
    """
    if not user.is_verified or (user.oidc_subject or "").startswith(f"{issuer()} "):
        raise NoEntry(TAKEN)
    user.oidc_subject = subject


def new_person(subject: str, email: str, name: str, target: str | None) -> User:
    invitation = invitation_in(target)
    if not may_sign_up(invitation) or (invitation and needs_invitation() and invitation.email != email):
        raise NoEntry(CLOSED)
    shown = one_line(name)[:LONGEST_NAME]
    user = User.joining(email, "" if holds_address(shown) else shown, secrets.token_urlsafe(32))
    check_signups()
    user.oidc_subject = subject
    user.verify_email()
    try:
        open_account(user)
    except IntegrityError as race:
        db.session.rollback()
        raise NoEntry(FAILED) from race
    return user
