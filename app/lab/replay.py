"""One account under other terms: its entries, calls and refusals pass through the rules of the live path. Pure.

People do what they did. Times, prompts and answers are those of the record; balances, ceilings, payers and refusals are
derived anew by `AccountState`, `Balance` and `decision`, which decide about live calls.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from app.lab.scenario import Pair, Terms
from app.models.base import share
from app.models.billing.allowance import debt_repaid
from app.models.catalog.plan import Plan
from app.models.catalog.rates import Rates
from app.models.metering.account_state import AccountState
from app.models.metering.balance import Payment
from app.models.metering.call import settled_differences
from app.models.metering.decision import (
    floor_of,
    funds_code,
    output_within,
    plan_code,
    shortage_code,
    takes_model,
)
from app.models.metering.refusal import PricingError
from app.providers.base import TokenUsage


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the record, or one that was refused and would have begun (`is_guess`: its use is an ordinary one)."""

    id: int
    began: datetime
    ends: datetime | None
    plan_id: int
    model: str
    price_id: int
    has_key: bool
    ceiling: int
    asked: int
    is_paid: bool
    is_counted: bool
    usage: TokenUsage
    is_guess: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """A call that was admitted: what is held for it, and how much it may write."""

    call: Call
    ceiling: int
    output: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Ended:
    """What a call came to."""

    call: Call
    cost: int
    payment: Payment


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger entry of the record. `worth` is what it is scaled by: the same gift as it is, and as it would be."""

    at: datetime
    kind: str
    key: str
    allowance: int
    credits: int
    plan_id: int | None
    scale: tuple[int, int]


class Limits(NamedTuple):
    """What of an allowance may be used on a day, and in some hours: they come with its refill."""

    daily_limit: int | None
    window_hours: int | None
    window_limit: int | None

    @classmethod
    def of(cls, source: Plan | Any) -> Limits:
        """Of a plan, or of an account's row."""
        return cls(source.daily_limit_nanos, source.window_hours, source.window_limit_nanos)


NO_LIMITS = Limits(None, None, None)


def opening(
    account_id: int,
    kind: str,
    plan_id: int,
    at: datetime,
    *,
    allowance: int = 0,
    credits: int = 0,
    limits: Limits | None = None,
) -> AccountState:
    """An account at the midnight that the days begin with: nothing runs, nothing of the day is used.

    What froze or paused it then is not known.
    """
    return AccountState(
        account_id=account_id, kind=kind, plan_id=plan_id, allowance=allowance, credits=credits,
        reserved=0, running_calls=0, day=at.date(), day_used=0, day_absorbed=0, day_spent=0,
        hour=at, hour_spent=0, period_start=at, period_end=at, frozen_at=None, frozen_by=None, closed_at=None,
        recharge_below=None, alert_below=None, alerts_daily_limit=False, breaker="off", hour_bar=None, day_bar=None,
        spending_paused_at=None, breaker_off_until=None, paused_keys=0, plan_name="", plan_status="active", models=[],
        has_api=True, parallel_calls=None, chats_per_month=None, window_start=at, window_used=0,
        **(limits or NO_LIMITS)._asdict(),
    )  # fmt: skip


