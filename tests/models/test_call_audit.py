"""The audit of calls: a sold price stands, and whatever a row says that its buckets and price do not is named."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError

from app.models.base import utcnow
from app.models.billing.call_audit import CallAudit, audit_calls
from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import Plan
from app.models.catalog.price import ModelPrice
from app.models.identity.account import Account
from app.models.metering.reservation import settle
from app.models.metering.usage import Usage
from app.models.operations.audit_log import AdminChange
from app.payments import jobs
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.support import Database
from tests.support.calls import reserve
from tests.support.people import CREDIT, actor, give, model, person, price

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PROMPT = Prompt("m", (PromptMessage("user", "x" * 2000),), 4000)
SEEN = TokenUsage(uncached_input=500, cache_read=100, output=700, source="reported")
TRIGGERS = {
    "sqlite": ("model_prices_sold_update", "model_prices_sold_delete"),
    "postgresql": ("model_prices_sold",),
}
pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


@pytest.fixture(autouse=True)
def at_noon(database_kind: str):
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def ada(app: Flask, session: Database) -> Account:
    model("m", kind="demo", dollars_in="2.5", dollars_out="10")
    account = person("ada", allowance=10 * CREDIT, credits=30 * CREDIT)
    session.commit()
    return account


def call(account: Account, clock: Any, minutes: int = 1, usage: TokenUsage = SEEN, outcome: str = "done") -> int:
    """A call that ends some minutes after the one before; its id."""
    clock.shift(timedelta(minutes=minutes))
    reservation = reserve(actor(account), PROMPT, AIModel.to_sell("m", utcnow())[1])
    settle(reservation, usage, outcome)
    return reservation.usage_id


def change(session: Database, call_id: int, **columns: Any) -> None:
    session.execute(update(Usage).where(Usage.id == call_id).values(**columns))
    session.commit()


def test_calls_as_they_were_settled_are_explained(ada: Account, session: Database, at_noon: Any) -> None:
    for outcome in ("done", "stopped", "failed", "done", "done"):
        call(ada, at_noon, outcome=outcome)
    session.commit()

    findings = audit_calls()
    assert (findings.calls, findings.all()) == (5, [])


@pytest.mark.parametrize("statement", ["UPDATE model_prices SET output_nanos = 1 WHERE id = :id",
                                       "UPDATE model_prices SET effective_from = created_at WHERE id = :id",
                                       "DELETE FROM model_prices WHERE id = :id"])  # fmt: skip
def test_the_database_refuses_to_change_a_price_that_was_sold_at(
    statement: str, ada: Account, session: Database, at_noon: Any
) -> None:
    sold = AIModel.named("m").prices[0]
    other = price(sold.model, "9", "9", effective_from=NOON + timedelta(days=9))
    session.add(other)
    call(ada, at_noon)
    session.commit()
    session.execute(text(statement), {"id": other.id})
    with pytest.raises(DBAPIError, match="a price that calls were sold at is never changed"):
        session.execute(text(statement), {"id": sold.id})
    session.rollback()


def test_a_price_that_was_changed_all_the_same_is_named_with_its_calls(
    ada: Account, session: Database, at_noon: Any
) -> None:
    calls = [call(ada, at_noon) for _ in range(3)]
    row = AIModel.named("m").prices[0]
    session.commit()
    kind = session.connection().dialect.name
    for trigger in TRIGGERS[kind]:
        session.execute(text(f"DROP TRIGGER {trigger}" + (" ON model_prices" if kind == "postgresql" else "")))
    session.execute(update(ModelPrice).where(ModelPrice.id == row.id).values(output_nanos=20 * 10**9))
    session.commit()

    [finding] = audit_calls().all()
    assert (finding.check, finding.price_id, finding.count) == ("another cost", row.id, 3)
    assert finding.calls == [(number, 8_500_000, 15_500_000) for number in calls]
    assert finding.text.startswith(
        f"price row {row.id}: 3 with another cost (call {calls[0]}: 8500000, derived 15500000"
    )


@pytest.mark.parametrize(
    ("columns", "checks"),
    [
        ({"cache_read": 101}, {"another cost"}),
        ({"output": 701}, {"another cost"}),
        ({"images": 1}, {"another cost"}),
        ({"cost_nanos": 8_500_001}, {"another cost", "payers that do not add up"}),
        ({"credits_paid_nanos": 1}, {"payers that do not add up"}),
        ({"absorbed_nanos": 5}, {"payers that do not add up", "a cost absorbed that could be paid"}),
        ({"reserved_nanos": 8_499_999}, {"more paid than its ceiling"}),
    ],
)
def test_a_changed_row_is_named_by_what_is_wrong_with_it(
    columns: dict[str, int], checks: set[str], ada: Account, session: Database, at_noon: Any
) -> None:
    number = call(ada, at_noon)
    session.commit()
    change(session, number, **columns)

    findings = audit_calls().all()
    assert {finding.check for finding in findings} == checks
    assert all(finding.calls[0][0] == number for finding in findings)


def test_credits_that_paid_into_debt_beside_an_allowance_are_named(
    ada: Account, session: Database, at_noon: Any
) -> None:
    number = call(ada, at_noon)
    ada = Account.locked(ada.id)
    ada.allowance_nanos, ada.credits_nanos = ada.allowance_nanos + 8_500_000, -1 * CREDIT
    session.commit()
    change(session, number, allowance_paid_nanos=0, credits_paid_nanos=8_500_000)

    assert [finding.check for finding in audit_calls().all()] == ["a debt beside an allowance"]


def test_a_debt_below_the_overdraft_is_named_unless_a_refund_made_it(
    ada: Account, session: Database, at_noon: Any
) -> None:
    call(ada, at_noon)
    account = Account.locked(ada.id)
    give(account, credits=-500 * CREDIT)
    at_noon.shift(timedelta(minutes=1))
    session.commit()
    assert audit_calls().all() == []
    number = call_that_took(session, account, 8_500_000)

    [finding] = audit_calls().all()
    assert (finding.check, finding.calls[0][0]) == ("a debt below the overdraft", number)


def call_that_took(session: Database, account: Account, nanos: int) -> int:
    """What no gate lets through: a call of an account that is far below its overdraft."""
    account.allowance_nanos, account.credits_nanos = 0, account.credits_nanos - nanos
    user_id, row = account.memberships[0].user_id, AIModel.named("m").prices[0]
    settled = {"state": "settled", "outcome": "done", "settled_at": utcnow(), "day": utcnow().date()}
    usage = Usage(account_id=account.id, user_id=user_id, model="m", price_id=row.id, reserved_nanos=nanos, **settled)
    usage.max_output_tokens, usage.output = 4000, 850
    usage.cost_nanos = usage.credits_paid_nanos = nanos
    session.add(usage)
    session.commit()
    return usage.id


def test_an_allowance_that_pays_beside_an_older_debt_is_no_new_one(
    ada: Account, session: Database, at_noon: Any
) -> None:
    """A refund took more credits than there were; the allowance of the next month pays a call."""
    plus = session.query(Plan).filter_by(name="Plus").one()
    bob = person("bob", plan=plus, allowance=600 * CREDIT, credits=-500 * CREDIT)
    session.commit()
    call(bob, at_noon)
    session.commit()

    assert audit_calls().all() == []


def test_two_calls_whose_moments_stand_in_the_other_order_are_true_rows(
    ada: Account, session: Database, at_noon: Any
) -> None:
    """The call that used the allowance up was written first, and read its clock a second later."""
    account = Account.locked(ada.id)
    give(account, allowance=-10 * CREDIT, credits=-30 * CREDIT)
    give(account, allowance=8_500_000)
    at_noon.shift(timedelta(minutes=1))
    in_debt = call_that_took(session, account, 8_500_000)
    at_noon.shift(timedelta(seconds=1))
    account.credits_nanos += 8_500_000
    by_allowance = call_that_took(session, account, 8_500_000)
    change(session, by_allowance, allowance_paid_nanos=8_500_000, credits_paid_nanos=0)
    assert in_debt < by_allowance

    assert audit_calls().all() == []
    change(session, in_debt, settled_at=utcnow() - timedelta(seconds=30))
    assert [finding.check for finding in audit_calls().all()] == ["a debt beside an allowance"]


def test_an_overdraft_that_was_higher_once_is_remembered(ada: Account, session: Database, at_noon: Any) -> None:
    account = Account.locked(ada.id)
    give(account, allowance=-10 * CREDIT, credits=-30 * CREDIT - 45 * CREDIT)
    at_noon.shift(timedelta(minutes=1))
    session.commit()
    call_that_took(session, account, 8_500_000)
    assert [finding.check for finding in audit_calls().all()] == ["a debt below the overdraft"]
    edit = AdminChange(
        actor_id=account.memberships[0].user_id, action="edit", subject="settings", subject_id="overdraft"
    )
    edit.changes = {"value": [str(60 * CREDIT), str(50 * CREDIT)]}
    session.add(edit)
    session.commit()

    assert audit_calls().all() == []


def test_calls_of_one_moment_are_not_accused_of_an_order_that_nobody_kept(
    ada: Account, session: Database, at_noon: Any
) -> None:
    """Two at once use up the allowance and begin with the credits; their moments of settling are the same."""
    at_noon.shift(timedelta(minutes=1))
    sold = AIModel.to_sell("m", utcnow())[1]
    short = Prompt("m", (PromptMessage("user", "x"),), 700)
    running = [reserve(actor(ada), short, sold) for _ in range(2)]
    for reservation in reversed(running):
        settle(reservation, TokenUsage(uncached_input=10, output=700, source="reported"), "done")
    session.commit()

    assert audit_calls().all() == []


def test_the_command_names_row_and_calls_and_says_how_far_it_is(
    ada: Account, app: Flask, session: Database, at_noon: Any
) -> None:
    number = call(ada, at_noon)
    session.commit()
    good = app.test_cli_runner().invoke(args=["billing", "audit", "--calls"])
    change(session, number, output=1)
    bad = app.test_cli_runner().invoke(args=["billing", "audit", "--calls"])
    as_json = app.test_cli_runner().invoke(args=["billing", "audit", "--calls", "--json"])
    later = app.test_cli_runner().invoke(args=["billing", "audit", "--calls", "--since", "2026-11-21"])

    assert (good.exit_code, "1 calls: every one is explained." in good.output) == (0, True)
    assert "1 of 1 calls" in good.output
    assert (bad.exit_code, f"call {number}: 8500000, derived" in bad.output) == (1, True)
    assert json.loads(as_json.stdout)["findings"][0]["calls"][0][0] == number
    assert (later.exit_code, later.stdout) == (0, "0 calls: every one is explained.\n")


def test_each_night_the_day_before_is_audited_once(ada: Account, app: Flask, session: Database, at_noon: Any) -> None:
    number = call(ada, at_noon)
    change(session, number, output=1)
    assert jobs.audit_calls() == 0
    at_noon.shift(timedelta(days=1))
    call(ada, at_noon)
    session.commit()

    assert (jobs.audit_calls(), jobs.audit_calls()) == (1, None)
    last = CallAudit.last()
    assert (last.day, last.calls, last.differing) == (NOON.date(), 1, 1)
    assert f"call {number}" in last.findings[0]
