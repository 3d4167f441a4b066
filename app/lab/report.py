"""What a run came to: money and use by day and plan, as they were and as they would be, and who is better off."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.lab.scenario import Terms
from app.models.catalog.worth import about_a_dollar, unit_nanos

SIDES = ("was", "then")
FIGURES = ("revenue_cents", "fee_cents", "calls", "refused", "cost_nanos", "paid_nanos", "absorbed_nanos")
KEPT = 200
LARGEST = 10


@dataclass(slots=True)
class Tally:
    """An account's figures while it is replayed, for one side."""

    cents: int = 0
    refused: int = 0
    ends_with: int = 0


@dataclass(slots=True)
class Report:
    """Sums that add up over slices of accounts; it goes into JSON and comes back.

    `days` are by "2026-11-20 3" (a day and a plan), then by side. `differing` are calls whose payers differ.
    """

    days: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    codes: dict[str, dict[str, int]] = field(default_factory=lambda: {side: {} for side in SIDES})
    newly_refused: list[list[Any]] = field(default_factory=list)
    newly_admitted: list[list[Any]] = field(default_factory=list)
    better: list[list[Any]] = field(default_factory=list)
    worse: list[list[Any]] = field(default_factory=list)
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("better", "worse", "same", "differing", "newly_refused", "newly_admitted", "shortened"), 0
        )
    )

    scenario: dict[str, Any] = field(default_factory=dict)
    answers: list[list[Any]] = field(default_factory=list)
    """(plan or pack, how many average answers $10 bought, and would buy), by what was sold when it ended."""

    @property
    def stored(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Report":
        return cls(**{name: stored[name] for name in cls.__slots__ if name in stored})

    def add(self, side: str, at: datetime, plan_id: int, **figures: int) -> None:
        sides = self.days.setdefault(f"{at:%Y-%m-%d} {plan_id}", {})
        sums = sides.setdefault(side, dict.fromkeys(FIGURES, 0))
        for name, amount in figures.items():
            sums[name] += amount

    def add_refusal(self, side: str, at: datetime, plan_id: int, code: str) -> None:
        self.add(side, at, plan_id, refused=1)
        self.codes[side][code] = self.codes[side].get(code, 0) + 1

    def keep(self, which: str, at: datetime, account_id: int, model: str | None, code: str) -> None:
        """The earliest of who would be refused, and of who would not be anymore."""
        self.counts[which] += 1
        rows: list[list[Any]] = getattr(self, which)
        rows.append([at.isoformat(), account_id, model or "", code])
        if len(rows) > 2 * KEPT:
            rows[:] = heapq.nsmallest(KEPT, rows)

    def add_account(self, account_id: int, name: str, was: Tally, then: Tally) -> None:
        """Whether it is better off: refused less, paying less, or left with more for what it paid."""
        cents, refused = then.cents - was.cents, then.refused - was.refused
        nanos = then.ends_with - was.ends_with
        row, verdict = [account_id, name, cents, refused, nanos], verdict_of(cents, refused, nanos)
        self.counts[verdict] += 1
        if verdict != "same":
            rows: list[list[Any]] = getattr(self, verdict)
            rows.append(row)
            if len(rows) > 10 * LARGEST:
                rows[:] = largest(rows)

    def close(self) -> None:
        """Bring the lists into their order and length."""
        for rows in (self.newly_refused, self.newly_admitted):
            rows[:] = heapq.nsmallest(KEPT, rows)
        for rows in (self.better, self.worse):
            rows[:] = largest(rows)

    def answers_of(self, terms: Terms) -> Iterator[list[Any]]:
        """The rows of `answers`; None where no call was paid."""
        average = {side: self.total(side, "paid_nanos") // max(1, self.total(side, "calls")) for side in SIDES}
        for pair in (*terms.plans.values(), *terms.packs.values()):
            if pair.was.status == "active" and pair.was.price_cents and pair.then.price_cents:
                bought = [(bought_for_ten(getattr(pair, side)), average[side]) for side in SIDES]
                yield [pair.was.name, *(worth // one if one else None for worth, one in bought)]

    def total(self, side: str, figure: str, day: str = "", plan_id: str = "") -> int:
        return sum(
            sides[side][figure]
            for key, sides in self.days.items()
            if side in sides and key.startswith(day) and (not plan_id or key.split()[1] == plan_id)
        )


def verdict_of(cents: int, refused: int, nanos: int) -> str:
    """What more refusals, more money or less worth mean; where they speak against each other, money decides last."""
    if not (cents or refused or nanos):
        return "same"
    if refused:
        return "worse" if refused > 0 else "better"
    if cents and (nanos > 0) != (cents > 0):
        return "worse" if cents > 0 else "better"
    if cents:
        return "worse" if nanos < cents * unit_nanos() and cents > 0 else "better"
    return "better" if nanos > 0 else "worse"


def bought_for_ten(sold: Any) -> int:
    return int(sold.worth_nanos * 10 * about_a_dollar() // sold.price_cents)


def largest(rows: list[list[Any]]) -> list[list[Any]]:
    return sorted(rows, key=lambda row: (-abs(row[3]), -abs(row[4]), row[0]))[:LARGEST]