@dataclass(slots=True)
class Replay:
    """An account's state as it goes; `was` is its allowance by the record, by which a refill knows its amount."""

    state: AccountState
    terms: Terms
    was: int
    running: list[tuple[datetime, int, Running]] = field(default_factory=list)
    spent: list[tuple[datetime, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.follow_plan(self.state.plan_id)

    def follow_plan(self, plan_id: int) -> None:
        """The account is on that plan, as it would be."""
        plan = self.terms.plans[plan_id].then
        rights = {
            "plan_status": plan.status,
            "models": plan.models,
            "has_api": plan.has_api,
            "parallel_calls": plan.parallel_calls,
            "chats_per_month": plan.chats_per_month,
        }
        self.state = replace(self.state, plan_id=plan_id, plan_name=plan.name, **rights)

    def enter(self, entry: Entry) -> list[tuple[str, str, int, int]]:
        """Apply an entry as it would be; what would stand in the ledger: kind, key, allowance, credits."""
        before, self.was = self.was, self.was + entry.allowance
        if entry.kind == "debt_repaid":
            return self.repay(entry.key)
        if entry.kind in ("refill", "trial"):
            return self.refill(entry, scaled(before + entry.allowance, entry.scale))
        if entry.kind == "allowance_ended":
            return [self.move(entry, -self.state.allowance, 0)]
        parts = entry.allowance, entry.credits
        allowance, credits = (scaled(part, entry.scale) if part else 0 for part in parts)
        short = max(0, -allowance - self.state.allowance)
        return [self.move(entry, allowance + short, credits - short)]

    def refill(self, entry: Entry, amount: int) -> list[tuple[str, str, int, int]]:
        made = [self.move(entry, amount - self.state.allowance, 0)]
        if entry.plan_id is None:
            return made
        limits = Limits.of(self.terms.plans[entry.plan_id].then)
        self.state = replace(self.state, **limits._asdict())
        return made + self.repay(f"debt:{entry.key}")

    def repay(self, key: str) -> list[tuple[str, str, int, int]]:
        repaid = debt_repaid(self.state.allowance, self.state.credits)
        if not repaid:
            return []
        self.state = replace(
            self.state, allowance=self.state.allowance - repaid, credits=self.state.credits + repaid
        )
        return [("debt_repaid", key, -repaid, repaid)]

    def move(self, entry: Entry, allowance: int, credits: int) -> tuple[str, str, int, int]:
        self.state = replace(
            self.state, allowance=self.state.allowance + allowance, credits=self.state.credits + credits
        )
        return entry.kind, entry.key, allowance, credits

    def begin(self, call: Call) -> str | None:
        """Admit the call and hold what it may cost; else the code of its refusal."""
        if call.plan_id != self.state.plan_id:
            self.follow_plan(call.plan_id)
        code = self.refusal(call.began, has_key=call.has_key, model=call.model)
        if code is not None:
            return code
        rates: Pair = self.terms.rates[call.price_id]
        held = self.held(call, rates)
        if isinstance(held, str):
            return held
        self.hold(held)
        return None

    def admit_as_it_was(self, call: Call) -> None:
        """A call that ran before the days begin: it holds what it held."""
        self.hold(Running(call, call.ceiling, call.asked, self.terms.rates[call.price_id].was))

    def refusal(self, at: datetime, *, has_key: bool, model: str | None) -> str | None:
        """The checks that know no prompt, in the order of the gate."""
        state, most = self.state, self.state.parallel_calls or self.terms.settings["parallel_calls"]
        code = plan_code(state, has_key=has_key)
        if code is not None:
            return code
        if model is not None and not takes_model(state, model):
            return "model_not_allowed"
        return "too_many_calls" if state.running_calls >= most else funds_code(state.balance(at))

    def held(self, call: Call, rates: Pair) -> Running | str:
        """How long the answer may be, and what is held for it; a code where not even the shortest is affordable."""
        balance, overdraft = self.state.balance(call.began), self.overdraft
        affordable, then = balance.available + overdraft, rates.then
        bound = None
        if rates.was != then or call.ceiling > affordable:
            bound = rates.was.input_tokens_of(call.ceiling, call.asked)
        if bound is None:
            whole = call.ceiling <= affordable
            return Running(call, call.ceiling, call.asked, then) if whole else "request_too_large"
        output = output_within(then, bound, call.asked, affordable)
        if output is None:
            return shortage_code(balance, overdraft, then.most_for(bound, floor_of(call.asked)))
        return Running(call, then.most_for(bound, output), output, then)

    @property
    def overdraft(self) -> int:
        return 0 if self.state.kind == "house" else self.terms.settings["overdraft"]

    def hold(self, running: Running) -> None:
        self.state = self.state.moved(running.call.began, reserved=running.ceiling, running_calls=1)
        self.follow(running)

    def follow(self, running: Running) -> None:
        """It ends when it ended; one that runs still, never."""
        if running.call.ends is not None:
            heapq.heappush(self.running, (running.call.ends, running.call.id, running))

    def end_until(self, at: datetime | None) -> list[Ended]:
        """End what ends before that moment, or everything."""
        ended = []
        while self.spent and (at is None or self.spent[0][0] <= at):
            self.was -= heapq.heappop(self.spent)[1]
        while self.running and (at is None or self.running[0][0] <= at):
            ended.append(self.end(heapq.heappop(self.running)[2]))
        return ended

    def spend(self, at: datetime, allowance: int) -> None:
        """By the record, a call takes so much of the allowance when it ends."""
        heapq.heappush(self.spent, (at, allowance))

    def end(self, running: Running) -> Ended:
        """Settle a call as it would be: an answer that was cut shorter costs what its shorter length costs."""
        call, at = running.call, running.call.ends or running.call.began
        cost = cost_of(running)
        most = running.ceiling if call.is_paid else 0
        payment = self.state.balance(at).pay(cost, most, self.overdraft)
        of_now = {
            "is_today": call.began.date() == at.date(),
            "is_in_window": self.state.is_in_window(call.began, at),
        }
        moves = settled_differences(payment, running.ceiling, **of_now, is_counted=call.is_counted)
        self.state = self.state.moved(at, **moves)
        return Ended(call, cost, payment)


def cost_of(running: Running) -> int:
    usage = running.call.usage
    if running.output < running.call.asked and usage.output > running.output:
        usage = replace(usage, output=running.output)
    try:
        return running.rates.cost_of(usage)
    except PricingError:
        return running.rates.cost_of(replace(usage, images=0, searches=0))


def scaled(amount: int, scale: tuple[int, int]) -> int:
    """What a sum would be, in proportion to what gave it; a plan that gave nothing gives what it would then."""
    was, then = scale
    if was == then or not (amount or not was):
        return amount
    return share(amount, then, was) if was else then
