"""The clock and the accounts that the tests of the models share."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from app.models.identity.account import Account
from app.models.metering.account_state import AccountState
from app.models.metering.refusal import Refusal
from app.web.refusals import text_of
from tests.models.subscription_scenario import BEGIN, Deal
from tests.support import Database
from tests.support.people import CREDIT, person

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def account(session: Database) -> Account:
    """ada's personal account, as it is opened."""
    return person("ada")


@pytest.fixture
def in_january() -> Iterator[None]:
    with time_machine.travel(BEGIN, tick=False):
        yield


@pytest.fixture
def deal(in_january: None, session: Database) -> Deal:
    return Deal("Plus")


@pytest.fixture
def account_state(session: Database) -> AccountState:
    """100 credits of allowance and nothing bought, today not begun, the period over in a week."""
    account = person("ada", allowance=100 * CREDIT)
    result = AccountState.load(account.id)
    return replace(result, day=NOON.date(), period_end=NOON + timedelta(days=7), daily_limit=None)


def refusal(check: Callable[[], object]) -> Refusal:
    """What the check refuses, with all that its sentence needs."""
    with pytest.raises(Refusal) as refused:
        check()
    assert text_of(refused.value)
    return refused.value
