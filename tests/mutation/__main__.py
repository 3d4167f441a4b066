"""`make mutate`: changes the modules of money one thing at a time, and reports what no test of theirs noticed.

From the environment: SAMPLE (how many mutants of all, chosen with SEED), MODULES, JOBS (at once), PATIENCE (seconds for
one), MINUTES (for all)
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from tests.mutation.changes import Change, changes_of

REPORT = Path("docs/mutation.md")
MODELS = ["tests/models", "tests/histories"]
CALLS = ["tests/chat/test_gate.py", "tests/chat/test_outcomes.py", "tests/auth/test_member_limit.py"]
PRICES = ["tests/prices/test_cost.py", "tests/prices/test_price_list.py"]
PURCHASES = [
    "tests/billing/test_packs.py",
    "tests/billing/test_taking_back.py",
    "tests/billing/test_mismatches.py",
]
PLANS = [
    "tests/billing/test_orders.py",
    "tests/billing/test_trials.py",
    "tests/billing/test_subscriptions.py",
]
RECHARGES = ["tests/billing/test_recharges.py", "tests/billing/test_refusals.py"]
TESTS = {
    "account": [],
    "balance": [],
    "standing": CALLS,
    "admission": [*CALLS, *RECHARGES],
    "metering": CALLS,
    "member_use": CALLS,
    "usage": CALLS,
    "price": [*PRICES, *CALLS],
    "plan": PURCHASES,
    "ledger": [],
    "refill": PLANS,
    "entitlement": PLANS,
    "subscription": PLANS,
    "payment": PURCHASES,
    "taking_back": PURCHASES,
    "recharge": RECHARGES,
}
"""The tests beside those of the models that run for each module of `app/models`."""

HEAVY = (
    "flask_admin flask_babel flask_limiter flask_login flask_mailman flask_migrate flask_sqlalchemy flask_wtf "
    "markdown_it nh3 psycopg pygments redis requests rq stripe structlog tablib"
)
"""Loaded once; each mutant is a fork."""


class Loader(SourceFileLoader):
    """Loads the mutant in the place of its module."""

    tree: Any

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.tree, self.path, "exec")


class Finder:
    """Finds one module, changed."""

    def __init__(self, change: Change) -> None:
        self.name, self.tree = f"app.models.{change.module}", change.made(source_of(change.module))[0]

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        path = f"{name.replace('.', '/')}.py"
        loader = Loader(name, path)
        loader.tree = self.tree
        return importlib.util.spec_from_file_location(name, path, loader=loader)


def source_of(module: str) -> str:
    return Path(f"app/models/{module}.py").read_text()


def words_of(change: Change) -> str:
    _, before, after = change.made(source_of(change.module))
    return f"`{change.module}:{change.line}` {change.function}: `{before}` -> `{after}`"


def number(name: str, default: int) -> int:
    return int(os.environ.get(name, str(default)))


def chosen() -> list[Change]:
    names = os.environ.get("MODULES", " ".join(TESTS)).split()
    every = [c for n in names for c in changes_of(n, source_of(n))]
    sample = number("SAMPLE", len(every))
    return random.Random(number("SEED", 1)).sample(every, min(sample, len(every)))  # noqa: S311


def begin(change: Change | None) -> int:
    """A fork that runs the tests on the mutant; its process id. Exit code 0: nobody noticed."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    tests = MODELS + (TESTS[change.module] if change else [])
    if change:
        sys.meta_path.insert(0, Finder(change))
    folder = Path(tempfile.gettempdir()) / f"mutant-{os.getpid()}"
    options = [
        "-q",
        "-x",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "-k",
        "not postgresql",
        f"--basetemp={folder}",
    ]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = pytest.main([*options, *tests])
    os._exit(int(code))


def end(running: dict[int, tuple[Change, float]], patience: int) -> tuple[Change, str]:
    """Wait until one of them has ended; what came of it."""
    while True:
        for pid, (change, began) in list(running.items()):
            is_late = time.monotonic() - began > patience
            if is_late:
                os.killpg(pid, signal.SIGKILL)
            done, status = os.waitpid(pid, 0 if is_late else os.WNOHANG)
            if done:
                del running[pid]
                code = os.waitstatus_to_exitcode(status)
                return change, "too slow" if is_late else "survived" if code == 0 else "killed"
        time.sleep(0.05)


def judge(every: list[Change]) -> list[tuple[Change, str]]:
    """Each mutant's fate; progress is said as it goes."""
    waiting, running, fates = list(every), dict[int, tuple[Change, float]](), []
    until = time.monotonic() + 60 * number("MINUTES", 24 * 60)
    while waiting or running:
        waiting = waiting if time.monotonic() < until else []
        while waiting and len(running) < number("JOBS", 2):
            change = waiting.pop()
            running[begin(change)] = (change, time.monotonic())
        fates.append(end(running, number("PATIENCE", 240)))
        change, fate = fates[-1]
        sys.stdout.write(f"{len(fates)}/{len(every)} {fate}: {words_of(change)}\n")
        sys.stdout.flush()
    return fates


def report(fates: list[tuple[Change, str]], whole: int) -> str:
    sums = Counter(fate for _, fate in fates)
    lines = ["# Mutation testing", "", f"Written by `make mutate` on {datetime.now(UTC):%d %B %Y}.", ""]
    lines += [f"{len(fates)} mutants of {whole} in {len(TESTS)} modules of money, by chance: ", ""]
    lines += [f"- {count} {fate}" for fate, count in sums.most_common()]
    lines += ["", "## By module", "", "| module | killed | survived |", "|---|---|---|"]
    for module in sorted({change.module for change, _ in fates}):
        mine = Counter(
            "survived" if fate == "survived" else "killed" for c, fate in fates if c.module == module
        )
        lines.append(f"| {module} | {mine['killed']} | {mine['survived']} |")
    lines += ["", "## Survivors", ""]
    survivors = sorted(
        (change.module, change.line, words_of(change)) for change, fate in fates if fate == "survived"
    )
    return "\n".join([*lines, *(f"- {words}" for _, _, words in survivors), ""])


def main() -> None:
    for name in HEAVY.split():
        import_module(name)
    os.environ |= {"HISTORIES": "8", "STEPS": "30", "SHRINK": "0"}
    _, status = os.waitpid(begin(None), 0)
    if status:
        sys.exit("the tests do not pass without a mutant: mend them first")
    every = chosen()
    fates = judge(every)
    whole = sum(1 for n in TESTS for _ in changes_of(n, source_of(n)))
    REPORT.write_text(report(fates, whole))
    sys.stdout.write(f"written to {REPORT}\n")


if __name__ == "__main__":
    main()
