"""`make soak`: processes die at random for as long as it takes, on both databases; the figures go to docs/soak.md.

From the environment: KILLS (1000), MESSAGES (2000, or as many as are asked meanwhile), EVENTS (1000), HISTORIES (2000),
DATABASES ("sqlite postgresql").
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from app.models.metering.usage import Usage
from app.models.operations.webhook_event import StripeEvent
from tests.faults.consistency import recover, wrongs
from tests.faults.environment import Stage
from tests.faults.load import Crowd
from tests.faults.signed import deliver
from tests.faults.targets import Victims

REPORT = Path("docs/soak.md")
AT_ONCE = 8


def number(name: str, default: int) -> int:
    return int(os.environ.get(name, str(default)))


@dataclass
class Figures:
    """What came of one database."""

    kind: str
    kills: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    rows: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, object] = field(default_factory=dict)
    seconds: float = 0.0


def say(text: str) -> None:
    sys.stdout.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
    sys.stdout.flush()


def soak(kind: str, folder: Path, kills: int, messages: int, events: int) -> Figures:
    """Kill while people ask, and events come; then look whether all is whole."""
    figures, chance, began = Figures(kind), random.Random(number("SEED", 1)), time.monotonic()  # noqa: S311
    with Stage(kind, folder) as stage:
        stage.provider.configure(tokens=30, delay=0.02)
        victims = Victims(stage)
        crowds = [crowd_of(stage, f"ada{n}") for n in (1, 2)]
        for done in range(1, kills + 1):
            let_some_end(crowds, messages / kills)
            victims.kill(chance.choice(list(victims.ways)))
            victims.bring_back()
            if done % 20 == 0:
                say(f"{kind}: {done} of {kills} kills, {ended(crowds)} messages of at least {messages}")
        while ended(crowds) < messages:
            let_some_end(crowds, AT_ONCE)
        figures.ends = sum((crowd.join() for crowd in crowds), Counter())
        victims.bring_back()
        figures.rows["events accepted"] = lose_events(stage, events)
        recover(stage)
        look(stage, figures)
        figures.kills = victims.kills
    figures.seconds = time.monotonic() - began
    return figures


def crowd_of(stage: Stage, name: str) -> Crowd:
    """A person who asks all the time, four questions at once."""
    return Crowd(stage.running.url, stage.person(name, credits=10**7), at_once=AT_ONCE // 2)


def ended(crowds: list[Crowd]) -> int:
    return sum(crowd.ended for crowd in crowds)


def lose_events(stage: Stage, events: int) -> int:
    """Events come in while no worker works, then Redis loses its memory; how many were taken."""
    say(f"{stage.kind}: {events} events while no worker works, then Redis is lost")
    stage.running.kill("worker")
    taken = sum(deliver(stage, number) == 200 for number in range(events))
    stage.kill_redis()
    stage.running.start("worker")
    return taken


def let_some_end(crowds: list[Crowd], count: float) -> None:
    """Until about so many more questions have ended, or for three seconds."""
    before, deadline = ended(crowds), time.monotonic() + 3
    for crowd in crowds:
        crowd.keep_busy()
    while ended(crowds) - before < count and time.monotonic() < deadline:
        time.sleep(0.02)


def look(stage: Stage, figures: Figures) -> None:
    with stage.looking() as session:
        figures.wrong = wrongs()
        figures.calls = Counter(str(call.outcome) for call in session.query(Usage))
        figures.rows |= {
            "calls of the provider": stage.provider.count,
            "events processed": session.query(StripeEvent).filter_by(state="done").count(),
            "reservations left": session.query(Usage).filter_by(state="running").count(),
        }
    pulse = stage.pulse
    figures.rows |= {
        "answers of /healthz": pulse.beats,
        "of these later than 1 s": pulse.late,
        "slowest, in ms": round(pulse.slowest * 1000),
        "times that nobody answered (web was dead)": pulse.missed,
    }


def histories(count: int) -> str:
    """The stateful test, long; its last line."""
    say(f"{count} random histories of 60 steps against the rules")
    own = os.environ | {"HISTORIES": str(count), "STEPS": "60"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/histories/test_histories.py",
        "-q",
        "-n",
        "0",
        "--timeout",
        "0",
    ]
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    if done.returncode:
        say(done.stdout[-20_000:])
    return done.stdout.strip().splitlines()[-1]


def table(rows: dict[str, object]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items()), ""]


def report(every: list[Figures], random_lives: str, size: str) -> str:
    lines = ["# Soak", "", f"Written by `make soak` on {datetime.now(UTC):%d %B %Y}. {size}", ""]
    lines += [
        "Processes are killed with kill -9 while eight people at a time ask; then, with the worker dead, events"
    ]
    lines += [
        "come in and Redis loses its memory. At the end dead calls are swept and the books are looked at.",
        "",
    ]
    for one in every:
        verdict = "nothing wrong" if not one.wrong else f"WRONG: {one.wrong}"
        kills = ", ".join(f"{name} {count}" for name, count in sorted(one.kills.items()))
        ends = ", ".join(f"{name} {count}" for name, count in one.ends.most_common())
        calls = ", ".join(f"{name} {count}" for name, count in one.calls.most_common())
        head = {"audit, reservations, events, messages": verdict, "minutes": f"{one.seconds / 60:.1f}"}
        head |= {f"{one.kills.total()} kills": kills, f"{one.ends.total()} questions ended as": ends}
        lines += [f"## {one.kind}", "", *table({**head, f"{one.calls.total()} calls": calls, **one.rows})]
    return "\n".join([*lines, "## Random histories", "", f"pytest: {random_lives}", ""])


def main() -> None:
    """Everything, and the report; exit code 1 where something is wrong."""
    kills, messages, events = number("KILLS", 1000), number("MESSAGES", 2000), number("EVENTS", 1000)
    kinds = os.environ.get("DATABASES", "sqlite postgresql").split()
    every = []
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            every.append(soak(kind, Path(folder), kills // len(kinds), messages // len(kinds), events))
    lives = histories(number("HISTORIES", 2000))
    whole = (kills, messages) == (1000, 2000)
    size = (
        "The whole size."
        if whole
        else f"A reduced size: {kills} kills and {messages} messages of 1,000 and 2,000."
    )
    REPORT.write_text(report(every, lives, size))
    say(f"written to {REPORT}")
    sys.exit(any(one.wrong for one in every) or "failed" in lives)


if __name__ == "__main__":
    main()
