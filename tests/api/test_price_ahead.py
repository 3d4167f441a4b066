"""A price to come, as programs and the chat see it."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from app.extensions import db
from app.models.catalog.ai_model import AIModel
from tests.chat.conftest import Door
from tests.support.people import price

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def later(**ahead: float) -> None:
    """The test's model costs twice as much from then on."""
    begins = NOON + timedelta(**ahead)
    db.session.add(price(AIModel.named("gpt-test"), "5", "20", effective_from=begins))
    db.session.commit()


def test_the_list_of_models_names_the_next_price(ada: Door) -> None:
    with time_machine.travel(NOON, tick=False):
        later(days=40)
        models = {model["id"]: model for model in ada.call("GET", "/models?limit=200").json["items"]}

    assert models["gpt-test"]["next_price"] == {
        "effective_from": "2027-01-07T12:00:00Z",
        "input_credits_per_mtok": "5000",
        "output_credits_per_mtok": "20000",
        "cache_read_credits_per_mtok": "5000",
    }
    assert models["gpt-4o"]["next_price"] is None


def test_an_estimate_of_the_day_before_shows_both_prices(ada: Door) -> None:
    with time_machine.travel(NOON, tick=False):
        before = ada.call("POST", "/estimate", json={"content": "hello", "model": "gpt-test"}).json
        later(hours=24)
        both = ada.call("POST", "/estimate", json={"content": "hello", "model": "gpt-test"}).json

    assert before["later"] is None
    assert both["later"]["effective_from"] == "2026-11-29T12:00:00Z"
    assert both["later"]["ceiling_nanos"] == 2 * both["ceiling_nanos"] == 2 * before["ceiling_nanos"]
    assert both["later"]["expected_nanos"] == 2 * both["expected_nanos"]


def test_a_price_of_another_day_is_no_part_of_an_estimate(ada: Door) -> None:
    with time_machine.travel(NOON, tick=False):
        later(hours=24, seconds=1)
        answer = ada.call("POST", "/estimate", json={"content": "hello", "model": "gpt-test"}).json

    assert answer["later"] is None
