"""The breaker in the lab: spending and holds of each key on both sides, what is usual, and what is paused.

What is known of truth stands: where both sides derive the same, the record has the last word. So nobody is paused who
had the guard off that day, and a pause ends when its account, or its key, was let in again.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, select

from app.lab.scenario import Scenario, Terms
from app.models.billing.ledger import LedgerEntry
from app.models.metering.balance import hour_of
from app.models.metering.breaker import BOUGHT, BOUGHT_NANOS, WINDOW, Key, Usual, floors, trip_of, usual
from app.models.metering.gate_checks import tomorrow
from app.models.metering.spending import SpendingDay

RESUMED_AFTER = timedelta(hours=1)
"""How long a pause lasts that did not take place in truth: then it is ended for the rest of the day."""

Day = tuple[date, int, int]
Ending = tuple[datetime, int, Key, int, int, bool]


@dataclass(slots=True)
class Guard:
    """One side. `known` are the days of use with their spending and their busiest hour, `bought` what floors go by.

    `paused` are keys, and None for the account's spending, each with the moment at which it ends by itself.
    """

    known: list[Day]
    mistakes: frozenset[date]
    bought: int
    floors: tuple[int, int]
    hour: datetime
    off_until: datetime
    in_hour: dict[Key, int] = field(default_factory=dict)
    in_day: dict[Key, int] = field(default_factory=dict)
    reserved: dict[Key, int] = field(default_factory=dict)
    paused: dict[Key, datetime | None] = field(default_factory=dict)
    busiest: int = 0
    is_used: bool = False
    ends: list[Ending] = field(default_factory=list)

    def hold(self, key: Key, ceiling: int) -> None:
        self.reserved[key] = self.reserved.get(key, 0) + ceiling

    def end(self, key: Key, at: datetime, paid: int, ceiling: int, *, is_settled: bool) -> None:
        """A call ended: what it held is free, and what it cost counts."""
        self.roll(at)
        self.reserved[key] -= ceiling
        self.is_used = self.is_used or is_settled
        for sums in (self.in_hour, self.in_day):
            sums[key] = sums.get(key, 0) + paid

    def stops(self, key: Key, at: datetime) -> tuple[Key, ...]:
        """What is paused then, or is to be, that keeps this call out; nothing: it may begin."""
        self.catch_up(at)
        paused = tuple(one for one in {None, key} if one in self.paused)
        if paused or at < self.off_until:
            return paused
        held, today = sum(self.reserved.values()), sum(self.in_day.values())
        if today + held <= self.floors[0]:
            return ()
        trip = trip_of(self.spending, self.usual(at), at)
        if trip is None or (trip.key_ids and key not in trip.key_ids):
            return ()
        return trip.key_ids or (None,)

    def spending(self, start: datetime) -> Mapping[Key, tuple[int, int]]:
        """Spent since then, and reserved now, by key; paused keys are left out."""
        sums = self.in_hour if start == self.hour else self.in_day
        keys = {key for key in (*sums, *self.reserved) if key is None or key not in self.paused}
        return {key: (sums.get(key, 0), self.reserved.get(key, 0)) for key in sorted(keys, key=lambda k: k or 0)}

    def usual(self, at: datetime) -> Usual:
        first = (at - WINDOW).date()
        days = [(spent, busiest) for day, spent, busiest in self.known if first <= day < at.date()]
        spent, hours = [day[0] for day in days], [day[1] for day in days]
        most = max(hours, default=0), max(spent, default=0)
        return usual(*most, sum(spent), len(days), self.bought, self.floors)

    def catch_up(self, at: datetime) -> None:
        """What ends until then, ends; what is paused until then, goes on."""
        while self.ends and self.ends[0][0] <= at:
            ended, _id, key, paid, ceiling, is_settled = heapq.heappop(self.ends)
            self.end(key, ended, paid, ceiling, is_settled=is_settled)
        self.roll(at)
        for key, until in list(self.paused.items()):
            if until is not None and until <= at:
                del self.paused[key]
                self.off_until = max(self.off_until, tomorrow(until))

    def roll(self, at: datetime) -> None:
        """A new hour, and a new day, begin with nothing spent; the day that is over is one of use."""
        hour = hour_of(at)
        if hour <= self.hour:
            return
        self.busiest = max(self.busiest, sum(self.in_hour.values()))
        self.in_hour = {}
        day = self.hour.date()
        if hour.date() > day:
            if self.is_used and day not in self.mistakes:
                self.known.append((day, sum(self.in_day.values()), self.busiest))
            self.in_day, self.busiest, self.is_used = {}, 0, False
        self.hour = hour


@dataclass(slots=True)
class Guards:
    """An account's breaker by the record, and as it would be."""

    was: Guard
    then: Guard

    def record(self, call_id: int, key: Key, ceiling: int, ended: tuple[datetime, int, bool] | None) -> None:
        """A call of the record holds its ceiling until its end."""
        self.was.hold(key, ceiling)
        if ended:
            at, paid, is_settled = ended
            heapq.heappush(self.was.ends, (at, call_id, key, paid, ceiling, is_settled))

    def enter(self, kind: str, was: tuple[int, int], made: Sequence[tuple[str, str, int, int]]) -> None:
        """What an account is sold or given raises its floor."""
        for side, entries in ((self.was, [(kind, *was)]), (self.then, [(one[0], *one[2:]) for one in made])):
            bought = (max(0, part) for name, *parts in entries if name in BOUGHT for part in parts)
            side.bought += sum(bought)

    def refuse(self, key: Key, at: datetime, *, was_refused: bool | None) -> bool:
        """Whether the breaker keeps this call out. `was_refused`: whether it did; None: another code came first."""
        was, then = self.was.stops(key, at), self.then.stops(key, at)
        is_known = was_refused is not None and bool(was) == bool(then)
        verdict = bool(was_refused) if is_known else bool(then)
        if was_refused is False and was:
            for side in (self.was, self.then):
                side.paused.clear()
                side.off_until = max(side.off_until, tomorrow(at))
        if was_refused:
            self.was.paused.update(dict.fromkeys(was))
        if verdict:
            until = None if was_refused else at + RESUMED_AFTER
            self.then.paused |= {one: until for one in then if one not in self.then.paused}
        return verdict


