"""The spending guard over JSON: what is paused, and how it goes on."""

from typing import Any

from flask_login import current_user

from app.api.blueprint import amount, answer_of, api
from app.api.bodies import Body, Flag
from app.api.schemas import COUNT, FLAG, MOMENT, TEXT, amounts, array, described, or_null, shape
from app.models.base import iso, utcnow
from app.models.metering.account_state import AccountState
from app.models.metering.breaker import usual_of
from app.models.metering.spending import SpendingPause
from app.payments import breaker
from app.web.access import BY_PEOPLE, KeyMayNot, for_scope, managers_only
from app.web.formatting import pause_text

PAUSE = shape(
    "SpendingPause",
    id=TEXT,
    key_id=or_null(TEXT),
    period={"enum": ["hour", "day"]},
    detail=TEXT,
    minutes=COUNT,
    model=TEXT,
    model_percent=COUNT,
    paused_at=MOMENT,
    **amounts("spent", "reserved", "bar"),
)
BREAKER = shape(
    "Breaker",
    choice={"enum": ["on", "alert", "off"]},
    is_paused=FLAG,
    off_until=or_null(MOMENT),
    pauses=array(PAUSE),
    **amounts("hour_spent", "hour_bar", "day_spent", "day_bar"),
)


class Resume(Body):
    """`until`: unguarded for an hour, for the day (UTC), or with the guard off. `was_mistake`: today is not usual."""

    until: breaker.Until = "hour"
    was_mistake: Flag = False


class BreakerChoice(Body):
    choice: breaker.Choice


@api.get("/breaker")
@managers_only
@described("Get what this hour and day have cost, where spending would pause, and what is paused", BREAKER)
def read_breaker() -> dict[str, Any]:
    now, account_id = utcnow(), current_user.account_id
    account_state = AccountState.load(account_id)
    hour_bar, day_bar = usual_of(account_id, now).bars
    return {
        "choice": account_state.breaker,
        "is_paused": account_state.spending_paused_at is not None,
        "off_until": iso(account_state.breaker_off_until),
        "pauses": [shown_pause(pause) for pause in SpendingPause.open_of(account_id)],
        **amount("hour_spent", account_state.spent_in_hour(now)),
        **amount("hour_bar", hour_bar),
        **amount("day_spent", account_state.spent_on(now)),
        **amount("day_bar", day_bar),
    }


@api.post("/breaker/resume")
@managers_only
@for_scope("buy")
@described("Resume paused spending, as an owner or admin", BREAKER, body=Resume)
def resume_spending() -> dict[str, Any]:
    if current_user.is_key_paused:
        raise KeyMayNot(BY_PEOPLE)
    sent = Resume.read()
    breaker.resume(current_user, sent.until, was_mistake=sent.was_mistake)
    return read_breaker()


@api.patch("/breaker")
@managers_only
@for_scope("buy")
@described("Choose what unusual spending does: pause, only an email, or nothing", BREAKER, body=BreakerChoice)
def choose_breaker() -> dict[str, Any]:
    breaker.choose(current_user, BreakerChoice.read().choice)
    return read_breaker()


def shown_pause(pause: SpendingPause) -> dict[str, Any]:
    named = {"key_id": pause.api_key_id, "detail": pause_text(pause), "paused_at": pause.created_at}
    return answer_of(PAUSE, pause, **named)
