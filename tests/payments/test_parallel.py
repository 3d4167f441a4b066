"""The same and different notices of one life, worked off by many at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import DBAPIError

from app.extensions import db
from app.models.billing.redemption import Redemption
from app.models.catalog.promotion_code import PromotionCode
from app.models.identity.account import Account
from app.payments import auto_recharge, jobs, refunds, webhook_events
from tests.payments.stripe_scenario import StripeScenario
from tests.support.people import person

pytestmark = pytest.mark.databases("sqlite", "postgresql")


def at_once(app: Flask, work: list[tuple[Any, ...]]) -> None:
    """Every job in a thread of its own; one that loses a race is left to the sweeper."""

    def run(job: tuple[Any, ...]) -> None:
        function, *identifiers = job
        with app.app_context():
            try:
                function(*identifiers)
            except DBAPIError:
                db.session.rollback()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(run, work))


def test_parallel_notices_of_one_life_end_as_they_would_one_by_one(scenario: StripeScenario, app: Flask) -> None:
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


def test_parallel_rings_make_one_recharge_and_one_refund(scenario: StripeScenario, app: Flask) -> None:
    """Some find it due, and others what one of them has begun: it is charged under one key."""
    scenario.turn_on_recharge(below=1000)
    attempt_id = auto_recharge.write_attempt(scenario.account_id)
    rings = [(auto_recharge.recharge, scenario.account_id), (auto_recharge.resolve, attempt_id)] * 5
    at_once(app, rings)
    scenario.work()
    assert (scenario.credits, len(scenario.recharges()), scenario.charges()) == (5000, 1, 1)
    wanted = refunds.request_refund(scenario.last_payment("recharge").id, 400, reason="asked").id
    scenario.commit()
    at_once(app, [(jobs.pay_back, wanted)] * 4)
    scenario.work()
    assert [one["amount"] for one in scenario.sandbox.running.sandbox.store.all("refund")] == [400]
    assert (scenario.credits, scenario.is_explained()) == (3000, True)


def test_the_last_code_raced_by_twenty_is_had_by_one(scenario: StripeScenario, app: Flask) -> None:
    code = PromotionCode(code="LAST", kind="discount", percent_bps=1000, most_redemptions=1)
    db.session.add(code)
    accounts = [person(f"racer{number}").id for number in range(20)]
    db.session.commit()

    def hold(account_id: int) -> None:
        account = Account.locked(account_id)
        Redemption.hold(db.session.get_one(PromotionCode, code_id), account, None)
        db.session.commit()

    code_id = code.id
    db.session.commit()
    at_once(app, [(hold, account_id) for account_id in accounts])
    db.session.expire_all()
    held = db.session.query(Redemption).filter_by(code_id=code_id, state="held").count()
    assert (held, db.session.get_one(PromotionCode, code_id).redeemed) == (1, 1)
