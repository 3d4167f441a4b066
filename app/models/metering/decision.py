"""What the gate decides, without a word of why: the same for a call that is made and for one that is replayed. Pure.

billing-rules.md 5 and 6. `gate_checks` and `affordability` say it to people.
"""

from __future__ import annotations

from app.models.catalog.rates import AnyRates
from app.models.metering.account_state import AccountState
from app.models.metering.balance import Balance

FEWEST_OUTPUT_TOKENS = 256


def plan_code(account_state: AccountState, *, has_key: bool) -> str | None:
    """What the plan has against any call at all."""
    if account_state.plan_status == "inactive":
        return "plan_inactive"
    return "api_not_in_plan" if has_key and not account_state.has_api else None


def takes_model(account_state: AccountState, model: str) -> bool:
    return not account_state.models or model in account_state.models


def funds_code(balance: Balance) -> str | None:
    """Something must be available for a call to begin."""
    if balance.available > 0:
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
