"""The same and different notices of one life, worked off by many at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import DBAPIError

from app.payments import webhook_events
from app.payments import auto_recharge
from app.extensions import db
from tests.payments.stripe_scenario import Till

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


def test_parallel_notices_of_one_life_end_as_they_would_one_by_one(till: Till, app: Flask) -> None:
    till.sandbox.pay(till.begin_pack())
    till.sandbox.pay(till.begin_plan("Plus"))
    till.change_after_hearing("Pro")
    payment = till.last_payment("pack")
    till.sandbox.control("refund", payment_intent=payment.stripe_payment_intent_id, amount=400)
    till.sandbox.control("clock", to="next_renewal")
    events = till.store_all() * 2
    at_once(app, [(webhook_events.process, event_id) for event_id in events])
    till.make_events_due()
    till.work()
    assert (till.credits, till.allowance, till.account.plan.name) == (3000, 55000, "Pro")
    assert sorted(till.kinds()) == ["plan_change", "purchase", "refill", "refill", "refund"]
    assert till.events("received") == till.events("parked") == []
    assert till.is_explained()


def test_parallel_rings_make_one_recharge(till: Till, app: Flask) -> None:
    till.turn_on_recharge(below=1000)
    at_once(app, [(auto_recharge.recharge, till.account_id)] * 10)
    till.work()
    assert (till.credits, len(till.recharges()), till.charges()) == (5000, 1, 1)


def test_two_begin_a_look_at_once_and_get_different_tickets(till: Till, app: Flask) -> None:
    till.buy_pack()
    till.sandbox.pay(till.begin_plan("Plus"))
    events = till.store_all()
    at_once(app, [(webhook_events.process, event_id) for event_id in events for _ in range(3)])
    till.make_events_due()
    till.work()
    assert (till.allowance, till.kinds().count("refill")) == (10000, 1)
