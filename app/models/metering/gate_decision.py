"""What the gate decides, without sentences: the same for a live call and a replayed one. Pure.

billing-rules.md 5 and 6. `gate_checks` and `affordability` say it to people. What the statement that moves the account
asks again, `still_admits`, is made of the same rules: figures, or columns.
"""

from typing import Any, NamedTuple

from app.models.catalog.rates import AnyRates
from app.models.metering.account_state import AccountState
from app.models.metering.balance import Balance, Clock, is_none

FEWEST_OUTPUT_TOKENS = 256


class Bounds(NamedTuple):
    """What a call was admitted within: calls at once, absorbed cost, its ceiling with the overdraft, the bars."""

    calls: Any
    absorbed: Any
    ceiling: Any
    overdraft: Any
    hour_bar: Any
    day_bar: Any


def still_admits(account_state: AccountState, at: Clock, bounds: Bounds) -> Any:
    """Whether the account, as it stands by now, admits what was decided on what was read."""
    balance = account_state.balance(at)
    is_bearable = account_state.absorbed_on(at) <= bounds.absorbed
    affords = has_funds(balance) & (bounds.ceiling <= balance.available + bounds.overdraft)
    is_usual = account_state.is_within(at, (bounds.hour_bar, bounds.day_bar))
    return is_open(account_state) & has_place(account_state, bounds.calls) & is_bearable & affords & is_usual


def is_open(account_state: AccountState) -> Any:
    """Neither frozen nor closed."""
    return is_none(account_state.frozen_at) & is_none(account_state.closed_at)


def has_place(account_state: AccountState, most_calls: Any) -> Any:
    """Whether one call more may run."""
    return account_state.running_calls < most_calls


def has_funds(balance: Balance) -> Any:
    """Something must be available for a call to begin."""
    return balance.available > 0


def plan_code(account_state: AccountState, *, has_key: bool) -> str | None:
    """What the plan has against any call at all."""
    if account_state.plan_status == "inactive":
        return "plan_inactive"
    return "api_not_in_plan" if has_key and not account_state.has_api else None


def takes_model(account_state: AccountState, model: str) -> bool:
    return not account_state.models or model in account_state.models


def funds_code(balance: Balance) -> str | None:
    """Why nothing is available."""
    if has_funds(balance):
        return None
    if balance.unreserved > 0:
        return "credits_reserved"
    if balance.allowance <= 0 or balance.usable > 0 or balance.credits > 0:
        return "out_of_credits"
    return "daily_limit_reached" if balance.day_rest == 0 else "window_limit_reached"


def floor_of(asked: int) -> int:
    """The shortest answer that is worth a call which asks for so much."""
    return min(FEWEST_OUTPUT_TOKENS, asked)


def output_within(rates: AnyRates, input_bound: int, asked: int, affordable: int) -> int | None:
    """As much output as is affordable, at most what was asked; None under the floor."""
    if rates.most_for(input_bound, asked) <= affordable:
        return asked
    output = min(asked, rates.output_tokens_for(affordable, input_bound))
    return output if output >= floor_of(asked) else None


def shortage_code(balance: Balance, overdraft: int, needed: int) -> str:
    """Why a call is refused whose shortest answer is not affordable."""
    return "credits_reserved" if needed <= balance.unreserved + overdraft else "request_too_large"
