"""The rules as PostgreSQL computes them in the statements of a call: to the nano what Python computes."""

from dataclasses import astuple
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, bindparam, select

from app.db.compiled_statement import CompiledStatement
from app.extensions import db
from app.models.metering.balance import NO_LIMIT, Balance

pytestmark = pytest.mark.databases("postgresql")
AMOUNTS = st.integers(0, 10**12) | st.integers(0, 20)
SIGNED = AMOUNTS | AMOUNTS.map(lambda amount: -amount)
FIGURES = "allowance", "credits", "reserved", "daily_limit", "daily_used", "window_limit", "window_used"
LIMITS = "daily_limit", "window_limit"
NAMES = *FIGURES, "cost", "ceiling", "overdraft"
CASES = st.fixed_dictionaries({name: SIGNED if name == "credits" else AMOUNTS for name in NAMES})


def computed(case: dict[str, Any]) -> tuple[Any, ...]:
    balance = Balance(**{name: case[name] for name in FIGURES})
    paid = balance.pay(case["cost"], case["ceiling"], case["overdraft"])
    return balance.available, *astuple(paid)


BOUND: dict[str, Any] = {name: bindparam(name, type_=BigInteger) for name in NAMES}
BALANCE = Balance(**{name: BOUND[name] for name in FIGURES})
PAID = BALANCE.pay(BOUND["cost"], BOUND["ceiling"], BOUND["overdraft"])
COLUMNS: tuple[Any, ...] = BALANCE.available, PAID.allowance, PAID.credits, PAID.absorbed
STATEMENT = CompiledStatement(select(*COLUMNS))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=CASES, is_limited=st.booleans())
def test_a_cost_is_split_and_a_balance_counted_alike(
    app: Flask, case: dict[str, int], is_limited: bool
) -> None:
    sent = case if is_limited else case | dict.fromkeys(LIMITS, NO_LIMIT)
    with app.app_context():
        row = STATEMENT.one(db.session.connection(), sent)
    assert row == computed(case if is_limited else case | dict.fromkeys(LIMITS))  # type: ignore[dict-item]
