"""Alerts: a settle that takes a balance below what its owner chose, or uses up the day, rings once."""

from collections.abc import Callable

import pytest

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import Plan
from app.models.identity.account import Account
from app.models.metering.account_state import AccountState
from app.models.metering.alerts import due_alerts
from app.models.metering.reservation import Receipt, settle
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.support import Database
from tests.support.calls import reserve
from tests.support.people import CREDIT, actor, model, person


@pytest.fixture
def account(session: Database) -> Account:
    """ada, with 100 credits of allowance, 50 of them a day, and 30 bought."""
    model("m", kind="demo", dollars_out="100")
    plan = Plan(name="Daily", allowance_override_nanos=0, daily_limit_nanos=50 * CREDIT)
    return person("ada", plan=plan, allowance=100 * CREDIT, credits=30 * CREDIT)


@pytest.fixture
def call(account: Account) -> Callable[[int], Receipt]:
    """`call(20)`: a call that costs 20 credits."""

    def settled(credits: int) -> Receipt:
        db.session.flush()
        price = AIModel.to_sell("m", utcnow())[1]
        reservation = reserve(actor(account), Prompt("m", (PromptMessage("user", "hi"),), 600), price)
        return settle(reservation, TokenUsage(output=credits * 10, source="reported"), "done")

    return settled


def test_nothing_rings_until_it_is_chosen(call: Callable[[int], Receipt]) -> None:
    assert [call(50).needs_alert, call(20).needs_alert] == [False, False]


def test_a_used_up_day_rings_once(account: Account, call: Callable[[int], Receipt]) -> None:
    account.alerts_daily_limit = True
    assert [call(cost).needs_alert for cost in (40, 10, 5)] == [False, True, False]
    assert due_alerts(AccountState.load(account.id), utcnow()) == {"daily_limit"}


def test_a_low_balance_rings_once_and_beside_the_day(account: Account, call: Callable[[int], Receipt]) -> None:
    account.alerts_daily_limit, account.alert_below_nanos = True, 75 * CREDIT
    assert [call(cost).needs_alert for cost in (50, 10, 2)] == [True, True, False]
    assert due_alerts(AccountState.load(account.id), utcnow()) == {"daily_limit", "low_balance"}
