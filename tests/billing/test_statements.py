"""Statements as pages, CSV and a journal; for owners and admins of the account alone."""

import csv
import io
from decimal import Decimal
from pathlib import Path

import pytest
from beancount import loader

from app.models.base import utcnow
from app.models.identity.account import Account
from tests.payments.conftest import CustomerClient
from tests.payments.stripe_scenario import StripeScenario
from tests.support import Database, people


@pytest.fixture
def account(scenario: StripeScenario, session: Database) -> Account:
    people.give(scenario.account, allowance=5 * 10**9, credits=123_456_789)
    session.commit()
    return scenario.account


def month() -> str:
    return f"{utcnow():%Y-%m}"


def test_the_page_shows_what_came_and_what_is_left(customer: CustomerClient, account: Account) -> None:
    page = customer.page(f"/billing/statements/{month()}").text
    assert ("Opening balance" in page, "5,123.456789" in page) == (True, True)
    assert f"/billing/statements/{month()}" in customer.page("/billing/statements").text


def test_the_csv_adds_up(customer: CustomerClient, account: Account) -> None:
    text = customer.page(f"/billing/statements/{month()}.csv").text
    listed = list(csv.DictReader(io.StringIO(text)))
    rows = [(row["kind"], Decimal(row["total_credits"])) for row in listed]
    assert sum(amount for kind, amount in rows if kind != "closing") == rows[-1][1]
    assert rows[-1] == ("closing", Decimal("5123.456789"))
    assert listed[-1]["date"] == utcnow().date().isoformat()


def test_the_journal_balances_for_the_tool_of_its_format(
    customer: CustomerClient, account: Account, tmp_path: Path
) -> None:
    journal = tmp_path / "statement.beancount"
    journal.write_text(customer.page(f"/billing/statements/{month()}.beancount").text)
    entries, errors, _options = loader.load_file(str(journal))
    assert (errors, len(entries) > 6) == ([], True)


@pytest.mark.parametrize("unknown", ["2020-01", "2999-01", "2026-13", "november"])
def test_a_month_without_a_statement_is_not_found(customer: CustomerClient, account: Account, unknown: str) -> None:
    assert customer.page(f"/billing/statements/{unknown}").status_code == 404
