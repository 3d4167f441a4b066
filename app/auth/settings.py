"""Settings of a person: name, address, password, browsers, keys, and the way out."""

import secrets

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from app import mailer
from app.auth.email_links import post_verification
from app.auth.forms import DeletionForm, EmailForm, PasswordForm, ProfileForm, faults
from app.extensions import db
from app.jobs import JobName, enqueue
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.chat.chat import checked_instructions
from app.models.chat.prompts import checked_prompts
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.models.identity.erasure import delete_person
from app.models.identity.passkey import Passkey
from app.models.identity.user import UserSession
from app.models.metering.key_limit import spent_by_keys
from app.models.metering.refusal import InvalidRequest
from app.web.access import in_any_account
from app.web.blueprints import auth
from app.web.browser_session import begin_session, has_just_signed_in, hold_person, own_session, sign_out
from app.web.form_errors import sentence
from app.web.rate_limits import by_person
from app.web.security_events import note


@auth.get("/settings")
def settings() -> str:
    return settings_page()


def settings_page(errors: dict[str, list[str]] | None = None, *, section: str = "", new_key: str = "") -> str:
    """All settings; `errors` are those of the form `section`, `new_key` a secret that is shown this once."""
    user, browser = current_user.user, own_session()
    mine = select(ApiKey).filter_by(**current_user.own).where(*ApiKey.is_live())
    keys = list(db.session.scalars(mine.order_by(ApiKey.id)))
    spent = spent_by_keys([key.id for key in keys], utcnow())
    return render_template(
        "settings.html",
        user=user,
        sessions=UserSession.live_of(user.id),
        own_session_id=browser.id if browser else None,
        keys=[(key, *spent.get(key.id, (0, 0))) for key in keys],
        models=titles(),
        typed={section: request.form},
        new_key=new_key,
        has_keys=ApiKey.count_of(user.id) > 0,
        passkeys=Passkey.of(user.id),
        is_fresh=has_just_signed_in(),
        errors=errors or {},
        section=section,
    )


def done(text: str) -> ResponseReturnValue:
    flash(text, "good")
    return redirect(url_for("auth.settings"))


@auth.post("/settings/profile")
def change_profile() -> ResponseReturnValue:
    """The personal account is called after its person."""
    form = ProfileForm()
    if not form.validate_on_submit():
        return settings_page(faults(form), section="profile"), 400
    user = current_user.user
    user.name = db.session.get_one(Account, user.home_id).name = form.name.data
    db.session.commit()
    return done("Your name is saved.")


@auth.post("/settings/instructions")
def change_instructions() -> ResponseReturnValue:
    """What the person's chats begin with; those that are there keep their own."""
    try:
        current_user.user.chat_instructions = checked_instructions(request.form.get("system_prompt", ""))
    except InvalidRequest as error:
        return refused(error, "instructions")
    db.session.commit()
    return done("Your instructions are saved.")


@auth.post("/settings/prompts")
def change_prompts() -> ResponseReturnValue:
    """The texts that the person puts into messages; one that was emptied is gone."""
    try:
        current_user.user.prompts = checked_prompts(request.form.getlist("prompt"))
    except InvalidRequest as error:
        return refused(error, "prompts")
    db.session.commit()
    return done("Your prompts are saved.")


def refused(error: InvalidRequest, section: str) -> ResponseReturnValue:
    errors = {name: [sentence(text) for text in texts] for name, texts in error.errors.items()}
    return settings_page(errors, section=section), 400


@auth.post("/settings/email")
@by_person("20 per hour")
def change_address() -> ResponseReturnValue:
    """The new address counts once the link that goes there is followed; until then the old one does."""
    form, user = EmailForm(), current_user.user
    if not form.validate_on_submit():
        return settings_page(faults(form), section="email"), 400
    if form.email.data != hold_person().email:
        post_verification(user, form.email.data)
        db.session.commit()
    return done(f"A link is on its way to {form.email.data}. The address changes when you follow it.")


@auth.post("/settings/password")
@by_person("20 per hour")
def change_password() -> ResponseReturnValue:
    """Every other browser is signed out, and links that were mailed are dead."""
    form, user = PasswordForm(), current_user.user
    if not form.validate_on_submit():
        return settings_page(faults(form), section="password"), 400
    account_id = current_user.account_id
    hold_person()
    user.set_password(form.password.data)
    stopped = 0 if form.keep_keys.data else ApiKey.revoke_all_of(user.id)
    removed = 0 if form.keep_passkeys.data else Passkey.remove_all_of(user.id)
    note("password changed", user.id, keys_revoked=stopped, passkeys_removed=removed)
    mailer.post(f"password:{secrets.token_hex(8)}", user.email, "password_changed", name=user.name)
    begin_session(user, account_id)
    return done(f"The new password is saved. Every other browser is signed out.{told(stopped, removed)}")


def told(stopped: int, removed: int = 0) -> str:
    """How many keys and passkeys went with it, as sentences."""
    keys = f" {stopped} API key{'s' if stopped > 1 else ''} revoked." if stopped else ""
    return keys + (f" {removed} passkey{'s' if removed > 1 else ''} removed." if removed else "")


@auth.post("/settings/sessions/end")
@in_any_account
def end_sessions() -> ResponseReturnValue:
    """Sign out everywhere, here too: programs with the person's keys as well, unless they are to be kept."""
    user = current_user.user
    user.end_sessions()
    stopped = 0 if request.form.get("keep_keys") else ApiKey.revoke_all_of(user.id)
    note("sessions ended", user.id, keys_revoked=stopped)
    sign_out()
    flash(f"You're signed out everywhere.{told(stopped)}", "good")
    return redirect(url_for("auth.login"))


@auth.post("/settings/sessions/<session_id>/end")
@in_any_account
def end_one_session(session_id: str) -> ResponseReturnValue:
    row = UserSession.find(session_id, user_id=current_user.user_id) or abort(404)
    db.session.delete(row)
    db.session.commit()
    return done("Browser signed out.")


@auth.post("/settings/delete")
@by_person("20 per hour")
def delete_account() -> ResponseReturnValue:
    """Forget the person: chats and address go, receipts and ledger stay without a name."""
    form, user = DeletionForm(), current_user.user
    if not form.validate_on_submit():
        return settings_page(faults(form), section="delete"), 400
    Account.locked(user.home_id)
    hold_person()
    closed = delete_person(user)
    note("account deleted", user.id)
    sign_out()
    for account_id in closed:
        enqueue(JobName.ACCOUNT_CLOSED, account_id)
    flash("Your account has been deleted.", "good")
    return redirect(url_for("pages.index"))


def titles() -> dict[str, str]:
    """The models that a key may be kept to, by name."""
    offered = [*AIModel.for_sale(), *AIModel.for_sale(is_embedding=True)]
    return {model.name: model.title for model, _price in offered}
