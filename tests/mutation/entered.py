"""Which test enters which function of the modules of money, and how long it takes."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from types import FrameType

import pytest

Place = tuple[str, int]
"""A function: its module's file and its first line, decorators counted in."""


class Recorder:
    """A plugin that runs everything once, and writes for each test what it entered."""

    def __init__(self, files: set[str], report: Path) -> None:
        self.files, self.report = files, report
        self.entered: set[Place] = set()
        self.rows: list[tuple[str, float, list[Place]]] = []

    def begin(self) -> None:
        threading.settrace(self.trace)
        sys.settrace(self.trace)

    def trace(self, frame: FrameType, _event: str, _argument: object) -> None:
        code = frame.f_code
        if code.co_filename in self.files:
            self.entered.add((code.co_filename, code.co_firstlineno))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.entered.clear()
        began = time.monotonic()
        result = yield
        self.rows.append((item.nodeid, time.monotonic() - began, list(self.entered)))
        return result

    def pytest_sessionfinish(self) -> None:
        sys.settrace(None)
        self.report.write_text(json.dumps(self.rows))


class Entered:
    """The tests of each function, read from the recorders' reports."""

    def __init__(self, reports: list[Path]) -> None:
        self.seconds: dict[str, float] = {}
        self.breadth: dict[str, int] = {}
        self.tests: dict[Place, list[str]] = defaultdict(list)
        for test, seconds, places in (row for report in reports for row in json.loads(report.read_text())):
            self.seconds[test], self.breadth[test] = seconds, len(places)
            for file, line in places:
                self.tests[file, line].append(test)

    def closest(self, place: Place, budget: float) -> list[str]:
        """The tests that enter it, `budget` seconds of them: quick ones that enter little else first.

        Of a test with parameters one case, and the others once every test has had its turn.
        """
        cases: dict[str, list[str]] = defaultdict(list)
        for test in sorted(self.tests[place], key=lambda test: self.seconds[test] * self.breadth[test]):
            cases[test.partition("[")[0]].append(test)
        chosen: list[str] = []
        for test in filter(None, (test for turn in zip_longest(*cases.values()) for test in turn)):
            if not chosen or self.seconds[test] <= budget:
                budget -= self.seconds[test]
                chosen.append(test)
        return chosen
