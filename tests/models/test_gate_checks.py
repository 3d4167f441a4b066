"""Each refusal of the gate at its very edge: the figure that still passes, and the next. billing-rules.md 6."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.extensions import db
from app.models.billing.payment import Payment
from app.models.catalog.plan import Plan
from app.models.catalog.rates import Rates
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.metering.account_state import AccountState
from app.models.metering.affordability import fit
from app.models.metering.gate_checks import (
    check_absorbed,
    check_account,
    check_chats,
    check_funds,
    check_model,
    check_pace,
)
from app.providers.base import PIECES, TOKEN_BUCKETS, Prompt, PromptMessage
from app.web.refusals import text_of
from tests.models.conftest import NOON, refusal
from tests.support.people import CREDIT, actor, model

PROMPT = Prompt("m", (PromptMessage("user", "hi"),), 1000)
OUTPUT_NANOS = 1_000
RATES = Rates(
    dict.fromkeys(TOKEN_BUCKETS, 0) | {"output": OUTPUT_NANOS * 10**6},
    dict.fromkeys(TOKEN_BUCKETS, 0) | {"output": OUTPUT_NANOS * 10**6},
    None,
    dict.fromkeys(PIECES),
)
"""Each output token costs 1,000 nanos, and nothing else anything."""


@pytest.fixture
def ada(account_state: AccountState) -> Actor:
    return actor(db.session.get_one(Account, account_state.account_id))


def put(key: str, value: int) -> None:
    Setting.put(key, value)
    db.session.flush()


def test_nobody_spends_for_a_closed_or_frozen_account(account_state: AccountState, ada: Actor) -> None:
    check_account(account_state, ada)
    frozen = replace(account_state, frozen_at=NOON, frozen_by="dispute")
    assert "disputed" in text_of(refusal(lambda: check_account(frozen, ada)))
    assert refusal(lambda: check_account(replace(account_state, closed_at=NOON), ada)).code == "account_frozen"


def test_an_address_is_confirmed_first_where_that_is_asked(
    account_state: AccountState, ada: Actor, require_verified_email: Callable[..., None]
) -> None:
    stranger = replace(ada, is_verified=False)
    check_account(account_state, stranger)
    require_verified_email()
    check_account(account_state, ada)
    assert refusal(lambda: check_account(account_state, stranger)).code == "email_unverified"


def test_programs_need_a_plan_that_has_them(account_state: AccountState, ada: Actor) -> None:
    program, without = replace(ada, api_key_id=1), replace(account_state, has_api=False)
    check_account(without, ada)
    check_account(replace(account_state, has_api=True), program)
    assert refusal(lambda: check_account(without, program)).code == "api_not_in_plan"


def test_a_plan_that_ended_and_a_model_that_it_lacks(account_state: AccountState, ada: Actor) -> None:
    ended = replace(account_state, plan_status="inactive")
    assert refusal(lambda: check_account(ended, ada)).code == "plan_inactive"
    check_model(replace(account_state, models=[]), "m")
    check_model(replace(account_state, models=["m"]), "m")
    assert refusal(lambda: check_model(replace(account_state, models=["other"]), "m")).code == "model_not_allowed"


def test_calls_at_once_are_the_plans_or_everybodys(account_state: AccountState) -> None:
    check_pace(replace(account_state, parallel_calls=2, running_calls=1))
    refused = refusal(lambda: check_pace(replace(account_state, parallel_calls=2, running_calls=2)))
    assert (refused.code, refused.retry_after) == ("too_many_calls", 5)
    most = Setting.get("parallel_calls")
    check_pace(replace(account_state, parallel_calls=None, running_calls=most - 1))
    assert refusal(lambda: check_pace(replace(account_state, parallel_calls=None, running_calls=most)))


def test_what_the_house_pays_for_failures_is_bounded_by_the_day(account_state: AccountState) -> None:
    most = Setting.get("absorbed_daily")
    check_absorbed(replace(account_state, day_absorbed=most), NOON)
    beyond = replace(account_state, day_absorbed=most + 1)
    refused = refusal(lambda: check_absorbed(beyond, NOON))
    assert (refused.code, refused.retry_after) == ("absorbed_limit", 12 * 3600)
    check_absorbed(beyond, NOON + timedelta(days=1))


@pytest.mark.parametrize(("days", "bound"), [(29, 4_500 * CREDIT), (31, 50 * CREDIT)])
def test_who_paid_much_in_thirty_days_may_cause_more(account_state: AccountState, days: int, bound: int) -> None:
    """Five percent of $100, of which $10 were given back."""
    paid = {"state": "paid", "price_cents": 10_000, "refunded_cents": 1_000, "currency": "usd"}
    moment = NOON - timedelta(days=days)
    db.session.add(Payment(account_id=account_state.account_id, kind="invoice", paid_at=moment, **paid))
    db.session.flush()

    check_absorbed(replace(account_state, day_absorbed=bound), NOON)
    refused = refusal(lambda: check_absorbed(replace(account_state, day_absorbed=bound + 1), NOON))
    assert refused.code == "absorbed_limit"


def test_new_chats_of_the_month_end_at_the_plans_number(account_state: AccountState) -> None:
    check_chats(replace(account_state, chats_per_month=None), NOON, 10**6)
    check_chats(replace(account_state, chats_per_month=3), NOON, 2)
    refused = refusal(lambda: check_chats(replace(account_state, chats_per_month=3), NOON, 3))
    assert (refused.code, refused.retry_after) == ("chat_limit_reached", 7 * 86400)
    assert refused.details["resets_at"] == account_state.period_end


@pytest.mark.parametrize(
    ("figures", "code"),
    [
        ({"allowance": 1}, None),
        ({"allowance": 0, "credits": 1}, None),
        ({"allowance": 0}, "out_of_credits"),
        ({"allowance": 5, "reserved": 5}, "credits_reserved"),
        ({"allowance": 5, "reserved": 4}, None),
        ({"allowance": 9, "daily_limit": 5, "day_used": 5}, "daily_limit_reached"),
        ({"allowance": 9, "daily_limit": 5, "day_used": 4}, None),
        ({"allowance": 9, "daily_limit": 5, "day_used": 5, "credits": 1}, None),
        ({"allowance": 9, "daily_limit": 5, "day_used": 5, "credits": 1, "reserved": 1}, "credits_reserved"),
        ({"allowance": 0, "daily_limit": 5, "day_used": 5}, "out_of_credits"),
        ({"allowance": 0, "credits": -1}, "out_of_credits"),
    ],
)
def test_something_must_be_available(account_state: AccountState, figures: dict[str, int], code: str | None) -> None:
    asked = replace(account_state, **{"allowance": 0} | figures)
    if code is None:
        check_funds(asked, NOON)
        return
    assert refusal(lambda: check_funds(asked, NOON)).code == code


def test_a_used_day_is_named_with_its_limit_and_its_end(account_state: AccountState) -> None:
    used = replace(account_state, daily_limit=50 * CREDIT, day_used=50 * CREDIT)
    refused = refusal(lambda: check_funds(used, NOON))
    assert "today's 50 credits" in text_of(refused)
    midnight = datetime(2026, 4, 1, tzinfo=UTC)
    assert (refused.details["resets_at"], refused.retry_after) == (midnight, 12 * 3600)


def test_the_way_out_of_an_empty_balance_names_the_next_refill(account_state: AccountState) -> None:
    db.session.get_one(Account, account_state.account_id).period_end = NOON + timedelta(days=7)
    db.session.flush()
    refused = refusal(lambda: check_funds(replace(account_state, allowance=0), NOON))
    assert "Your next 500 credits arrive on 7 April. " in text_of(refused)
    assert refused.details["resets_at"] == NOON + timedelta(days=7)


def test_where_nothing_comes_by_itself_nothing_is_promised(account_state: AccountState) -> None:
    account = db.session.get_one(Account, account_state.account_id)
    account.plan = db.session.query(Plan).filter_by(name="Pay as you go").one()
    db.session.flush()
    refused = refusal(lambda: check_funds(replace(account_state, allowance=0), NOON))
    assert text_of(refused) == "You're out of credits. Buy credits or change your plan to continue."
    assert (refused.details["resets_at"], refused.details["way_out"]) == (None, "buy")
    account.plan.allows_packs = False
    db.session.flush()
    refused = refusal(lambda: check_funds(replace(account_state, allowance=0), NOON))
    assert (text_of(refused), refused.details["way_out"]) == (
        "You're out of credits. Change your plan to continue.",
        "upgrade",
    )


def sized(account_state: AccountState, tokens: int, **figures: int) -> Prompt:
    """What is left of the prompt where the allowance pays for so many output tokens."""
    asked = replace(account_state, **{"allowance": tokens * OUTPUT_NANOS, "credits": 0, "reserved": 0} | figures)
    return fit(asked, PROMPT, RATES, NOON)


def test_an_answer_is_as_long_as_balance_and_overdraft_afford(account_state: AccountState) -> None:
    put("overdraft", 0)
    assert sized(account_state, 1000) is PROMPT
    assert sized(account_state, 999).max_output_tokens == 999
    assert sized(account_state, 256).max_output_tokens == 256
    assert refusal(lambda: sized(account_state, 255)).code == "request_too_large"
    put("overdraft", OUTPUT_NANOS)
    assert sized(account_state, 999) is PROMPT
    assert sized(account_state, 255).max_output_tokens == 256
    assert refusal(lambda: sized(account_state, 254)).code == "request_too_large"


def test_what_only_a_limit_of_time_holds_back_is_no_lack_of_balance(account_state: AccountState) -> None:
    put("overdraft", 0)
    today, said = 255 * OUTPUT_NANOS, []
    for tokens in (255, 256):
        limited = {"allowance": tokens * OUTPUT_NANOS, "daily_limit": today}
        said.append(text_of(refusal(lambda figures=limited: sized(account_state, 0, **figures))))
    assert "more than your balance covers" in said[0]
    assert "more than your plan's limit leaves right now" in said[1]


def test_what_running_answers_hold_is_waited_for(account_state: AccountState) -> None:
    put("overdraft", OUTPUT_NANOS)
    held = refusal(lambda: sized(account_state, 255, reserved=OUTPUT_NANOS))
    assert (held.code, held.details["needed"], held.details["reserved"]) == (
        "credits_reserved",
        256 * OUTPUT_NANOS,
        OUTPUT_NANOS,
    )
    assert refusal(lambda: sized(account_state, 254, reserved=OUTPUT_NANOS)).code == "request_too_large"


def test_the_house_has_no_overdraft(account_state: AccountState) -> None:
    put("overdraft", OUTPUT_NANOS)
    assert refusal(lambda: sized(replace(account_state, kind="house"), 255)).code == "request_too_large"
    assert sized(replace(account_state, kind="house"), 256).max_output_tokens == 256
    assert refusal(lambda: sized(replace(account_state, kind="house"), 256, allowance=256 * OUTPUT_NANOS - 1))


def test_a_short_answer_is_asked_for_whole_or_not_at_all(account_state: AccountState) -> None:
    put("overdraft", 0)
    short = replace(PROMPT, max_output_tokens=10)
    asked = replace(account_state, allowance=10 * OUTPUT_NANOS)
    assert fit(asked, short, RATES, NOON) is short
    assert refusal(lambda: fit(replace(asked, allowance=9 * OUTPUT_NANOS), short, RATES, NOON)).details["needed"] == (
        10 * OUTPUT_NANOS
    )


def test_a_cheaper_model_is_named_that_fits_and_that_the_plan_has(account_state: AccountState) -> None:
    put("overdraft", 0)
    for name, dollars in (("cheap", "0.1"), ("dearer", "0.2"), ("dear", "1000")):
        model(name, kind="demo", dollars_in="0", dollars_out=dollars)
    asked = replace(account_state, allowance=256 * 200, models=["m", "cheap", "dear"])
    cheaper = refusal(lambda: fit(asked, PROMPT, RATES, NOON))
    assert (cheaper.details["model"], cheaper.details["model_ceiling"]) == ("cheap", 51_200)
    assert "Try cheap, up to 0.0512 credits, or shorten it" in text_of(cheaper)
    everything = replace(asked, models=["m", "cheap", "dearer", "dear"])
    assert refusal(lambda: fit(everything, PROMPT, RATES, NOON)).details["model"] == "dearer"
    alone = refusal(lambda: fit(replace(asked, models=["m"]), PROMPT, RATES, NOON))
    assert ("model" in alone.details, "Shorten it, or buy credits" in text_of(alone)) == (False, True)
