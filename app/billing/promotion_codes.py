"""A promotional code typed in settings or billing: a gift is credited, anything else goes on to what it is for."""

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.models.base import credits_text
from app.payments import promotion_codes
from app.web.access import managers_only
from app.web.blueprints import billing
from app.web.checkout_limits import wrong_codes


@billing.post("/code")
@managers_only
@wrong_codes
def redeem_code() -> ResponseReturnValue:
    code = promotion_codes.open_code(request.form.get("code"))
    if code.kind != "gift":
        return redirect(url_for("pages.pricing", code=code.code), 303)
    promotion_codes.redeem_gift(current_user, code.code)
    flash(f"{credits_text(code.gift_nanos or 0)} were added to your balance.")
    return redirect(url_for("billing.overview"), 303)
