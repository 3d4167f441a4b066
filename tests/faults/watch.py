"""What is looked at all the time while things break: how long calls and events stay open, and memory."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from app.models.metering.usage import Usage
from app.models.operations.webhook_event import StripeEvent
from tests.faults.environment import Stage
from tests.faults.passing import family

EVERY = 2.0
PAGE = 4096


class Watch(threading.Thread):
    """`longest`: seconds that a call ran, and that an event was open; `memory`: MB by process, as first and last seen.

    Time is ours, from when a row was first seen: those of the processes may jump.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__(daemon=True)
        self.stage = stage
        self.longest: dict[str, float] = defaultdict(float)
        self.memory: dict[str, tuple[int, int, int]] = {}
        self._seen: dict[tuple[str, int], float] = {}
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(EVERY):
            self.weigh()
            with suppress(DBAPIError), self.stage.looking() as session:
                calls = session.query(Usage.id).filter_by(state="running")
                events = session.query(StripeEvent.id).filter_by(state="received")
                self.note("call", [row.id for row in calls])
                self.note("event", [row.id for row in events])

    def note(self, kind: str, open_now: list[int]) -> None:
        now = time.monotonic()
        for identifier in open_now:
            since = self._seen.setdefault((kind, identifier), now)
            self.longest[kind] = max(self.longest[kind], now - since)

    def weigh(self) -> None:
        """MB of each process with its children: at first, at most, and now."""
        for name, process in list(self.stage.running.processes.items()):
            weight = sum(map(resident, family(process.pid))) // 2**20
            if weight:
                first, most, _last = self.memory.get(name, (weight, 0, 0))
                self.memory[name] = first, max(most, weight), weight

    def stop(self) -> None:
        self._ended.set()
        self.join(30)


def resident(pid: int) -> int:
    """Bytes that are the process's own in memory: what it shares with its parent is counted once, there."""
    with suppress(OSError, ValueError):
        size, shared = Path(f"/proc/{pid}/statm").read_text().split()[1:3]
        return (int(size) - int(shared)) * PAGE
    return 0
