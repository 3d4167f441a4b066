"""The spending guard: what is paused and why, one click to resume, and whether it acts at all."""

from typing import cast, get_args

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.models.base import utcnow
from app.models.metering.account_state import AccountState
from app.models.metering.alerts import SOFTER_PERCENT
from app.models.metering.breaker import usual_of
from app.models.metering.refusal import InvalidRequest
from app.models.metering.spending import SpendingPause
from app.payments.breaker import Choice, Until, choose, resume
from app.web.access import managers_only
from app.web.blueprints import billing


@billing.get("/breaker")
@managers_only
def breaker() -> str:
    now, account_id = utcnow(), current_user.account_id
    account_state, normal = AccountState.load(account_id), usual_of(account_id, now)
    return render_template(
        "billing/breaker.html",
        account_state=account_state,
        now=now,
        normal=normal,
        softer_percent=SOFTER_PERCENT,
        pauses=SpendingPause.newest(account_id),
    )


@billing.post("/breaker/resume")
@managers_only
def resume_spending() -> ResponseReturnValue:
    until = request.form.get("until", "hour")
    if until not in get_args(Until):
        raise InvalidRequest({"until": ["must be hour, day or off."]})
    resume(current_user, cast(Until, until), was_mistake="was_mistake" in request.form)
    flash(RESUMED[until])
    return redirect(url_for("billing.breaker"), 303)


@billing.post("/breaker")
@managers_only
def choose_breaker() -> ResponseReturnValue:
    chosen = request.form.get("breaker", "")
    if chosen not in get_args(Choice):
        raise InvalidRequest({"breaker": ["must be on, alert or off."]})
    choose(current_user, cast(Choice, chosen))
    flash(CHOSEN[chosen])
    return redirect(url_for("billing.breaker"), 303)


RESUMED: dict[str, str] = {
    "hour": "Spending has resumed. The guard is off for an hour.",
    "day": "Spending has resumed. The guard is off until midnight UTC.",
    "off": "Spending has resumed. The guard is off until you turn it on.",
}
CHOSEN: dict[str, str] = {
    "on": "The guard is on.",
    "alert": "You'll get an email about unusual spending, and nothing is paused.",
    "off": "The guard is off.",
}
