"""Months of users who do not exist, for an installation without history: kinds of users whose habits are rows.

Each user calls at random about as often and as much as the habit says, pays for the plan, and buys the pack when out,
as often as the habit says. The same seed gives the same attempts, so that two business models meet the same people.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select

from app.extensions import db
from app.lab.record import Call, Ended, Entry, opening
from app.lab.replay import Replay
from app.lab.report import Report, Tally
from app.lab.run import INSTANT, fee_of
from app.lab.scenario import Scenario, Terms, as_it_is, terms_of
from app.models.identity.account import anniversary
from app.models.metering.refusal import InvalidRequest
from app.models.operations.lab_run import Habit
from app.providers.base import TokenUsage

SEED = 1
ASKED = 4096
BOUND = 4
"""The bound of an input is its bytes: about so many times its tokens."""

SECONDS = 5
MOST_CALLS = 1_000_000


def kinds() -> list[Habit]:
    return list(db.session.scalars(select(Habit).order_by(Habit.id)))


def simulated(scenario: Scenario, report: Report, habits: Sequence[Habit], *, after: int = 0) -> Iterator[int]:
    """One user after another into the report, from the one after that number on; the number of each.

    It holds the days of the scenario as things are (`was`) and as they would be (`then`).
    """
    then, number = terms_of(scenario), 0
    sides = {"was": as_it_is(then), "then": then}
    for habit in habits:
        for _ in range(habit.people):
            number += 1
            if number <= after:
                continue
            told = {side: Person(habit, number, scenario, terms, side, report) for side, terms in sides.items()}
            tallies = {side: one.live() for side, one in told.items()}
            compare(report, told["was"], told["then"])
            report.add_account(number, f"{habit.name} {number}", tallies["was"], tallies["then"])
            yield number


def check_size(scenario: Scenario) -> None:
    """InvalidRequest where the user kinds would make more calls than a worker should be kept from others for."""
    habits = db.session.scalars(select(Habit))
    calls = sum(habit.people * habit.calls_per_day * len(scenario.days) // 100 for habit in habits)
    if calls > MOST_CALLS:
        text = f"are too many or too busy: {calls:,} messages in this period, and at most {MOST_CALLS:,} are simulated."
        raise InvalidRequest({"user kinds": [text]})


def compare(report: Report, was: "Person", then: "Person") -> None:
    """Who is refused on one side only; their attempts are the same."""
    for key, kept, other in (("newly_refused", then, was), ("newly_admitted", was, then)):
        for number, (at, code) in kept.refused.items():
            if number not in other.refused:
                report.keep(key, at, kept.number, kept.habit.model, code)


class Person:
    """One user of a kind on one side."""

    def __init__(
        self,
        habit: Habit,
        number: int,
        scenario: Scenario,
        terms: Terms,
        side: str,
        report: Report,
    ) -> None:
        self.habit, self.number, self.terms, self.side, self.report = habit, number, terms, side, report
        self.random = random.Random(f"{SEED}:{habit.name}:{number}")  # noqa: S311  # people, not secrets
        self.begins, self.ends = scenario.begins, scenario.ends
        self.replay = Replay(opening(number, "personal", habit.plan_id, self.begins), terms, 0)
        self.tally, self.refused = Tally(), dict[int, tuple[datetime, str]]()

    def live(self) -> Tally:
        """From the first day to the last."""
        months = self.months()
        month = next(months)
        for attempt, (at, usage, luck) in enumerate(self.attempts()):
            while month <= at:
                self.refill(month)
                month = next(months)
            self.end_until(at)
            self.call(attempt, at, usage, luck)
        self.end_until(self.ends - INSTANT)
        state = self.replay.state
        self.tally.ends_with = state.allowance + state.credits
        return self.tally

    def months(self) -> Iterator[datetime]:
        """The moments of its refills, from the first on."""
        for number in range(10_000):
            yield anniversary(self.begins, number)

    def attempts(self) -> Iterator[tuple[datetime, TokenUsage, int]]:
        """When it calls, for how many tokens; and a number that decides whether it buys."""
        habit, at = self.habit, self.begins
        if not habit.calls_per_day:
            return
        while True:
            at += timedelta(seconds=self.random.expovariate(habit.calls_per_day / 100 / 86_400))
            if at >= self.ends:
                return
            tokens = [
                max(1, int(self.random.expovariate(1 / max(1, mean))))
                for mean in (habit.input_tokens, habit.output_tokens)
            ]
            usage = TokenUsage(uncached_input=tokens[0], output=min(ASKED, tokens[1]))
            yield at, usage, self.random.randrange(10_000)

    def refill(self, at: datetime) -> None:
        """The month's allowance; of a plan that has a price, paid for."""
        pair = self.terms.plans[self.habit.plan_id]
        given = pair.then.allowance_nanos
        cents = pair.then.monthly_cents
        self.end_until(at - INSTANT)
        entry = Entry(at, "refill", f"refill:{at:%Y-%m}", given - self.replay.was, 0, self.habit.plan_id, (1, 1))
        self.replay.enter(entry)
        self.pay(at, cents)

    def pay(self, at: datetime, cents: int) -> None:
        fee = fee_of(cents, 1, self.terms)
        self.report.add(self.side, at, self.habit.plan_id, revenue_cents=cents, fee_cents=fee)
        self.tally.cents += cents

    def call(self, attempt: int, at: datetime, usage: TokenUsage, luck: int) -> None:
        """Ask; where refused for want of credits, perhaps buy, and ask again."""
        call = self.of(attempt, at, usage)
        code = self.replay.begin(call) if call else "model_not_for_sale"
        if code == "out_of_credits" and luck < self.habit.buys_bps and self.buy(at):
            code = self.replay.begin(call) if call else code
        if code is not None:
            self.tally.refused += 1
            self.refused[attempt] = at, code
            self.report.add_refusal(self.side, at, self.habit.plan_id, code)

    def of(self, attempt: int, at: datetime, usage: TokenUsage) -> Call | None:
        price = self.terms.price_at(self.habit.model, at)
        if price is None:
            return None
        ceiling = self.terms.rates[price.id].was.most_for(usage.uncached_input * BOUND, ASKED)
        ends = at + timedelta(seconds=SECONDS)
        return Call(attempt, at, ends, self.habit.plan_id, self.habit.model, price.id, ceiling, ASKED, True,
                    False, usage)  # fmt: skip

    def buy(self, at: datetime) -> bool:
        """Buy the pack, where there is one and the plan permits it."""
        plan = self.terms.plans[self.habit.plan_id].then
        if self.habit.pack_id is None or not plan.allows_packs:
            return False
        pack = self.terms.packs[self.habit.pack_id].then
        self.replay.enter(Entry(at, "purchase", "", 0, pack.worth_nanos, None, (1, 1)))
        self.pay(at, pack.price_cents)
        return True

    def end_until(self, at: datetime) -> None:
        for ended in self.replay.end_until(at):
            self.ended(ended)

    def ended(self, ended: Ended) -> None:
        payment = ended.payment
        paid = payment.allowance + payment.credits
        self.replay.was -= payment.allowance
        figures = {"cost_nanos": ended.cost, "paid_nanos": paid, "absorbed_nanos": payment.absorbed}
        self.report.add(self.side, ended.call.began, self.habit.plan_id, calls=1, **figures)
