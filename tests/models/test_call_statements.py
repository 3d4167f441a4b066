"""The rules as PostgreSQL computes them in the statements of a call: to the nano what Python computes."""

from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, bindparam, select

from app.db.compiled_statement import CompiledStatement
from app.extensions import db
from app.models.metering.account_state import COLUMNS as OF_ACCOUNT
from app.models.metering.account_state import FIELDS, MOVED, AccountState
from app.models.metering.balance import NO_LIMIT, Balance, Clock
from app.models.metering.call_statements import BEGAN, BOUNDS, CLOCK, clock_values
from app.models.metering.gate_decision import Bounds, still_admits

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


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=CASES, is_limited=st.booleans())
def test_a_cost_is_split_and_a_balance_counted_alike(app: Flask, case: dict[str, int], is_limited: bool) -> None:
    sent = case if is_limited else case | dict.fromkeys(LIMITS, NO_LIMIT)
    with app.app_context():
        row = STATEMENT.one(db.session.connection(), sent)
    assert row == computed(case if is_limited else case | dict.fromkeys(LIMITS))  # type: ignore[dict-item]


NOON = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
MOMENTS = st.integers(-30, 30).map(lambda hours: NOON + timedelta(hours=hours))
HOURS = MOMENTS.map(lambda moment: moment.replace(minute=0))
OF = {
    "day": MOMENTS.map(datetime.date), "hour": HOURS, "window_start": HOURS, "running_calls": st.integers(0, 3),
    "daily_limit": st.none() | AMOUNTS, "frozen_at": st.none() | st.just(NOON), "closed_at": st.none(),
    "credits": SIGNED,
}  # fmt: skip
FIGURES_OF = st.fixed_dictionaries({name: OF.get(name, AMOUNTS) for name in (*MOVED, "daily_limit", "frozen_at")})
WINDOWS = st.just((None, None)) | st.tuples(st.integers(1, 12), AMOUNTS)
WITHIN = st.builds(Bounds, st.integers(0, 3), *([AMOUNTS] * 5))
HELD = AccountState(
    *(bindparam(f"of_{name}", type_=column.type) for name, column in zip(FIELDS, OF_ACCOUNT, strict=True))
)
DIFFERENCES = {"reserved": 7, "running_calls": 1, "day_used": 3, "window_used": 3}
AFTER = HELD.moved(CLOCK, **DIFFERENCES)
ASKED = CompiledStatement(
    select(
        *(getattr(AFTER, name) for name in MOVED),
        HELD.is_in_window(BEGAN, CLOCK),
        still_admits(HELD, CLOCK, BOUNDS),
    )
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(figures=FIGURES_OF, window=WINDOWS, now=MOMENTS, began=MOMENTS, within=WITHIN)
def test_days_hours_windows_and_what_admits_are_alike(
    app: Flask,
    figures: dict[str, Any],
    window: tuple[int | None, int | None],
    now: datetime,
    began: datetime,
    within: Bounds,
) -> None:
    known = dict.fromkeys(FIELDS) | figures | {"window_hours": window[0], "window_limit": window[1]}
    state, values = AccountState(**known), {f"of_{name}": value for name, value in known.items()}
    with app.app_context():
        row = ASKED.one(db.session.connection(), values | clock_values(now) | {"began": began} | within._asdict())
    moved = state.moved(now, **DIFFERENCES)
    *after, is_in_window, admits = row
    assert after == [getattr(moved, name) for name in MOVED]
    assert bool(is_in_window) == state.is_in_window(began, now)
    assert admits == still_admits(state, Clock.at(now), within)
