"""Passkeys: made and removed in the settings, signed in with. One proves its owner too, so no code is asked for."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Response, abort, current_app, flash, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from app import mailer
from app.auth.forms import ConfirmedForm, PasskeyForm, faults
from app.auth.settings import done, settings_page
from app.extensions import db
from app.lazy_import import LazyImport
from app.models.base import utcnow
from app.models.catalog.setting import Setting
from app.models.identity.passkey import Passkey
from app.models.identity.user import User
from app.models.metering.refusal import InvalidRequest
from app.web.access import public
from app.web.blueprints import auth
from app.web.browser_session import hold_person, same_site, sign_in
from app.web.page_context import passkey_site
from app.web.rate_limits import by_machine, by_person
from app.web.security_events import note

ASKED = "what a passkey has to sign"
WITHIN = timedelta(minutes=5)
LONGEST_CREDENTIAL = 20_000
UNKNOWN = "That passkey doesn't sign in here. Try another, or use your password."
NOT_MADE = "That passkey couldn't be added. Try again."
webauthn, structs = LazyImport("webauthn"), LazyImport("webauthn.helpers.structs")


def verified() -> Any:
    """The device asks for a finger, a face or its code."""
    return structs.UserVerificationRequirement.REQUIRED


def site_or_404() -> str:
    return passkey_site() or abort(404)


def challenge_with(options: Any) -> Response:
    """Options for the browser; what is to be signed waits in its session."""
    session[ASKED] = [options.challenge.hex(), utcnow().timestamp()]
    return Response(webauthn.options_to_json(options), content_type="application/json")


@contextmanager
def answered(refusal: str) -> Iterator[tuple[str, dict[str, Any], datetime]]:
    """What was sent, what it has to fit, and when that was asked: once, lately, in this browser.

    Whatever the library finds wrong becomes the one refusal.
    """
    challenge, since = session.pop(ASKED, ("", 0))
    asked_at, credential = datetime.fromtimestamp(since, UTC), request.form.get("credential", "")
    address = urlsplit(current_app.config["BASE_URL"])
    expected = {"challenge": bytes.fromhex(challenge), "origin": f"{address.scheme}://{address.netloc}"}
    try:
        if asked_at < utcnow() - WITHIN or len(credential) > LONGEST_CREDENTIAL:
            raise ValueError("late, never asked, or too long")
        yield credential, {f"expected_{key}": value for key, value in expected.items()}, asked_at
    except (webauthn.helpers.exceptions.WebAuthnException, ValueError, RecursionError) as error:
        note("passkey refused", reason=type(error).__name__)
        raise InvalidRequest({"credential": [refusal]}) from error


@auth.post("/login/passkey/options")
@public
@by_machine("60 per minute; 600 per hour")
def ask_for_passkey() -> Response:
    """Any passkey of this site: the device shows its owner which it has."""
    return challenge_with(webauthn.generate_authentication_options(rp_id=site_or_404(), user_verification=verified()))


@auth.post("/login/passkey")
@public
@by_machine("30 per minute; 300 per hour")
def passkey_login() -> dict[str, str]:
    with answered(UNKNOWN) as (credential, expected, asked_at):
        passkey = known(credential)
        verified = webauthn.verify_authentication_response(
            credential=credential,
            expected_rp_id=site_or_404(),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
            **expected,
        )
        user: User = passkey.user
        if not user.lock_as_checked() or not passkey.use(verified.new_sign_count, asked_at):
            raise ValueError("disabled, removed, or used meanwhile")
    sign_in(user, with_second_factor=True)
    note("sign-in", user.id, by="passkey")
    return {"next": same_site(request.form.get("next")) or url_for("chat.show")}


def known(credential: str) -> Passkey:
    """The passkey that is claimed; ValueError where there is none."""
    identifier = webauthn.helpers.parse_authentication_credential_json(credential).raw_id
    passkey = db.session.scalar(select(Passkey).where(Passkey.credential_id == identifier))
    if passkey is None:
        raise ValueError("unknown")
    return passkey


@auth.post("/settings/passkeys/options")
@by_person("30 per hour")
def ask_for_new_passkey() -> Response:
    """For who has just signed in, or says the password."""
    form, user = PasskeyForm(), current_user.user
    if not form.validate_on_submit():
        raise InvalidRequest(faults(form))
    options = webauthn.generate_registration_options(
        rp_id=site_or_404(),
        rp_name=Setting.get("brand_name"),
        user_id=str(user.id).encode(),
        user_name=user.email,
        user_display_name=user.name or user.email,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=verified(),
        ),
        exclude_credentials=[structs.PublicKeyCredentialDescriptor(one.credential_id) for one in Passkey.of(user.id)],
    )
    return challenge_with(options)


@auth.post("/settings/passkeys")
@by_person("30 per hour")
def add_passkey() -> dict[str, str]:
    form, user = PasskeyForm(), current_user.user
    if not form.validate_on_submit():
        raise InvalidRequest(faults(form))
    with answered(NOT_MADE) as (credential, expected, _asked_at):
        made = webauthn.verify_registration_response(
            credential=credential, expected_rp_id=site_or_404(), require_user_verification=True, **expected
        )
    hold_person()
    counted = {"public_key": made.credential_public_key, "sign_count": made.sign_count}
    Passkey.add(user.id, name=form.name.data, credential_id=made.credential_id, **counted)
    context = {
        "name": user.name,
        "passkey_name": form.name.data,
        "settings_url": mailer.link("auth.settings"),
    }
    mailer.post(f"passkey:{secrets.token_hex(8)}", user.email, "passkey_added", **context)
    db.session.commit()
    note("passkey added")
    flash("Passkey added.", "good")
    return {"next": url_for("auth.settings", _anchor="passkeys")}


@auth.post("/settings/passkeys/<passkey_id>/remove")
@by_person("30 per hour")
def remove_passkey(passkey_id: str) -> ResponseReturnValue:
    passkey, form = Passkey.find(passkey_id, user_id=current_user.user_id) or abort(404), ConfirmedForm()
    if not form.validate_on_submit():
        return settings_page(faults(form), section=f"passkey-{passkey.id}"), 400
    db.session.delete(passkey)
    db.session.commit()
    note("passkey removed")
    return done("Passkey removed.")
