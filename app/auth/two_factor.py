"""The second step of signing in, for everybody who wants it: set up, asked for, renewed, switched off."""

import pyotp
import segno
from flask import abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from markupsafe import Markup

from app.auth.forms import ConfirmedForm, faults
from app.extensions import db
from app.models.catalog.setting import Setting
from app.models.identity.two_factor import enroll, forget, passes, remember, renew_recovery_codes
from app.models.identity.user import User
from app.models.operations.audit_log import AdminChange
from app.web import security_events
from app.web.access import public
from app.web.blueprints import auth
from app.web.browser_session import has_just_signed_in, hold_person, onwards, same_site, sign_in, who_waits
from app.web.second_factor import WRONG, tries
from app.web.shown_once import keep_to_show, shown_once

CANDIDATE = "second factor being set up"


@auth.route("/login/code", methods=["GET", "POST"])
@public
@tries
def login_code() -> ResponseReturnValue:
    """The second step of a sign-in whose password was right: a code, or a recovery code."""
    target, user = same_site(request.values.get("next")), who_waits()
    if user is None:
        return redirect(url_for("auth.login", next=target))
    if request.method == "GET":
        return render_template("auth/code.html", errors={}, next=target)
    if user.lock_as_checked() and passes(user, request.form.get("code", "")):
        sign_in(user, with_second_factor=True)
        security_events.note("sign-in", user.id)
        return onwards(target)
    db.session.commit()
    security_events.note("second factor failed", user.id)
    return render_template("auth/code.html", errors={"code": [WRONG]}, next=target), 422


@auth.route("/settings/two-factor", methods=["GET", "POST"])
@tries
def two_factor() -> ResponseReturnValue:
    """Scan, then prove it by a first code; the recovery codes are shown once, by the page that follows. For who has
    just signed in, or says the password: a session that was stolen locks nobody out."""
    if current_user.user.totp_secret:
        return two_factor_page(codes=shown_once().split())
    secret = session.setdefault(CANDIDATE, pyotp.random_base32())
    if request.method == "GET":
        return two_factor_page(secret=secret)
    form = ConfirmedForm()
    if not form.validate_on_submit():
        return two_factor_page(faults(form), secret=secret), 422
    codes = enroll(hold_person(), secret, request.form.get("code", ""))
    if codes is None:
        return two_factor_page({"code": [WRONG]}, secret=secret), 422
    session.pop(CANDIDATE)
    return show(codes, "set up second factor")


@auth.post("/settings/two-factor/codes")
@tries
def renew_codes() -> ResponseReturnValue:
    """New recovery codes, for a code of now."""
    if not passes(hold_person(), request.form.get("code", "")):
        db.session.commit()
        return two_factor_page({"code": [WRONG]}), 422
    return show(renew_recovery_codes(current_user.user), "renew recovery codes")


@auth.post("/settings/two-factor/off")
@tries
def end_two_factor() -> ResponseReturnValue:
    """Off, for a code of now and the password."""
    user = current_user.user
    if not user.totp_secret:
        abort(404)
    if not user.has_password(request.form.get("current_password", "")):
        return two_factor_page({"current_password": ["That is not your password."]}), 422
    if not passes(hold_person(), request.form.get("code", "")):
        db.session.commit()
        return two_factor_page({"code_off": [WRONG]}), 422
    forget(user)
    note("forget second factor")
    db.session.commit()
    flash("Two-factor sign-in is off.", "good")
    return redirect(url_for("auth.settings"))


def show(codes: list[str], act: str) -> ResponseReturnValue:
    remember(current_user.session_secret)
    note(act)
    db.session.commit()
    keep_to_show(" ".join(codes))
    return redirect(url_for("auth.two_factor", next=same_site(request.values.get("next"))), 303)


def two_factor_page(
    errors: dict[str, list[str]] | None = None, *, secret: str = "", codes: list[str] | None = None
) -> str:
    target = same_site(request.values.get("next")) or url_for("auth.settings")
    drawn = picture(secret) if secret else None
    return render_template(
        "two_factor.html",
        errors=errors or {},
        secret=secret,
        drawn=drawn,
        codes=codes,
        next=target,
        is_fresh=has_just_signed_in(),
    )


def note(act: str) -> None:
    """A line in the log; what an admin does about it is in the audit log too."""
    security_events.note("second factor", act=act)
    me: User = current_user.user
    if me.is_admin:
        AdminChange.note(current_user.user_id, act, me, changes={"second_factor": [None, act]})


def picture(secret: str) -> Markup:
    """The address that an authenticator scans, as an SVG of this page."""
    address = pyotp.TOTP(secret).provisioning_uri(name=current_user.email, issuer_name=Setting.get("brand_name"))
    svg = segno.make(address, error="m").svg_inline(scale=4, dark="#000", light="#fff", border=3)
    return Markup(svg)  # noqa: S704  # nosec B704 - segno's own drawing
