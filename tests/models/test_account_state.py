"""An account's figures at a moment: what they call for, and what a new day makes of them. billing-rules.md 4."""

from dataclasses import replace
from datetime import date, timedelta

from app.models.metering.account_state import AccountState
from app.models.metering.alerts import due_alerts
from app.models.metering.balance import Clock
from tests.models.conftest import NOON


def test_alerts_come_below_what_was_chosen_and_with_the_days_last_credit(account_state: AccountState) -> None:
    told = replace(account_state, allowance=3, credits=4, alert_below=8, daily_limit=5, day_used=5)
    assert due_alerts(told, NOON) == {"low_balance"}
    assert due_alerts(replace(told, alert_below=7), NOON) == set()
    assert due_alerts(replace(told, alerts_daily_limit=True, alert_below=None), NOON) == {"daily_limit"}
    assert due_alerts(replace(told, alerts_daily_limit=True, alert_below=None, day_used=4), NOON) == set()
    assert due_alerts(replace(told, alerts_daily_limit=True, alert_below=None, daily_limit=None), NOON) == set()


def test_a_used_up_window_is_told_of_until_the_next_begins(account_state: AccountState) -> None:
    used = {"window_hours": 5, "window_limit": 5, "window_used": 5, "window_start": Clock.at(NOON).window(5)}
    told = replace(account_state, alerts_daily_limit=True, **used)
    assert due_alerts(told, NOON) == {"window_limit"}
    assert due_alerts(replace(told, window_used=4), NOON) == due_alerts(told, NOON + timedelta(hours=3)) == set()
    assert due_alerts(replace(told, alerts_daily_limit=False), NOON) == set()
    assert due_alerts(replace(told, daily_limit=5, day_used=5), NOON) == {"daily_limit"}


def test_auto_recharge_is_needed_below_its_threshold(account_state: AccountState) -> None:
    low = replace(account_state, allowance=3, credits=4, recharge_below=8)
    assert (low.needs_recharge, replace(low, recharge_below=7).needs_recharge) == (True, False)
    assert not replace(low, recharge_below=None).needs_recharge


def test_a_new_day_begins_with_nothing_used_and_a_clock_put_back_begins_none(
    account_state: AccountState,
) -> None:
    used = replace(account_state, day_used=5, day_absorbed=6)
    tomorrow = used.apply(NOON + timedelta(days=1), day_used=1)
    assert (tomorrow.day, tomorrow.day_used, tomorrow.day_absorbed) == (date(2026, 4, 1), 1, 0)
    back = used.apply(NOON - timedelta(days=1), day_used=1, day_absorbed=1)
    assert (back.day, back.day_used, back.day_absorbed) == (NOON.date(), 6, 7)
    assert AccountState.load(account_state.account_id).day_used == 6


def test_spending_is_within_its_bars_up_to_each_of_them(account_state: AccountState) -> None:
    hour = NOON.replace(minute=0)
    state = replace(account_state, reserved=5, hour=hour, hour_spent=5, day=NOON.date(), day_spent=15)
    for bars, is_within in (((10, 20), True), ((9, 20), False), ((10, 19), False)):
        assert state.is_within(NOON, bars) is is_within
    assert state.is_within(NOON + timedelta(hours=1), (5, 20)) is True
    assert state.is_within(NOON + timedelta(days=1), (5, 5)) is True
