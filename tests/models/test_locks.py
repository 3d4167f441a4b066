"""Whoever moves money waits for who does so already, and goes on from what that came to. On PostgreSQL."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import Plan
from app.models.identity.account import Account
from app.models.metering.account_state import AccountState
from app.models.metering.reservation import settle
from app.models.metering.usage import Usage
from app.models.operations.webhook_event import SyncVersion
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.support import Database
from tests.support.calls import reserve
from tests.support.people import CREDIT, actor, give, model

pytestmark = pytest.mark.databases("postgresql")
WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")


@pytest.fixture
def meanwhile(app: Flask, session: Database) -> Callable[[Callable[[], Any]], Any]:
    """`meanwhile(work)`: what `work` comes to at another connection, where it waits until this session commits."""

    def run(work: Callable[[], Any]) -> Any:
        with app.app_context():
            result = work()
            db.session.commit()
            return result

    def is_waiting(answer: Future[Any]) -> bool:
        with db.engine.connect() as other:
            while not answer.done():
                if other.execute(WAITING).scalar_one():
                    return True
                other.rollback()  # within a transaction PostgreSQL shows the same picture again
                time.sleep(0.01)
        return False

    def alongside(work: Callable[[], Any]) -> Any:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(run, work)
            waited = is_waiting(answer)
            session.commit()
            assert waited, "it went by what was true before"
            return answer.result()

    return alongside


@pytest.mark.parametrize(("hold", "figure"), [(Account.locked, "credits_nanos"), (AccountState.lock, "credits")])
def test_an_account_is_held_and_then_seen_as_it_is_by_then(
    account: Account, session: Database, meanwhile: Callable[..., Any], hold: Callable[[int], Any], figure: str
) -> None:
    account_id = account.id
    session.commit()
    Account.locked(account_id).credits_nanos = 7
    session.flush()
    assert meanwhile(lambda: getattr(hold(account_id), figure)) == 7


def test_an_account_whose_plan_changed_meanwhile_is_held_on_the_new_one(
    account: Account, session: Database, meanwhile: Callable[..., Any]
) -> None:
    account_id, other = account.id, session.query(Plan.id).filter(Plan.id != account.plan_id).limit(1).scalar()
    session.commit()
    Account.locked(account_id).plan_id = other
    session.flush()
    assert meanwhile(lambda: AccountState.lock(account_id).plan_id) == other


def test_a_call_is_settled_on_the_balance_that_is_there_by_then(
    account: Account, session: Database, meanwhile: Callable[..., Any]
) -> None:
    give(account, allowance=100 * CREDIT, credits=100 * CREDIT)
    model("m", kind="demo")
    price = AIModel.to_sell("m", utcnow())[1]
    held = reserve(actor(account), Prompt("m", (PromptMessage("user", "hi"),), 600), price)
    session.commit()
    Account.locked(account.id).allowance_nanos = 0
    session.flush()
    receipt = meanwhile(lambda: settle(held, TokenUsage(500, output=500), "done"))
    usage = session.get_one(Usage, receipt.usage_id)
    assert (usage.allowance_paid_nanos, usage.credits_paid_nanos) == (0, receipt.paid)
    assert account.credits_nanos == 100 * CREDIT - receipt.paid


def test_looks_that_begin_together_have_different_versions(session: Database, meanwhile: Callable[..., Any]) -> None:
    first = SyncVersion.begin("sub_1")
    assert meanwhile(lambda: SyncVersion.begin("sub_1")) == first + 1
    again = SyncVersion.begin("sub_1")
    assert meanwhile(lambda: SyncVersion.begin("sub_1")) == again + 1
