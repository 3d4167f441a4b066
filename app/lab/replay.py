"""One account under other terms: its entries, calls and refusals pass through the rules of the live path. Pure.

People do what they did. Times, prompts and answers are those of the record; balances, ceilings, payers and refusals are
derived anew by `AccountState`, `Balance` and `gate_decision`, which decide about live calls.
"""

import heapq
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.lab.breaker import Guards
from app.lab.record import Call, Ended, Entry, Limits, Running
from app.lab.scenario import Pair, Terms
from app.models.base import share
from app.models.billing.allowance_refill import debt_repaid
from app.models.catalog.rates import ImageRates, priced
from app.models.metering.account_state import AccountState
from app.models.metering.call import settled_differences
from app.models.metering.gate_decision import (
    floor_of,
    funds_code,
    output_within,
    plan_code,
    shortage_code,
    takes_model,
)


@dataclass(slots=True)
class Replay:
    """An account's state as it goes; `was` is its allowance by the record, by which a refill knows its amount."""

    state: AccountState
    terms: Terms
    was: int
    guards: Guards | None = None
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
        self.state = replace(self.state, allowance=self.state.allowance - repaid, credits=self.state.credits + repaid)
        return [("debt_repaid", key, -repaid, repaid)]

    def move(self, entry: Entry, allowance: int, credits: int) -> tuple[str, str, int, int]:
        self.state = replace(
            self.state, allowance=self.state.allowance + allowance, credits=self.state.credits + credits
        )
        return entry.kind, entry.key, allowance, credits

    def begin(self, call: Call, *, was_paused: bool | None = False) -> str | None:
        """Admit the call and hold what it may cost; else the code of its refusal."""
        if call.plan_id != self.state.plan_id:
            self.follow_plan(call.plan_id)
        code = self.refusal(call.began, key_id=call.key_id, model=call.model, was_paused=was_paused)
        if code is not None:
            return code
        held = self.held(call, self.rates_of(call))
        if isinstance(held, str):
            return held
        self.hold(held)
        return None

    def admit_as_it_was(self, call: Call) -> None:
        """A call that ran before the days begin: it holds what it held."""
        self.hold(Running(call, call.ceiling, call.asked, self.rates_of(call).was))

    def rates_of(self, call: Call) -> Pair:
        """What it is charged by: its price row, or the fixed price of its images."""
        vendor = self.terms.rates[call.price_id]
        if call.image_price_id is None:
            return vendor
        image = self.terms.images[call.image_price_id]
        return Pair(ImageRates(image.was.price_nanos, vendor.was), ImageRates(image.then.price_nanos, vendor.then))

    def refusal(self, at: datetime, *, key_id: int | None, model: str | None, was_paused: bool | None) -> str | None:
        """The checks that know no prompt, in the order of the gate. `was_paused` is what the breaker did in truth."""
        state, most = self.state, self.state.parallel_calls or self.terms.settings["parallel_calls"]
        code = plan_code(state, has_key=key_id is not None)
        if code is not None:
            return code
        if model is not None and not takes_model(state, model):
            return "model_not_allowed"
        if state.running_calls >= most:
            return "too_many_calls"
        if self.guards and self.guards.refuse(key_id, at, was_refused=was_paused):
            return "spending_paused"
        return funds_code(state.balance(at))

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
        if self.guards:
            self.guards.then.hold(running.call.key_id, running.ceiling)
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
        if self.guards:
            paid = payment.allowance + payment.credits
            self.guards.then.end(call.key_id, at, paid, running.ceiling, is_settled=call.is_paid)
        return Ended(call, cost, payment)


def cost_of(running: Running) -> int:
    usage = running.call.usage
    if isinstance(running.rates, ImageRates) and not usage.images:
        return running.call.provider or 0
    if running.output < running.call.asked and usage.output > running.output:
        usage = replace(usage, output=running.output)
    return priced(running.rates, usage)[1]


def scaled(amount: int, scale: tuple[int, int]) -> int:
    """What a sum would be, in proportion to what gave it; a plan that gave nothing gives what it would then."""
    was, then = scale
    if was == then or not (amount or not was):
        return amount
    return share(amount, then, was) if was else then
