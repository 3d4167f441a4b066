"""What an account's owner is told of by mail and on the page: a low balance, a used-up limit, unusual spending."""

from datetime import datetime

from app.models.metering.account_state import AccountState

SOFTER_PERCENT = 85
"""Of the bars at which spending pauses: above it, spending is unusual."""


def due_alerts(state: AccountState, at: datetime) -> set[str]:
    """Those that hold and are wanted: "low_balance", "daily_limit", "window_limit", "unusual_spending"."""
    is_low = state.alert_below is not None and state.allowance + state.credits < state.alert_below
    is_day_used = state.daily_limit is not None and state.used_on(at) >= state.daily_limit
    is_window_used = state.window_limit is not None and state.used_in_window(at) >= state.window_limit
    alerts = {
        "low_balance": is_low,
        "daily_limit": is_day_used and state.alerts_daily_limit,
        "window_limit": is_window_used and not is_day_used and state.alerts_daily_limit,
        "unusual_spending": is_unusual(state, at),
    }
    return {name for name, is_so in alerts.items() if is_so}


def is_unusual(state: AccountState, at: datetime) -> bool:
    """Whether spending has passed the softer bars, which only tell."""
    if state.breaker == "off" or state.kind == "house":
        return False
    soft_hour, soft_day = (bar * SOFTER_PERCENT // 100 for bar in state.bars)
    return state.spent_in_hour(at) > soft_hour or state.spent_on(at) > soft_day
