"""A person's own limit, and a member's request for more."""

from typing import Annotated, Any

from flask_login import current_user
from pydantic import Field

from app.api.blueprint import amount, answer_of, api
from app.api.bodies import Body, Credits, Text
from app.api.schemas import MOMENT, TEXT, amounts, amounts_or_null, described, or_null, shape
from app.extensions import db
from app.models.base import iso, utcnow
from app.models.identity.account import Account
from app.models.identity.limit_request import LONGEST_REASON, LimitRequest
from app.models.metering.budget import Period, own_limit
from app.notifications import people_mails
from app.web.access import BY_PEOPLE, for_scope, own_membership
from app.web.rate_limits import by_person

OWN_LIMIT = shape(
    "OwnLimit",
    period={"enum": ["day", "week", "month"]},
    resets_at=or_null(MOMENT),
    **amounts_or_null("limit", "used", "left"),
)
LIMIT_REQUEST = shape("LimitRequest", id=TEXT, state=TEXT, reason=TEXT, created_at=MOMENT, **amounts("amount"))


class OwnLimit(Body):
    """`limit_credits`: the most you may spend in a period; left out or null: no limit of your own."""

    limit_credits: Credits | None = None
    period: Period = "month"


class MoreAsked(Body):
    amount_credits: Credits
    reason: Annotated[Text, Field(max_length=LONGEST_REASON)] = ""


@api.get("/own-limit")
@described("Get the limit you set for yourself in this account, and how much of it is used", OWN_LIMIT)
def read_own_limit() -> dict[str, Any]:
    own = own_membership()
    use = own_limit(own, utcnow())
    return {
        "period": own.own_limit_period,
        "resets_at": iso(use.ends) if use and use.ends else None,
        **amount("limit", use.limit if use else None),
        **amount("used", use.used if use else None),
        **amount("left", use.left if use else None),
    }


@api.put("/own-limit")
@for_scope(BY_PEOPLE)
@described("Set, raise or remove your own limit", OWN_LIMIT, body=OwnLimit)
def set_own_limit() -> dict[str, Any]:
    sent = OwnLimit.read()
    Account.locked(current_user.account_id)
    own = own_membership()
    own.own_limit_nanos, own.own_limit_period = sent.limit_credits, sent.period
    db.session.commit()
    return read_own_limit()


@api.post("/limit-requests")
@for_scope(BY_PEOPLE)
@by_person("10 per hour")
@described(
    "Ask a team's owners and admins to raise your monthly limit", LIMIT_REQUEST, status=201, body=MoreAsked
)  # fmt: skip
def ask_for_more() -> tuple[dict[str, Any], int]:
    sent = MoreAsked.read()
    Account.locked(current_user.account_id)
    opened = LimitRequest.open_for(own_membership(), sent.amount_credits, sent.reason)
    people_mails.of_limit_request(opened)
    db.session.commit()
    return answer_of(LIMIT_REQUEST, opened), 201
