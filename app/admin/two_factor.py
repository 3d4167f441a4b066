"""The second factor at the door of the admin: set it up, show it, renew the recovery codes."""

from __future__ import annotations

import pyotp
import segno
from flask import current_app, flash, redirect, request, session
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_login import current_user
from markupsafe import Markup

from app.admin.model_view import AdminPage
from app.extensions import db, limiter
from app.models.catalog.setting import Setting
from app.models.identity.two_factor import RecoveryCode, enroll, passes, remember, state_of
from app.models.identity.user import User
from app.models.operations.audit_log import AdminChange
from app.web import security_events
from app.web.browser_session import same_site
from app.web.rate_limits import refusing

CANDIDATE = "second factor being set up"
TRIES = "6 per minute; 30 per hour"
WRONG = "Wrong code. Each code works once, so wait for the next one."


@refusing
def nobody_counts() -> bool:
    return bool(current_app.config["APP_ENV"] == "test")


@refusing
def who_tries() -> str:
    return f"second-factor:{current_user.user_id}"


class TwoFactorPage(AdminPage):
    """The one page under /admin that opens without the second factor."""

    @expose("/", methods=("GET", "POST"))
    @limiter.limit(TRIES, key_func=who_tries, methods=["POST"], exempt_when=nobody_counts)
    def index(self) -> ResponseReturnValue:
        has_one, was_shown = state_of(current_user.session_secret)
        if not has_one:
            return self.set_up()
        if request.method == "POST" and not was_shown:
            return self.show()
        return self.render("admin/two_factor.html", was_shown=was_shown, codes=None, qr=None)

    def set_up(self) -> ResponseReturnValue:
        """Scan, then prove it by a first code."""
        secret = session.setdefault(CANDIDATE, pyotp.random_base32())
        codes = (
            enroll(current_user.user, secret, request.form.get("code", ""))
            if request.method == "POST"
            else None
        )
        if codes is None:
            status = 422 if request.method == "POST" else 200
            if status == 422:
                flash(WRONG, "error")
            context = {"secret": secret, "qr": picture(secret), "codes": None, "was_shown": False}
            return self.render("admin/two_factor.html", **context), status
        session.pop(CANDIDATE)
        remember(current_user.session_secret)
        note("set up second factor")
        db.session.commit()
        return self.render("admin/two_factor.html", codes=codes, qr=None, was_shown=True)

    def show(self) -> ResponseReturnValue:
        is_right = passes(current_user.user, request.form.get("code", ""))
        if is_right:
            remember(current_user.session_secret)
        db.session.commit()
        if is_right:
            return redirect(same_site(request.args.get("next")) or self.get_url("admin.index"))
        security_events.note("second factor failed")
        flash(WRONG, "error")
        return self.render("admin/two_factor.html", was_shown=False, codes=None, qr=None), 422

    @expose("/codes/", methods=("POST",))
    @limiter.limit(TRIES, key_func=who_tries, exempt_when=nobody_counts)
    def codes_view(self) -> ResponseReturnValue:
        """New recovery codes, for a code of now."""
        if not passes(current_user.user, request.form.get("code", "")):
            db.session.commit()
            flash(WRONG, "error")
            return redirect(self.get_url(".index"))
        remember(current_user.session_secret)
        codes = RecoveryCode.renew(current_user.user)
        note("renew recovery codes")
        db.session.commit()
        return self.render("admin/two_factor.html", codes=codes, qr=None, was_shown=True)


def note(act: str) -> None:
    me: User = current_user.user
    security_events.note("second factor", act=act)
    AdminChange.note(current_user.user_id, act, me, changes={"second_factor": [None, act]})


def picture(secret: str) -> Markup:
    """The address that an authenticator scans, as an SVG of this page."""
    address = pyotp.TOTP(secret).provisioning_uri(
        name=current_user.email, issuer_name=Setting.get("brand_name")
    )
    svg = segno.make(address, error="m").svg_inline(scale=4, dark="#000", light="#fff", border=3)
    return Markup(svg)  # noqa: S704  # nosec B704 - segno's own drawing
