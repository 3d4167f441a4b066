"""Sign-up, sign-in and sign-out."""

import secrets

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.exc import IntegrityError

from app import mailer
from app.auth.email_links import post_verification
from app.auth.forms import LoginForm, SignupForm, faults
from app.auth.invitations import invitation_in
from app.extensions import db
from app.models.billing.allowance_refill import give_free_credits
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.guest_account import accepts_guests
from app.models.identity.invitation import Invitation
from app.models.identity.user import ERASED, User
from app.notifications.people_mails import of_welcome
from app.web.access import in_any_account, public
from app.web.blueprints import auth
from app.web.browser_session import await_code, onwards, same_site, sign_in, sign_out
from app.web.rate_limits import by_machine, by_mailbox, check_signups, was_refused, was_taken
from app.web.security_events import note

WRONG = "That email and password don't match. Try again, or reset your password."
LOOK_AT_MAIL = "Check your email to continue."
NOT_INVITED = "This invitation is for another email. Use the one it was sent to."


@auth.route("/signup", methods=["GET", "POST"])
@public
@by_machine("60 per hour")
@by_machine("20 per day", counts=was_taken)
def signup() -> ResponseReturnValue:
    """A new person with an account of their own, signed in. A known address is answered alike, and told by mail."""
    form, target = SignupForm(), same_site(request.values.get("next"))
    invitation = invitation_in(target)
    if current_user.is_authenticated and request.method == "GET":
        return onwards(target)
    if not may_sign_up(invitation):
        return signup_page(form, target, invitation), 403 if form.is_submitted() else 200
    if not form.validate_on_submit():
        return signup_page(form, target, invitation), 400 if form.is_submitted() else 200
    if needs_invitation() and invitation and invitation.email != form.email.data:
        form.email.errors = [NOT_INVITED]
        return signup_page(form, target, invitation), 400
    user = sign_up(form, invitation)
    if user is None:
        flash(LOOK_AT_MAIL, "message")
    else:
        sign_in(user)
        note("sign-up", user.id)
    return onwards(target)


def needs_invitation() -> bool:
    return bool(Setting.get("registration") == "invite")


def may_sign_up(invitation: Invitation | None) -> bool:
    registration = Setting.get("registration")
    return registration == "open" or (registration == "invite" and invitation is not None)


def signup_page(form: SignupForm, target: str | None, invitation: Invitation | None) -> str:
    shown = invitation and {"account_name": invitation.account.name, "email": invitation.email}
    return render_template(
        "auth/signup.html",
        errors=faults(form),
        values={"name": form.name.data, "email": form.email.data},
        next=target,
        is_closed=not may_sign_up(invitation),
        invitation=shown,
    )


def sign_up(form: SignupForm, invitation: Invitation | None) -> User | None:
    """The new user, committed; None where the address has an account, whose owner is told by mail.

    The same work is done for both; for a known address it is undone.
    """
    known = User.with_email(form.email.data)
    address = f"{secrets.token_hex(8)}{ERASED}" if known else form.email.data
    user = User.joining(address, form.name.data, form.password.data)
    check_signups()
    if invitation and invitation.email == user.email:
        user.verify_email()
    try:
        open_account(user)
    except IntegrityError:
        db.session.rollback()
        return None
    if known:
        db.session.rollback()
        mailer.post(f"signup:{secrets.token_hex(8)}", form.email.data, "already_registered", user_id=known.id)
    db.session.commit()
    return None if known else user


def open_account(user: User) -> None:
    """IntegrityError where the same mailbox was signed up by another request just now."""
    db.session.add(user)
    db.session.flush()
    account = Account.open(user)
    give_free_credits(account)
    if user.is_verified:
        of_welcome(user, account)
    else:
        post_verification(user)


@auth.route("/login", methods=["GET", "POST"])
@public
@by_machine("30 per minute; 300 per hour")
@by_mailbox("10 per 15 minutes", counts=was_refused)
def login() -> ResponseReturnValue:
    form, target = LoginForm(), same_site(request.values.get("next"))
    if current_user.is_authenticated and request.method == "GET":
        return onwards(target)
    if form.validate_on_submit():
        user = User.authenticate(form.email.data, form.password.data)
        if user and user.totp_secret:
            await_code(user)
            return redirect(url_for("auth.login_code", next=target))
        if user and user.lock_as_checked():
            sign_in(user)
            note("sign-in", user.id)
            return onwards(target)
        note("sign-in failed")
        form.form_errors.append(WRONG)
    status = 400 if form.is_submitted() else 200
    shown = {"values": {"email": form.email.data}, "is_open_to_guests": accepts_guests()}
    return render_template("auth/login.html", errors=faults(form), next=target, **shown), status


@auth.post("/logout")
@in_any_account
def logout() -> ResponseReturnValue:
    sign_out()
    return redirect(url_for("pages.index"))
