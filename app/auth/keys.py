"""Keys on the page of settings: make, limit, rotate, revoke. A secret is shown once."""

from flask import abort, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.auth.forms import KeyForm, KeyLimitsForm, faults
from app.auth.settings import done, settings_page
from app.extensions import db
from app.models.identity.account import Account
from app.models.identity.api_key import SCOPES, ApiKey
from app.web.blueprints import auth
from app.web.browser_session import hold_person
from app.web.security_events import key_made, note
from app.web.shown_once import keep_to_show, shown_once


@auth.get("/settings/keys")
def keys() -> str:
    return settings_page(new_key=shown_once())


@auth.post("/settings/keys")
def make_key() -> ResponseReturnValue:
    """A key for the account that the person is in; its secret is on the page that follows, and never again."""
    form = KeyForm()
    if not form.validate_on_submit():
        return settings_page(faults(form), section="keys"), 400
    Account.locked(current_user.account_id)
    hold_person()
    days = int(form.days.data) if form.days.data else None
    own = current_user.account_id, current_user.user_id
    key, secret = ApiKey.make(*own, form.name.data, scopes=form.scopes.data or SCOPES, days=days)
    form.limit(key)
    key_made(key, current_user.user)
    return show(secret)


def show(secret: str) -> ResponseReturnValue:
    db.session.commit()
    keep_to_show(secret)
    return redirect(url_for("auth.keys", _anchor="keys"), 303)


@auth.post("/settings/keys/<key_id>/limits")
def limit_key(key_id: str) -> ResponseReturnValue:
    """What the key may spend from now on; what it has spent counts."""
    key, form = own_key(key_id), KeyLimitsForm()
    if not form.validate_on_submit():
        return settings_page(faults(form), section=f"key-{key.id}"), 400
    form.limit(key)
    db.session.commit()
    note("key changed", key=key.prefix)
    return done("The limits of the key are saved.")


@auth.post("/settings/keys/<key_id>/rotate")
def rotate_key(key_id: str) -> ResponseReturnValue:
    """A new secret; limits and what was spent stay."""
    hold_person()
    key = own_key(key_id)
    secret = key.rotate()
    key_made(key, current_user.user, "key rotated")
    return show(secret)


@auth.post("/settings/keys/<key_id>/revoke")
def revoke_key(key_id: str) -> ResponseReturnValue:
    key = own_key(key_id)
    key.revoke()
    db.session.commit()
    note("key revoked", key=key.prefix)
    return done("Key revoked.")


def own_key(key_id: str) -> ApiKey:
    """A live one of the person's own, in the account that they are in."""
    return ApiKey.find_live(key_id, **current_user.own) or abort(404)
