"""A forgotten password, and the proof that an address is one's own: links by mailer."""

import secrets

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.exc import IntegrityError

from app import mailer
from app.auth.email_links import post_verification
from app.auth.forms import ForgotForm, ResetForm, faults
from app.extensions import db
from app.models.billing.allowance_refill import give_free_credits
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.models.identity.erasure import carry_over
from app.models.identity.passkey import Passkey
from app.models.identity.two_factor import forget
from app.models.identity.user import MailedToken, User
from app.notifications.people_mails import of_welcome
from app.web.access import public
from app.web.blueprints import auth
from app.web.rate_limits import by_machine, by_mailbox
from app.web.security_events import note

SENT = "We've sent the link. It works once, for an hour."
SAVED = "Password saved. You're signed out everywhere. API keys are revoked and passkeys removed unless you kept them."


@auth.route("/password/forgot", methods=["GET", "POST"])
@public
@by_machine("20 per hour")
@by_mailbox("5 per hour")
def forgot() -> ResponseReturnValue:
    """The same answer, after the same work, for every address: only the worker looks whether there is a user."""
    form = ForgotForm()
    if form.validate_on_submit():
        mailer.post(f"reset:{secrets.token_hex(8)}", form.email.data, "reset")
        db.session.commit()
        return redirect(url_for("auth.forgot", sent=1), 303)
    shown = {"values": {"email": form.email.data}, "is_sent": "sent" in request.args}
    return render_template("auth/forgot.html", errors=faults(form), **shown), 400 if form.errors else 200


@auth.route("/password/reset/<token>", methods=["GET", "POST"])
@public
@by_machine("30 per hour")
def reset(token: str) -> ResponseReturnValue:
    form, mailed = ResetForm(), MailedToken.find_live(token, "reset")
    if mailed is None:
        return render_template("auth/reset.html", errors={}, token="", is_dead=True), 404
    if not form.validate_on_submit():
        status = 400 if form.errors else 200
        return render_template(
            "auth/reset.html",
            errors=faults(form),
            token=token,
            is_dead=False,
            has_keys=mailed.user.is_verified and ApiKey.count_of(mailed.user_id) > 0,
            has_passkeys=mailed.user.is_verified and Passkey.count_of(mailed.user_id) > 0,
        ), status
    if not redeem(mailed, form):
        return render_template("auth/reset.html", errors={}, token="", is_dead=True), 404
    db.session.commit()
    flash(SAVED, "good")
    return redirect(url_for("auth.login"))


def redeem(token: MailedToken, form: ResetForm) -> bool:
    """Set the password of the token's user, whose mailbox is proven by it; keys and passkeys end, unless kept.

    Where nobody had proven it before, a stranger may have signed up with it: none of theirs is kept, nor is their
    second factor. False where the token was just used.
    """
    user, account = token.user, Account.locked(token.user.home_id)
    if not token.use():
        return False
    user.set_password(form.password.data)
    if not user.is_verified:
        forget(user)
    stopped = 0 if form.keep_keys.data and user.is_verified else ApiKey.revoke_all_of(user.id)
    removed = 0 if form.keep_passkeys.data and user.is_verified else Passkey.remove_all_of(user.id)
    note("password reset", user.id, keys_revoked=stopped, passkeys_removed=removed)
    user.verify_email()
    give_free_credits(account)
    return True


@auth.get("/email/verify/<token>")
@public
def verify(token: str) -> ResponseReturnValue:
    """In the browser of its own person the link confirms at once; anybody else, a mail scanner too, sees a button."""
    mailed = MailedToken.find_live(token, "verify")
    if mailed is None:
        return dead_link()
    if current_user.is_authenticated and current_user.user_id == mailed.user_id:
        return confirmed(mailed)
    return render_template("auth/verify.html", is_verified=False, is_asking=True)


@auth.post("/email/verify/<token>")
@public
@by_machine("30 per hour")
def confirm(token: str) -> ResponseReturnValue:
    mailed = MailedToken.find_live(token, "verify")
    return confirmed(mailed) if mailed else dead_link()


def confirmed(token: MailedToken) -> ResponseReturnValue:
    """Take the address as the user's own; what waited for it, the allowance and the welcome credit, is given."""
    account = Account.locked(token.user.home_id)
    user, is_new = token.user, not token.user.is_verified
    if not token.use() or not moved(user, token.email):
        db.session.rollback()
        return dead_link()
    user.verify_email()
    give_free_credits(account)
    if is_new:
        of_welcome(user, account)
    db.session.commit()
    return render_template("auth/verify.html", is_verified=True, is_asking=False)


def moved(user: User, address: str) -> bool:
    """Whether the user has that address now; not where it became another's meanwhile."""
    former = user.email
    if former == address:
        return True
    try:
        user.change_email(address)
        db.session.flush()
    except IntegrityError:
        return False
    mailer.post(f"moved:{secrets.token_hex(8)}", former, "address_changed", name=user.name, new=address)
    carry_over(user, former)
    note("address changed", user.id)
    return True


def dead_link() -> ResponseReturnValue:
    return render_template("auth/verify.html", is_verified=False, is_asking=False), 404


@auth.post("/email/verify")
@by_machine("10 per hour")
def send_verification() -> ResponseReturnValue:
    """Mail the link once more."""
    if not current_user.is_verified:
        post_verification(current_user.user)
        db.session.commit()
        flash(SENT, "good")
    return redirect(url_for("auth.settings"))
