"""Statements: what is listed adds up, and each month begins where the one before ended."""

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.audit import audit
from app.models.billing.ledger import LedgerEntry
from app.models.billing.statement import Balances, month_start, months_of, statement_of, sum_of
from app.models.identity.account import Account
from app.models.identity.membership import Membership
from app.models.metering.member_limit import next_month
from app.models.metering.usage import Usage
from tests.support import Database, people

MONTHS = 12
HISTORIES = int(os.environ.get("STATEMENT_HISTORIES", "3"))
"""Of twelve months each."""
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def history(session: Database, account: Account, dice: Random) -> None:
    """A year of entries and calls, at any moment of it."""
    model, members = people.model("gpt-test"), [one.user_id for one in account.memberships]
    seconds = int((FIRST.replace(year=2027) - FIRST).total_seconds()) - 1
    for number in range(dice.randint(5, 80)):
        at = FIRST + timedelta(seconds=dice.randint(0, seconds))
        amount = dice.randint(0, 10**9)
        if dice.random() < 0.4:
            entry = LedgerEntry.post(account, "grant", f"grant:{number}", allowance=amount, credits=amount // 3)
            entry.created_at = at
            continue
        paid = {"allowance_paid_nanos": amount // 2, "credits_paid_nanos": amount - amount // 2}
        call = Usage(account_id=account.id, user_id=dice.choice(members), model=model.name, price_id=model.prices[0].id)
        call.state, call.outcome, call.day, call.reserved_nanos = "settled", "done", at.date(), amount
        call.max_output_tokens, call.cost_nanos, call.created_at, call.settled_at = 100, amount, at, at
        for name, nanos in paid.items():
            setattr(call, name, nanos)
        session.add(call)
        account.allowance_nanos -= paid["allowance_paid_nanos"]
        account.credits_nanos -= paid["credits_paid_nanos"]


def team() -> Account:
    """Of three."""
    account = people.person("ada", allowance=10**12, credits=10**12)
    account.kind = "team"
    for name in ("bob", "eve"):
        account.memberships.append(Membership(user=people.person(name).owner, role="member"))
    db.session.flush()
    return account


@pytest.mark.databases("sqlite", "postgresql", short="in turns")
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_every_month_adds_up_and_begins_where_the_one_before_ended(session: Database, seed: int) -> None:
    account = team()
    for entry in session.query(LedgerEntry):
        entry.created_at = FIRST - timedelta(days=10)
    account.created_at = FIRST - timedelta(days=20)
    history(session, account, Random(seed))  # noqa: S311
    session.commit()
    assert list(audit()) == []

    month, before = FIRST, None
    for _ in range(MONTHS):
        made = statement_of(account, month, utcnow())
        entered = sum_of(Balances(one.allowance_nanos, one.credits_nanos) for one in made.entries)
        assert made.opening.plus(entered).minus(sum_of(line.paid for line in made.lines)) == made.closing
        by_member = Counter[str]()
        for line in made.lines:
            by_member[line.member] += line.paid.total
        assert made.opening.total + entered.total - by_member.total() == made.closing.total
        paid = Counter[str]()
        for call in db.session.query(Usage).filter_by(account_id=account.id, state="settled"):
            if call.settled_at.strftime("%Y-%m") == f"{month:%Y-%m}":
                paid[call.user.name] += call.paid_nanos
        assert dict(by_member) == dict(paid)
        assert before is None or made.opening == before
        month, before = next_month(month), made.closing
    assert before == Balances(account.allowance_nanos, account.credits_nanos)


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "november", "2026-11-01", "", "2026-11\x00"])
def test_what_is_no_month_has_no_statement(text: str) -> None:
    assert month_start(text) is None


def test_a_month_is_final_a_day_after_its_end(session: Database) -> None:
    account = people.person("ada")
    ends = datetime(2026, 2, 1, tzinfo=UTC)
    finals = [statement_of(account, FIRST, ends + timedelta(hours=hours)).is_final for hours in (23, 24)]
    assert finals == [False, True]


def test_a_running_months_lines_are_of_today(session: Database) -> None:
    """And those of a month that is over, of its last day."""
    account, ends = people.person("ada"), datetime(2026, 2, 1, tzinfo=UTC)
    days = [statement_of(account, FIRST, now).last_day for now in (FIRST, ends - timedelta(minutes=1), utcnow())]
    assert [day.isoformat() for day in days] == ["2026-01-01", "2026-01-31", "2026-01-31"]


def test_there_is_a_statement_from_the_accounts_first_month_on(session: Database) -> None:
    account = people.person("ada")
    account.created_at = datetime(2026, 9, 30, 23, 59, tzinfo=UTC)
    months = months_of(account, datetime(2026, 11, 1, tzinfo=UTC))
    assert [f"{month:%Y-%m}" for month in months] == ["2026-11", "2026-10", "2026-09"]