def read_guards(connection: Connection, scenario: Scenario, terms: Terms, ids: Sequence[int]) -> dict[int, Guards]:
    """Of each account, both sides at the midnight that the days begin with, where nothing of the day is spent."""
    days, mistakes = defaultdict[int, list[Day]](list), defaultdict[int, set[date]](set)
    begins = scenario.begins
    of_these = (
        SpendingDay.account_id.in_(ids),
        SpendingDay.day >= (begins - WINDOW).date(),
        SpendingDay.day < scenario.ends.date(),
    )
    for row in connection.execute(select(SpendingDay.__table__).where(*of_these).order_by(SpendingDay.day)):
        if row.was_mistake:
            mistakes[row.account_id].add(row.day)
        elif row.day < scenario.first:
            days[row.account_id].append((row.day, row.spent_nanos, row.busiest_hour_nanos))
    before = LedgerEntry.account_id.in_(ids), LedgerEntry.created_at < begins
    sums = select(LedgerEntry.account_id, BOUGHT_NANOS).where(*before).group_by(LedgerEntry.account_id)
    bought = {account_id: int(nanos or 0) for account_id, nanos in connection.execute(sums)}
    then = terms.settings["breaker_floor"], terms.settings["breaker_floor_percent"]

    def side(account_id: int, of_side: tuple[int, int]) -> Guard:
        known, wrong = list(days[account_id]), frozenset(mistakes[account_id])
        return Guard(known, wrong, bought.get(account_id, 0), of_side, begins, begins)

    return {one: Guards(side(one, floors()), side(one, then)) for one in ids}
