"""Each refusal of the gate at its very edge: with the figure that still passes, and with the next. MONEY.md 6."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import g

from app.extensions import db
from app.models.identity.account import Account
from app.models.metering.gate_checks import check_absorbed, check_chats, check_funds, check_model, check_pace, check_standing, fit
from app.models.identity.actor import Caller
from app.models.metering.reservation import admit, reserve
from app.models.catalog.price import PIECES, TOKEN_BUCKETS, AIModel, Rates
from app.models.catalog.setting import Setting
from app.models.metering.account_state import Standing
from app.providers.base import Prompt, PromptMessage
from tests.models.conftest import NOON, refusal
from tests.support.people import CREDIT, caller, model

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
def ada(standing: Standing) -> Caller:
    return caller(db.session.get_one(Account, standing.account_id))


def put(key: str, value: int) -> None:
    Setting.put(key, value)
    db.session.flush()


def test_nobody_spends_for_a_closed_or_frozen_account(standing: Standing, ada: Caller) -> None:
    check_standing(standing, ada)
    frozen = replace(standing, frozen_at=NOON, frozen_by="dispute")
    assert "disputed" in str(refusal(lambda: check_standing(frozen, ada)))
    assert refusal(lambda: check_standing(replace(standing, closed_at=NOON), ada)).code == "account_frozen"


def test_an_address_is_confirmed_first_where_that_is_asked(
    standing: Standing, ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = replace(ada, is_verified=False)
    check_standing(standing, stranger)
    monkeypatch.setenv("REQUIRE_VERIFIED_EMAIL", "1")
    g.pop("settings", None)
    check_standing(standing, ada)
    assert refusal(lambda: check_standing(standing, stranger)).code == "email_unverified"


def test_programs_need_a_plan_that_has_them(standing: Standing, ada: Caller) -> None:
    program, without = replace(ada, api_key_id=1), replace(standing, has_api=False)
    check_standing(without, ada)
    check_standing(replace(standing, has_api=True), program)
    assert refusal(lambda: check_standing(without, program)).code == "api_not_in_plan"


def test_a_plan_that_ended_and_a_model_that_it_lacks(standing: Standing, ada: Caller) -> None:
    ended = replace(standing, plan_status="inactive")
    assert refusal(lambda: check_standing(ended, ada)).code == "plan_inactive"
    check_model(replace(standing, models=[]), "m")
    check_model(replace(standing, models=["m"]), "m")
    assert refusal(lambda: check_model(replace(standing, models=["other"]), "m")).code == "model_not_allowed"


def test_calls_at_once_are_the_plans_or_everybodys(standing: Standing) -> None:
    check_pace(replace(standing, parallel_calls=2, running_calls=1))
    refused = refusal(lambda: check_pace(replace(standing, parallel_calls=2, running_calls=2)))
    assert (refused.code, refused.retry_after) == ("too_many_calls", 5)
    most = Setting.get("parallel_calls")
    check_pace(replace(standing, parallel_calls=None, running_calls=most - 1))
    assert refusal(lambda: check_pace(replace(standing, parallel_calls=None, running_calls=most)))


def test_what_the_house_pays_for_failures_is_bounded_by_the_day(standing: Standing) -> None:
    most = Setting.get("absorbed_daily")
    check_absorbed(replace(standing, day_absorbed=most), NOON)
    beyond = replace(standing, day_absorbed=most + 1)
    refused = refusal(lambda: check_absorbed(beyond, NOON))
    assert (refused.code, refused.retry_after) == ("absorbed_limit", 12 * 3600)
    check_absorbed(beyond, NOON + timedelta(days=1))


def test_new_chats_of_the_month_end_at_the_plans_number(standing: Standing) -> None:
    check_chats(replace(standing, chats_per_month=None), NOON, 10**6)
    check_chats(replace(standing, chats_per_month=3), NOON, 2)
    refused = refusal(lambda: check_chats(replace(standing, chats_per_month=3), NOON, 3))
    assert (refused.code, refused.retry_after) == ("chat_limit_reached", 7 * 86400)
    assert refused.facts["resets_at"] == standing.period_end


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
def test_something_must_be_available(standing: Standing, figures: dict[str, int], code: str | None) -> None:
    asked = replace(standing, **{"allowance": 0} | figures)
    if code is None:
        check_funds(asked, NOON)
        return
    assert refusal(lambda: check_funds(asked, NOON)).code == code


def test_a_used_day_is_named_with_its_limit_and_its_end(standing: Standing) -> None:
    used = replace(standing, daily_limit=50 * CREDIT, day_used=50 * CREDIT)
    refused = refusal(lambda: check_funds(used, NOON))
    assert "Today's 50 credits" in str(refused)
    midnight = datetime(2026, 4, 1, tzinfo=UTC)
    assert (refused.facts["resets_at"], refused.retry_after) == (midnight, 12 * 3600)


def test_the_way_out_of_an_empty_balance_names_the_next_refill(standing: Standing) -> None:
    refused = refusal(lambda: check_funds(replace(standing, allowance=0), NOON))
    assert "The next 500 come on 7 April. " in str(refused)


def sized(standing: Standing, tokens: int, **figures: int) -> Prompt:
    """What is left of the prompt where the allowance pays for so many output tokens."""
    asked = replace(standing, **{"allowance": tokens * OUTPUT_NANOS, "credits": 0, "reserved": 0} | figures)
    return fit(asked, PROMPT, RATES, NOON)


def test_an_answer_is_as_long_as_balance_and_overdraft_afford(standing: Standing) -> None:
    put("overdraft", 0)
    assert sized(standing, 1000) is PROMPT
    assert sized(standing, 999).max_output_tokens == 999
    assert sized(standing, 256).max_output_tokens == 256
    assert refusal(lambda: sized(standing, 255)).code == "request_too_large"
    put("overdraft", OUTPUT_NANOS)
    assert sized(standing, 999) is PROMPT
    assert sized(standing, 255).max_output_tokens == 256
    assert refusal(lambda: sized(standing, 254)).code == "request_too_large"


def test_what_running_answers_hold_is_waited_for(standing: Standing) -> None:
    put("overdraft", OUTPUT_NANOS)
    held = refusal(lambda: sized(standing, 255, reserved=OUTPUT_NANOS))
    assert (held.code, held.facts["needed"], held.facts["reserved"]) == (
        "credits_reserved",
        256 * OUTPUT_NANOS,
        OUTPUT_NANOS,
    )
    assert refusal(lambda: sized(standing, 254, reserved=OUTPUT_NANOS)).code == "request_too_large"


def test_the_house_has_no_overdraft(standing: Standing) -> None:
    put("overdraft", OUTPUT_NANOS)
    assert refusal(lambda: sized(replace(standing, kind="house"), 255)).code == "request_too_large"
    assert sized(replace(standing, kind="house"), 256).max_output_tokens == 256
    assert refusal(lambda: sized(replace(standing, kind="house"), 256, allowance=256 * OUTPUT_NANOS - 1))


def test_a_short_answer_is_asked_for_whole_or_not_at_all(standing: Standing) -> None:
    put("overdraft", 0)
    short = replace(PROMPT, max_output_tokens=10)
    asked = replace(standing, allowance=10 * OUTPUT_NANOS)
    assert fit(asked, short, RATES, NOON) is short
    assert refusal(lambda: fit(replace(asked, allowance=9 * OUTPUT_NANOS), short, RATES, NOON)).facts[
        "needed"
    ] == (10 * OUTPUT_NANOS)


def test_a_cheaper_model_is_named_that_fits_and_that_the_plan_has(standing: Standing) -> None:
    put("overdraft", 0)
    for name, dollars in (("cheap", "0.1"), ("dearer", "0.2"), ("dear", "1000")):
        model(name, kind="demo", dollars_in="0", dollars_out=dollars)
    asked = replace(standing, allowance=256 * 200, models=["m", "cheap", "dear"])
    cheaper = refusal(lambda: fit(asked, PROMPT, RATES, NOON))
    assert (cheaper.facts["model"], "or ask cheap, which fits" in str(cheaper)) == ("cheap", True)
    everything = replace(asked, models=["m", "cheap", "dearer", "dear"])
    assert refusal(lambda: fit(everything, PROMPT, RATES, NOON)).facts["model"] == "dearer"
    alone = refusal(lambda: fit(replace(asked, models=["m"]), PROMPT, RATES, NOON))
    assert (alone.facts["model"], "or buy credits" in str(alone)) == (None, True)


@pytest.mark.parametrize(
    ("figures", "terms", "code"),
    [
        ({}, {}, None),
        ({"running_calls": 2}, {"parallel_calls": 2}, "too_many_calls"),
        ({"day": date(2100, 1, 1), "day_absorbed_nanos": 10**15}, {}, "absorbed_limit"),
        ({}, {"models": ["other"]}, "model_not_allowed"),
        ({}, {"chats_per_month": 0}, "chat_limit_reached"),
        ({"frozen_at": NOON, "frozen_by": "admin"}, {}, "account_frozen"),
        ({"allowance_nanos": 0}, {}, "out_of_credits"),
    ],
)
def test_a_chat_is_refused_what_a_call_is_and_new_chats_of_their_own(
    standing: Standing, ada: Caller, figures: dict[str, object], terms: dict[str, object], code: str | None
) -> None:
    account = db.session.get_one(Account, standing.account_id)
    model("m", kind="demo")
    for row, changes in ((account, figures), (account.plan, terms)):
        for name, value in changes.items():
            setattr(row, name, value)
    db.session.flush()
    price = AIModel.to_sell("m", NOON)[1]
    if code is None:
        assert admit(ada, "m").account_id == reserve(ada, PROMPT, price).account_id == account.id
        return
    assert refusal(lambda: admit(ada, "m")).code == code
    if code != "chat_limit_reached":
        assert refusal(lambda: reserve(ada, PROMPT, price)).code == code
