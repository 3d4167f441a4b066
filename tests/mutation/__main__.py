"""`make mutate`: changes the modules of money one thing at a time, and reports what no test noticed.

From the environment: SAMPLE (how many mutants of all, chosen with SEED), MODULES, TESTS, JOBS (at once), SECONDS (of
tests for one mutant), MINUTES (for all), KEPT (a folder in which the next run finds which test enters what, and what
came of which mutant)
"""

from __future__ import annotations

import gc
import importlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.mutation.changes import Change, changes_of
from tests.mutation.entered import Entered, Recorder
from tests.mutation.swapped import Loaded
from tests.support.databases import Databases
from tests.support.running_app import PROCESSES

REPORT = Path("docs/mutation.md")
TESTS = "tests/models tests/histories tests/prices tests/chat tests/auth tests/billing tests/api tests/admin"
MODULES = (
    "account balance standing admission metering member_use usage price plan ledger refill entitlement subscription "
    "payment taking_back recharge"
)
ELSEWHERE = PROCESSES | {"page"}
"""Fixtures of tests whose work is done in other processes, where nothing is changed."""


def number(name: str, default: int) -> int:
    return int(os.environ.get(name, str(default)))


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def path_of(module: str) -> Path:
    return Path(f"app/models/{module}.py").resolve()


def words_of(change: Change) -> str:
    _, before, after = change.made(path_of(change.module).read_text())
    return f"`{change.module}:{change.line}` {change.function}: `{before}` -> `{after}`"


def every_change() -> list[Change]:
    return [one for name in MODULES.split() for one in changes_of(name, path_of(name).read_text())]


def chosen() -> list[Change]:
    names = os.environ.get("MODULES", MODULES).split()
    every = [one for one in every_change() if one.module in names]
    sample = number("SAMPLE", len(every))
    return random.Random(number("SEED", 1)).sample(every, min(sample, len(every)))  # noqa: S311


@dataclass
class Trial:
    """One mutant's fork."""

    change: Change
    began: float
    patience: float


