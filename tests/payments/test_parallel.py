"""The same and different notices of one life, worked off by many at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import DBAPIError

from app.extensions import db
from app.payments import auto_recharge, webhook_events
from tests.payments.stripe_scenario import StripeScenario

pytestmark = pytest.mark.databases("sqlite", "postgresql")


def at_once(app: Flask, jobs: list[tuple[Any, ...]]) -> None:
    """Every job in a thread of its own; one that loses a race is left to the sweeper."""

    def run(job: tuple[Any, ...]) -> None:
        function, *identifiers = job
        with app.app_context():
            try:
                function(*identifiers)
            except DBAPIError:
                db.session.rollback()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(run, jobs))


def test_parallel_notices_of_one_life_end_as_they_would_one_by_one(
    scenario: StripeScenario, app: Flask
) -> None:
    scenario.sandbox.pay(scenario.begin_pack())
    scenario.sandbox.pay(scenario.begin_plan("Plus"))
    scenario.change_after_hearing("Pro")
    payment = scenario.last_payment("pack")
    scenario.sandbox.control("refund", payment_intent=payment.stripe_payment_intent_id, amount=400)
    scenario.sandbox.control("clock", to="next_renewal")
    events = scenario.store_all() * 2
    at_once(app, [(webhook_events.process, event_id) for event_id in events])
    scenario.make_events_due()
    scenario.work()
    assert (scenario.credits, scenario.allowance, scenario.account.plan.name) == (3000, 55000, "Pro")
    assert sorted(scenario.kinds()) == ["plan_change", "purchase", "refill", "refill", "refund"]
    assert scenario.events("received") == scenario.events("parked") == []
    assert scenario.is_explained()


def test_parallel_rings_make_one_recharge(scenario: StripeScenario, app: Flask) -> None:
    scenario.turn_on_recharge(below=1000)
    at_once(app, [(auto_recharge.recharge, scenario.account_id)] * 10)
    scenario.work()
    assert (scenario.credits, len(scenario.recharges()), scenario.charges()) == (5000, 1, 1)


def test_two_begin_a_look_at_once_and_get_different_tickets(scenario: StripeScenario, app: Flask) -> None:
    scenario.buy_pack()
    scenario.sandbox.pay(scenario.begin_plan("Plus"))
    events = scenario.store_all()
    at_once(app, [(webhook_events.process, event_id) for event_id in events for _ in range(3)])
    scenario.make_events_due()
    scenario.work()
    assert (scenario.allowance, scenario.kinds().count("refill")) == (10000, 1)
