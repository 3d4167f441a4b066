"""A run of the lab that tells of each account what it enters and ends with."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from app.lab.history import Past
from app.lab.record import Entry
from app.lab.report import Report
from app.lab.run import AccountRun, Run, reading
from app.lab.scenario import Scenario, terms_of


class ToldAccount(AccountRun):
    """Tells of each entry that would stand, and what the account ends with."""

    def __init__(self, run: Run, past: Past, told: "Told") -> None:
        super().__init__(run, past)
        self.told = told

    def enter(self, entry: Entry) -> list[tuple[str, str, int, int]]:
        made = super().enter(entry)
        self.told.entries[self.past.state.account_id] += made
        return made

    def finish(self) -> None:
        super().finish()
        state = self.replay.state
        self.told.balances[state.account_id] = state.allowance, state.credits


class ToldRun(Run):
    told: "Told"

    def account(self, past: Past, rows: Iterable[Any]) -> None:
        one = ToldAccount(self, past, self.told)
        for row in rows:
            one.call(row)
        one.finish()


class Told:
    """What a run tells, account by account."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario, self.report = scenario, Report()
        self.entries: dict[int, list[Any]] = defaultdict(list)
        self.balances: dict[int, tuple[int, int]] = {}

    def run(self) -> "Told":
        run = ToldRun(self.scenario, terms_of(self.scenario), self.report)
        run.told = self
        last = 0
        with reading() as connection:
            while ids := run.slice(connection, last):
                last = ids[-1]
        self.report.close()
        return self
