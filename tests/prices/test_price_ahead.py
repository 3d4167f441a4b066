"""A price to come: in the list of models, in an estimate of the day before, and told to those whom it touches."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from app.catalog import price_entry
from app.generation.model_jobs import tell_of_prices
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price_ahead import prices_ahead
from app.models.identity.account import Account
from app.models.metering.usage import Usage
from app.models.operations.outbox import OutgoingMail
from tests.support import Database, people
from tests.support.people import price

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 29, tzinfo=UTC)
YEAR = timedelta(days=366)
pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


@pytest.fixture(autouse=True)
def at_noon(database_kind: str):
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def offered(app: Flask, session: Database) -> AIModel:
    session.query(AIModel).update({"is_for_sale": False})
    model = people.model("m", kind="demo", dollars_in="2.5", dollars_out="10")
    session.commit()
    return model


def used(session: Database, account: Account, count: int, days_ago: int = 1) -> None:
    """Calls of 1,000 tokens in and 500 out: 7,500,000 nanos at 2.50 and 10."""
    at, row = utcnow() - timedelta(days=days_ago), AIModel.named("m").prices[0]
    whose = {"account_id": account.id, "user_id": account.memberships[0].user_id}
    times = {"created_at": at, "settled_at": at, "day": at.date(), "state": "settled", "outcome": "done"}
    for _ in range(count):
        call = Usage(model="m", price_id=row.id, reserved_nanos=10**8, max_output_tokens=4000, **whose, **times)
        call.uncached_input, call.output = 1_000, 500
        call.cost_nanos = call.credits_paid_nanos = 7_500_000
        session.add(call)
    session.commit()


def test_the_first_change_to_come_is_known(offered: AIModel, session: Database) -> None:
    session.add(price(offered, "2.5", "10", effective_from=NOON + timedelta(days=1)))
    session.add(price(offered, "5", "20", effective_from=NOON + timedelta(days=3)))
    session.add(price(offered, "9", "90", effective_from=NOON + timedelta(days=2), approved_at=None))
    session.add(price(offered, "7", "70", effective_from=NOON + timedelta(days=9)))
    session.commit()

    [ahead] = prices_ahead(NOON, YEAR)
    assert ahead.begins == NOON + timedelta(days=3)
    assert (ahead.now.output_nanos, ahead.then.output_nanos) == (10 * 10**9, 20 * 10**9)
    assert prices_ahead(NOON, timedelta(days=2)) == []


def test_what_ends_before_or_cannot_be_called_has_no_price_to_come(offered: AIModel, session: Database) -> None:
    session.add(price(offered, "5", "20", effective_from=NOON + timedelta(days=3)))
    offered.sold_until = NOON + timedelta(days=3)
    session.commit()
    assert prices_ahead(NOON, YEAR) == []
    offered.sold_until, offered.provider.is_enabled = None, False
    session.commit()
    assert prices_ahead(NOON, YEAR) == []


def test_a_peak_to_come_is_shown_by_the_usual_price(offered: AIModel, session: Database) -> None:
    session.add(price(offered, "3", "12", effective_from=MIDNIGHT))
    session.add(price(offered, "6", "24", effective_from=MIDNIGHT, until_minute=60, weekdays="7"))
    session.commit()

    [ahead] = prices_ahead(NOON, YEAR)
    assert (ahead.then.output_nanos, ahead.price_then().output_nanos) == (12 * 10**9, 24 * 10**9)


def test_those_who_used_the_model_are_told_once_with_their_own_figures(offered: AIModel, session: Database) -> None:
    ada, bob, boss = (people.person(name) for name in ("ada", "bob", "boss"))
    boss.memberships[0].user.admin_role = "owner"
    used(session, ada, 3)
    used(session, bob, 1, days_ago=31)
    price_entry.add("m", {"uncached_input": "5", "output": "20"}, MIDNIGHT)
    session.commit()

    assert (tell_of_prices(), tell_of_prices()) == (1, 0)
    mails = {mail.to: mail for mail in session.scalars(select(OutgoingMail))}
    assert {"ada@example.com", "boss@example.com"} <= set(mails)
    assert "bob@example.com" not in mails
    own = mails["ada@example.com"].context
    assert (own["calls"], own["cost_now"], own["cost_then"]) == (3, "22.5 credits", "45 credits")
    assert (own["input_now"], own["output_then"]) == ("2,500", "20,000")
    assert own["begins"] == "29 November 2026, 00:00 UTC"
    assert mails["boss@example.com"].context["people"] == 1


def test_a_price_more_than_thirty_days_ahead_is_told_later(offered: AIModel, session: Database, at_noon: Any) -> None:
    ada = people.person("ada")
    used(session, ada, 1)
    price_entry.add("m", {"uncached_input": "5", "output": "20"}, NOON + timedelta(days=31))
    session.commit()
    assert tell_of_prices() == 0
    at_noon.shift(timedelta(days=1))
    assert tell_of_prices() == 1