class Judge:
    """A plugin in the place of pytest's own loop: the tests are collected once, and each mutant is a fork of it."""

    def __init__(self, changes: list[Change], folder: Path) -> None:
        self.changes, self.folder, self.journal = changes, folder, folder / "fates.txt"
        self.fates: list[tuple[Change, str]] = []
        self.is_fork = False

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if "postgresql" not in item.nodeid and not is_elsewhere(item)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """In a fork None, so that pytest goes on and runs what the fork has left of the tests."""
        files = {str(path_of(name)) for name in MODULES.split()}
        self.loaded, self.items = Loaded(files), {item.nodeid: item for item in session.items}
        Databases.made_before["sqlite"] = self.template()
        gc.freeze()
        reports = [self.folder / f"entered-{n}.json" for n in range(number("JOBS", 2))]
        if not all(report.exists() for report in reports) and not self.record(session, files, reports):
            return None
        self.entered = Entered(reports)
        say(f"{len(self.items)} tests, {sum(self.entered.seconds.values()):.0f} s of them")
        return self.judge(session) or None

    def template(self) -> str:
        """The path of a migrated and seeded database, made in a fork so that this process stays as it is."""
        path = self.folder / "template.db"
        path.unlink(missing_ok=True)
        if not os.fork():
            conftest = importlib.import_module("tests.conftest")
            conftest.migrate_and_seed(f"sqlite:///{path}")
            os._exit(0)
        os.wait()
        return str(path)

    def record(self, session: pytest.Session, files: set[str], reports: list[Path]) -> bool:
        """Run everything once, a part of it in each fork. False in a fork."""
        say(f"{len(session.items)} tests run once without a mutant")
        every, count = list(session.items), len(reports)
        pids = []
        for n, report in enumerate(reports):

            def prepare(n: int = n, report: Path = report) -> None:
                session.items[:] = every[n * len(every) // count : (n + 1) * len(every) // count]
                recorder = Recorder(files, report)
                session.config.pluginmanager.register(recorder)
                recorder.begin()

            pids.append(self.fork(prepare))
            if not pids[-1]:
                return False
        ends = [os.waitpid(pid, 0)[1] for pid in pids]
        if any(ends):
            sys.exit("the tests do not pass without a mutant: mend them first")
        return True

    def fork(self, prepare: Callable[[], None]) -> int:
        """The fork's process id; in the fork 0."""
        if pid := os.fork():
            return pid
        self.is_fork = True
        os.setsid()
        prepare()
        return 0

    def begin(self, session: pytest.Session, change: Change, tests: list[str]) -> int:
        def prepare() -> None:
            silence()
            path = path_of(change.module)
            self.loaded.swap(change.made(path.read_text())[0], str(path))
            session.items[:] = [self.items[test] for test in tests]

        return self.fork(prepare)

    def judge(self, session: pytest.Session) -> bool:
        """Each mutant's fate; progress is said as it goes. False in a fork."""
        waiting, running = self.unkilled(), dict[int, Trial]()
        until = time.monotonic() + 60 * number("MINUTES", 1440)
        while waiting or running:
            waiting = waiting if time.monotonic() < until else []
            while waiting and len(running) < number("JOBS", 2):
                change = waiting.pop()
                place = (str(path_of(change.module)), change.begins)
                tests = self.entered.closest(place, number("SECONDS", 60))
                if not tests:
                    self.settle(change, "not entered")
                    continue
                pid = self.begin(session, change, tests)
                if not pid:
                    return False
                patience = 20 + 5 * sum(self.entered.seconds[test] for test in tests)
                running[pid] = Trial(change, time.monotonic(), patience)
            if running:
                self.settle(*end(running))
        return True

    def unkilled(self) -> list[Change]:
        """What a run before has not killed, by its journal; what it did not come to is last, so taken first."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        before = dict(line.split("\t")[::-1] for line in lines)
        self.fates = [
            (change, "killed") for change in self.changes if before.get(words_of(change)) == "killed"
        ]
        rest = [change for change in self.changes if before.get(words_of(change)) != "killed"]
        return sorted(rest, key=lambda change: words_of(change) not in before)

    def settle(self, change: Change, fate: str) -> None:
        self.fates.append((change, fate))
        with self.journal.open("a") as journal:
            journal.write(f"{fate}\t{words_of(change)}\n")
        say(f"{len(self.fates)}/{len(self.changes)} {fate}: {words_of(change)}")


def is_elsewhere(item: pytest.Item) -> bool:
    return bool(ELSEWHERE & set(getattr(item, "fixturenames", ())))


def silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


FATES = {0: "survived", 1: "killed"}


def end(running: dict[int, Trial]) -> tuple[Change, str]:
    """Wait until one of them has ended; what came of it."""
    while True:
        for pid, trial in list(running.items()):
            is_late = time.monotonic() - trial.began > trial.patience
            if is_late:
                os.killpg(pid, signal.SIGKILL)
            done, status = os.waitpid(pid, 0 if is_late else os.WNOHANG)
            if done:
                del running[pid]
                code = os.waitstatus_to_exitcode(status)
                return trial.change, "stuck" if is_late else FATES.get(code, f"ended with {code}")
        time.sleep(0.02)


def report(fates: list[tuple[Change, str]], whole: int) -> str:
    sums = Counter(fate for _, fate in fates)
    lines = ["# Mutation testing", "", f"Written by `make mutate` on {datetime.now(UTC):%d %B %Y}.", ""]
    lines += [f"{len(fates)} mutants of {whole} in {len(MODULES.split())} modules of money:", ""]
    lines += [f"- {count} {fate}" for fate, count in sums.most_common()]
    lines += ["", "## By module", "", "| module | noticed | survived |", "|---|---|---|"]
    for module in sorted({change.module for change, _ in fates}):
        mine = Counter(fate in UNNOTICED for change, fate in fates if change.module == module)
        lines.append(f"| {module} | {mine[False]} | {mine[True]} |")
    lines += ["", "## Survivors", ""]
    survivors = sorted((c.module, c.line, words_of(c), fate) for c, fate in fates if fate in UNNOTICED)
    return "\n".join([*lines, *(f"- {text} ({fate})" for _, _, text, fate in survivors), ""])


UNNOTICED = ("survived", "not entered")


def main() -> None:
    os.environ |= {"HISTORIES": "8", "STEPS": "30", "SHRINK": "0"}
    temporary = tempfile.TemporaryDirectory()
    judge = Judge(chosen(), Path(os.environ.get("KEPT") or temporary.name))
    options = ["-q", "-s", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"]
    code = pytest.main([*options, *os.environ.get("TESTS", TESTS).split()], plugins=[judge])
    if judge.is_fork:
        os._exit(int(code))
    REPORT.write_text(report(judge.fates, len(every_change())))
    say(f"written to {REPORT}")


if __name__ == "__main__":
    main()
