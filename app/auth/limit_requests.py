"""A member asks for more than their monthly limit; a manager of the team decides, by a form."""

from datetime import date

from flask import abort, request
from flask.typing import ResponseReturnValue

from app.auth.teams import done, held_team
from app.models.base import NANOS_PER_CREDIT, credits_text, utcnow
from app.models.identity.limit_request import LimitRequest, end_of_month
from app.models.identity.membership import Membership
from app.models.metering.refusal import InvalidRequest
from app.notifications import people_mails
from app.web.access import own_membership
from app.web.blueprints import auth
from app.web.numbers import scaled
from app.web.rate_limits import by_person


@auth.post("/account/requests")
@by_person("10 per hour")
def ask_for_more() -> ResponseReturnValue:
    own = own_membership()
    held_team(own, "owner", "admin", "member")
    opened = LimitRequest.open_for(own, amount_asked(), request.form.get("reason", ""))
    people_mails.of_limit_request(opened)
    return done(f"You asked for {credits_text(opened.amount_nanos)} more. You'll get an email with the answer.")


@auth.post("/account/requests/<request_id>/approve")
def approve_request(request_id: str) -> ResponseReturnValue:
    own, asked = own_membership(), open_request(request_id)
    asked.approve(own, amount_asked(), last_day())
    people_mails.of_limit_decision(asked)
    return done(f"{asked.user.name or asked.user.email} can use {credits_text(asked.granted_nanos or 0)} more.")


@auth.post("/account/requests/<request_id>/decline")
def decline_request(request_id: str) -> ResponseReturnValue:
    own, asked = own_membership(), open_request(request_id)
    asked.decline(own)
    people_mails.of_limit_decision(asked)
    return done("The request is declined.")


def open_request(request_id: str) -> LimitRequest:
    """A request in the held team of a manager, who may change the limit of whoever asks."""
    own = own_membership()
    held_team(own)
    asked = LimitRequest.find(request_id, account_id=own.account_id) or abort(404)
    member = Membership.of(asked.user_id, asked.account_id)
    if member is not None and not own.may_change(member):
        abort(403)
    return asked


def amount_asked() -> int:
    return scaled(request.form.get("amount_credits", ""), NANOS_PER_CREDIT, "amount_credits")


def last_day() -> date:
    """Until when what is granted holds: the day that was chosen, else the end of the month (UTC)."""
    chosen = request.form.get("until", "")
    if not chosen:
        return end_of_month(utcnow().date())
    try:
        return date.fromisoformat(chosen)
    except ValueError:
        raise InvalidRequest({"until": ["must be a day, like 2026-12-31."]}) from None
