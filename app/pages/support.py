"""The support page: a question, the call that it is about, and what the support will see of the account."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.extensions import db
from app.models.base import utcnow
from app.models.metering.refusal import InvalidRequest
from app.models.metering.reservation import load_account_state
from app.models.metering.usage import Usage
from app.models.operations.support_request import SupportRequest
from app.notifications import people_mails
from app.web.blueprints import pages
from app.web.rate_limits import by_person


@pages.get("/support")
def support() -> str:
    return support_page({}, request.args.get("message", ""), request.args.get("call", ""))


@pages.post("/support")
@by_person("10 per hour")
def ask_support() -> ResponseReturnValue:
    message, call_id = request.form.get("message", ""), request.form.get("call_id", "").strip()
    try:
        opened = SupportRequest.open(current_user, message, call_id)
    except InvalidRequest as invalid:
        return support_page(invalid.errors, message, call_id), 400
    people_mails.of_support_request(opened)
    db.session.commit()
    flash("Message sent. Support will reply by email.", "good")
    return redirect(url_for("pages.support"), 303)


def support_page(errors: dict[str, list[str]], message: str, call_id: str) -> str:
    state = load_account_state(current_user.account_id, utcnow())
    call = Usage.find(call_id, **current_user.sees) if call_id else None
    balance = state.balance(utcnow())
    return render_template(
        "support.html",
        errors=errors,
        message=message,
        call_id=call_id,
        call=call,
        state=state,
        balance=balance,
    )
