"""What is looked at all the time while things break: how long calls and events stay open, and memory."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from app.models.metering.usage import Usage
from app.models.operations.webhook_event import StripeEvent
from tests.faults.environment import Stage
from tests.faults.passing import family

EVERY = 1.0
PAGE = 4096
FLOOD = 10**6
"""Events of lower numbers came while no worker worked."""


@dataclass
class Life:
    """What was seen of one call or event while it was open: when, and what its row said."""

    identifier: int
    since: float
    until: float
    steps: list[tuple[float, str]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.until - self.since

    def seen(self, now: float, state: str) -> None:
        self.until = now
        if not self.steps or self.steps[-1][1] != state:
            self.steps.append((now, state))


class Watch(threading.Thread):
    """`worst`: the life of the call and of the event that were open longest; `memory`: MB by process, first to last.

    Time is ours, from when a row was first seen: those of the processes may jump.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__(daemon=True)
        self.stage = stage
        self.worst: dict[str, Life] = {}
        self.memory: dict[str, tuple[int, int, int]] = {}
        self.faults: list[tuple[float, str]] = []
        self._open: dict[tuple[str, int], Life] = {}
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(EVERY):
            self.weigh()
            with suppress(DBAPIError), self.stage.looking() as session:
                calls = session.query(Usage).filter_by(state="running")
                events = session.query(StripeEvent).filter_by(state="received")
                rows = {("call", call.id): f"{call.operation}, running" for call in calls}
                self.note(rows | {(kind_of(event), event.id): state_of(event) for event in events})

    def note(self, rows: dict[tuple[str, int], str]) -> None:
        now = time.monotonic()
        self._open = {key: life for key, life in self._open.items() if key in rows}
        for key, state in rows.items():
            life = self._open.setdefault(key, Life(key[1], now, now))
            life.seen(now, state)
            worst = self.worst.setdefault(key[0], life)
            if life.seconds > worst.seconds:
                self.worst[key[0]] = life

    def happened(self, fault: str) -> None:
        self.faults.append((time.monotonic(), fault))

    def timeline(self, kind: str) -> list[str]:
        """The life of the worst of a kind with the faults in it, in seconds since it was first seen."""
        life = self.worst[kind]
        faults = [(at, f"**{name}**") for at, name in self.faults if life.since - 5 <= at <= life.until]
        steps = sorted([*life.steps, *faults, (life.until, "last seen open")])
        return [f"{at - life.since:.0f} s: {text}" for at, text in steps]

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


def kind_of(event: StripeEvent) -> str:
    number = event.stripe_id.rpartition("_")[2]
    return "event without a worker" if number.isdigit() and int(number) < FLOOD else "event"


def state_of(event: StripeEvent) -> str:
    """Its attempts, and when the next is due, by the clock of whoever wrote that."""
    wait = (event.next_try_at - event.created_at).total_seconds()
    error = f", {event.error}" if event.error else ""
    return f"{event.attempts} attempts, next due {wait:.0f} s after it was stored{error}"


def resident(pid: int) -> int:
    """Bytes that are the process's own in memory: what it shares with its parent is counted once, there."""
    with suppress(OSError, ValueError):
        size, shared = Path(f"/proc/{pid}/statm").read_text().split()[1:3]
        return (int(size) - int(shared)) * PAGE
    return 0
