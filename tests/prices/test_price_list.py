"""The list in the database: which row is in force, what cannot be stored, what is not for sale."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.catalog import seeds
from app.catalog.price_source import listed_models
from app.catalog.vendor_prices import figures_of, vendor_model
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.image_price import ImagePrice
from app.models.catalog.price import ModelPrice
from app.models.catalog.price_schedule import in_force
from app.models.catalog.provider_account import ProviderAccount
from app.models.metering.refusal import Refusal
from app.providers.base import TOKEN_BUCKETS
from app.web.refusals import text_of
from tests.prices.china import is_peak
from tests.support import Database, people
from tests.support.people import price

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")
DAY = datetime(2026, 11, 21, tzinfo=UTC)
WORKING_DAY = datetime(2026, 11, 19, tzinfo=UTC)
EDGES = [timedelta(minutes=m) for m in (0, 1, 29, 30, 59, 60, 239, 240, 359, 360, 599, 600, 989, 990, 1439)]


@pytest.fixture(autouse=True)
def usable(database_kind: str, session: Database) -> None:
    """Every provider can be called, and every model is switched on."""
    session.query(ProviderAccount).update({"key_variable": None})
    session.query(AIModel).update({"is_for_sale": True, "sold_until": None})
    session.commit()


@pytest.mark.parametrize("name", ["deepseek-flash", "deepseek-v4-pro", "deepseek-chat"])
def test_a_price_of_the_hour_is_the_vendors_at_every_edge_of_a_working_day(name: str, session: Database) -> None:
    vendors = vendor_model("DeepSeek", name)
    moments = [WORKING_DAY + edge for edge in EDGES] + [datetime(2026, 8, 14, 23, 59, tzinfo=UTC)]
    ours = [AIModel.to_sell(name, at)[1] for at in moments]
    theirs = [figures_of(vendors.get_prices(at)) for at in moments]

    assert [{column: getattr(row, column) for column in theirs[0]} for row in ours] == theirs


@pytest.mark.parametrize(
    ("name", "peak", "usual"),
    [("deepseek-flash", 1_200, 600), pytest.param("deepseek-v4-pro", 3_960, 1_980, marks=pytest.mark.long)],
)
def test_deepseeks_peak_holds_at_each_hour_of_a_year_when_the_vendor_says(
    name: str, peak: int, usual: int, session: Database
) -> None:
    """Thirty minutes past each hour, and the minute before it, from the autumn of 2026 on."""
    prices = AIModel.named(name).prices
    begins = datetime(2026, 8, 31, tzinfo=UTC)
    moments = [begins + timedelta(hours=h, minutes=m) for h in range(365 * 24) for m in (-1, 30)]
    wrong = [at for at in moments if in_force(prices, at).output_nanos != (peak if is_peak(at) else usual) * 10**6]

    assert wrong == []
    assert AIModel.to_sell(name, datetime(2026, 10, 1, 2, tzinfo=UTC))[1].output_nanos == usual * 10**6


def test_a_price_of_a_weekday_begins_and_ends_by_the_clock_of_its_zone(session: Database) -> None:
    model = people.model("by-the-day", kind="demo")
    times = {"weekdays": "1", "zone": "Pacific/Auckland", "excepted_dates": "2026-11-30"}
    session.add(price(model, "1", "1", **times))
    session.commit()
    hours = [datetime(2026, 11, 22, 10, 59, tzinfo=UTC), datetime(2026, 11, 22, 11, tzinfo=UTC),
             datetime(2026, 11, 23, 10, 59, tzinfo=UTC), datetime(2026, 11, 23, 11, tzinfo=UTC),
             datetime(2026, 11, 29, 12, tzinfo=UTC)]  # fmt: skip

    assert [AIModel.to_sell("by-the-day", at)[1].output_nanos // 10**9 for at in hours] == [10, 1, 1, 10, 10]


def test_a_later_price_of_all_hours_ends_the_peaks_before_it(session: Database) -> None:
    """What the statement leaves out is what would not hold anyway."""
    model = AIModel.named("deepseek-flash")
    session.add(price(model, "1", "7", effective_from=DAY, approved_at=DAY))
    session.commit()
    moments = [DAY + timedelta(days=d, hours=h) for d in range(-3, 8) for h in (2, 5, 8)]
    by_hand = [in_force([p for p in model.prices if p.effective_from <= at], at).id for at in moments]

    assert [AIModel.to_sell("deepseek-flash", at)[1].id for at in moments] == by_hand
    assert {AIModel.to_sell("deepseek-flash", at)[1].output_nanos for at in moments if at >= DAY} == {7 * 10**9}


@pytest.mark.parametrize(("name", "day"), [("gemini-4-argon", (2026, 12, 1)), ("gemini-3.8-flash", (2027, 1, 1))])
def test_an_announced_price_begins_with_the_first_second_of_its_day(
    name: str, day: tuple[int, int, int], session: Database
) -> None:
    begins = datetime(*day, tzinfo=UTC)
    before, after = (AIModel.to_sell(name, at)[1] for at in (begins - timedelta(microseconds=1), begins))

    assert (after.output_nanos, after.effective_from) == (2 * before.output_nanos, begins)


def test_the_list_for_the_picker_has_the_same_prices_as_a_call(session: Database) -> None:
    for at in (DAY + timedelta(hours=2), DAY + timedelta(hours=5), datetime(2027, 6, 1, tzinfo=UTC)):
        offered = [*AIModel.for_sale(at), *AIModel.for_sale(at, is_embedding=True)]
        assert [price.id for _, price in offered] == [
            AIModel.to_sell(model.name, at, is_embedding=model.is_embedding)[1].id for model, _ in offered
        ]
        assert len(offered) == sum(not listed.get("makes_images") for listed in listed_models())


def test_the_narrower_hours_win_over_the_whole_day(session: Database) -> None:
    model = people.model("by-the-hour", kind="demo")
    session.add(price(model, "1", "1", from_minute=60, until_minute=120))
    session.commit()
    dearer, cheaper = (AIModel.to_sell("by-the-hour", DAY + timedelta(hours=hour))[1] for hour in (0.5, 1.5))

    assert (dearer.output_nanos, cheaper.output_nanos) == (10_000_000_000, 1_000_000_000)


@pytest.mark.parametrize("column", [f"{bucket}_nanos" for bucket in TOKEN_BUCKETS] + ["image_nanos", "search_nanos"])
def test_a_negative_price_cannot_be_stored(column: str, session: Database) -> None:
    session.add(price(AIModel.named("gpt-4o"), "1", "1", **{column: -1, "effective_from": utcnow()}))

    with pytest.raises(IntegrityError, match=f"ck_model_prices_{column}_not_negative"):
        session.flush()


@pytest.mark.parametrize("column", [f"{bucket}_nanos" for bucket in TOKEN_BUCKETS])
def test_a_price_of_tokens_cannot_be_left_out(column: str, session: Database) -> None:
    session.add(price(AIModel.named("gpt-4o"), "1", "1", **{column: None, "effective_from": utcnow()}))

    with pytest.raises(IntegrityError):
        session.flush()


@pytest.mark.parametrize("hours", [(60, 60), (120, 60), (-1, 60), (0, 1441)])
def test_hours_that_are_none_cannot_be_stored(hours: tuple[int, int], session: Database) -> None:
    times = {"from_minute": hours[0], "until_minute": hours[1], "effective_from": utcnow()}
    session.add(price(AIModel.named("gpt-4o"), "1", "1", **times))

    with pytest.raises(IntegrityError):
        session.flush()


def test_two_approved_prices_cannot_hold_the_same_place(session: Database) -> None:
    session.add(price(AIModel.named("gpt-4o"), "1", "1", effective_from=DAY))
    session.add(price(AIModel.named("gpt-4o"), "2", "2", effective_from=DAY))

    with pytest.raises(IntegrityError):
        session.flush()


def test_an_unapproved_price_is_not_in_force(session: Database) -> None:
    proposal = price(AIModel.named("gpt-4o"), "1", "1", effective_from=DAY, approved_at=None)
    session.add(proposal)
    session.commit()

    assert AIModel.to_sell("gpt-4o", DAY + timedelta(days=1))[1].id != proposal.id


def test_a_model_before_its_first_price_is_not_for_sale(session: Database) -> None:
    with pytest.raises(Refusal) as refusal:
        AIModel.to_sell("gpt-4o", datetime(2019, 12, 31, tzinfo=UTC))

    assert refusal.value.code == "model_not_for_sale"
    assert "gpt-4o" in text_of(refusal.value)


def test_a_second_seed_changes_nothing(session: Database) -> None:
    AIModel.named("gpt-4o").title = "Renamed by an admin"
    session.commit()
    before = [tuple(row) for row in session.execute(select(ModelPrice.__table__))]
    seeds.seed_catalogue()
    session.commit()

    assert [tuple(row) for row in session.execute(select(ModelPrice.__table__))] == before
    assert AIModel.named("gpt-4o").title == "Renamed by an admin"


@pytest.mark.parametrize(("environment_name", "is_enabled"), [("production", False), ("development", True)])
def test_demo_answers_are_not_sold_in_production(
    environment_name: str, is_enabled: bool, app: Flask, session: Database
) -> None:
    session.query(ImagePrice).delete()
    session.query(ModelPrice).delete()
    session.query(AIModel).delete()
    session.query(ProviderAccount).delete()
    app.config["APP_ENV"] = environment_name
    seeds.seed_catalogue()

    assert session.query(ProviderAccount).filter_by(name="Demo").one().is_enabled is is_enabled


def test_a_vendors_retired_models_are_listed_but_switched_off() -> None:
    off = {model["name"] for model in listed_models() if model.get("is_for_sale") is False}

    assert off == {
        "claude-3-5-sonnet-20241022",
        "claude-3-5-haiku-20241022",
        "gemini-2.0-flash",
        "deepseek-chat",
    }


def test_approving_a_price_of_the_past_lets_it_begin_now(session: Database) -> None:
    proposal = price(AIModel.named("gpt-4o"), "1", "1", effective_from=DAY - timedelta(days=9), approved_at=None)
    session.add(proposal)
    with time_machine.travel(DAY, tick=False):
        proposal.approve()
    session.commit()

    assert (proposal.effective_from, proposal.approved_at) == (DAY, DAY)
