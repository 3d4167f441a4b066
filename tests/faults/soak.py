"""`make soak`: processes die and stores fail at random, on both databases; the figures go to docs/soak.md.

From the environment: MINUTES (60, for all databases together), EVENTS (1000), HISTORIES (2000), DELAY (0.002, seconds
each way to PostgreSQL), SEED (1), DATABASES ("sqlite postgresql").
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from app.models.metering.usage import Usage
from app.models.operations.webhook_event import StripeEvent
from tests.faults.consistency import recover, running, wrongs
from tests.faults.environment import Stage
from tests.faults.load import Crowd
from tests.faults.passing import ways
from tests.faults.signed import deliver
from tests.faults.targets import Victims
from tests.faults.watch import Watch
from tests.outside.conftest import spoken
from tests.support.running_app import await_that

REPORT = Path("docs/soak.md")
AT_ONCE = 8
FLOODED = "a provider sends 100 MB"
FLOOD = 100 * 2**20
WHAT = """\
Processes are killed with kill -9, stores fill up, hang or take no writes, clocks jump an hour and back, names are not
resolved and a provider sends 100 MB, each for about three seconds, while eight people at a time ask and events come.
PostgreSQL is reached by a line that delays. Then, with the worker dead, events come in and Redis loses its memory."""


def number(name: str, default: int) -> int:
    return int(os.environ.get(name, str(default)))


@dataclass
class Figures:
    """What came of one database."""

    kind: str
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    rows: dict[str, Any] = field(default_factory=dict)
    wrong: dict[str, object] = field(default_factory=dict)
    timelines: dict[str, list[str]] = field(default_factory=dict)
    events: int = 0
    seconds: float = 0.0

    def watched(self, watch: Watch) -> None:
        self.rows |= {f"longest that {kind} was open, in s": round(life.seconds) for kind, life in watch.worst.items()}
        self.timelines = {kind: watch.timeline(kind) for kind in watch.worst}
        for name, (first, most, last) in watch.memory.items():
            self.rows[f"MB of {name}: at first, at most, at last"] = f"{first}, {most}, {last}"


def say(text: str) -> None:
    sys.stdout.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
    sys.stdout.flush()


def soak(kind: str, folder: Path, minutes: float, events: int) -> Figures:
    """Kill and break while people ask and events come; then look whether all is whole."""
    figures, began = Figures(kind), time.monotonic()
    delay = float(os.environ.get("DELAY", "0.002"))
    with Stage(kind, folder, delay=delay, TOLLGATE_TROUBLES="1") as stage:
        stage.provider.configure(tokens=30, delay=0.02)
        stage.provider.bodies["flood"] = spoken(*["flood " * 1_000] * (FLOOD // 6_000))
        watch = Watch(stage)
        watch.start()
        break_things(stage, figures, watch, until=began + minutes * 60)
        lose_events(stage, figures, events)
        await_quiet(stage)
        watch.stop()
        figures.watched(watch)
        recover(stage)
        look(stage, figures)
    figures.seconds = time.monotonic() - began
    return figures


def break_things(stage: Stage, figures: Figures, watch: Watch, *, until: float) -> None:
    """One fault after another, each over people who ask."""
    chance, victims, passing = random.Random(number("SEED", 1)), Victims(stage), ways(stage)  # noqa: S311
    crowds = [Crowd(stage.running.url, stage.person(f"ada{n}", credits=10**7), at_once=AT_ONCE // 2) for n in (1, 2)]
    acts = victims.ways | {FLOODED: lambda: crowds[0].ask(["[[replay=flood]]"])}
    while time.monotonic() < until:
        fault = chance.choice([*victims.ways, *passing, FLOODED])
        let_some_end(crowds, AT_ONCE)
        trickle(stage, figures)
        watch.happened(fault)
        if fault in acts:
            acts[fault]()
        else:
            with passing[fault]():
                let_some_end(crowds, 10_000)
        figures.faults[fault] += 1
        victims.bring_back()
        if figures.faults.total() % 10 == 0:
            say(f"{stage.kind}: {figures.faults.total()} faults, {ended(crowds)} questions")
    figures.ends = sum((crowd.join() for crowd in crowds), Counter())
    victims.bring_back()


def trickle(stage: Stage, figures: Figures) -> None:
    """An event of Stripe's. One that is not taken would be sent again by Stripe."""
    with suppress(requests.RequestException):
        figures.events += deliver(stage, 10**6 + figures.faults.total()) == 200


def await_quiet(stage: Stage) -> None:
    """Until the app itself has ended what was left, calls and events, three minutes at most."""
    with suppress(AssertionError):
        await_that(lambda: not running(stage) and not waiting_events(stage), 180)


def waiting_events(stage: Stage) -> int:
    with stage.looking() as session:
        return session.query(StripeEvent).filter_by(state="received").count()


def ended(crowds: list[Crowd]) -> int:
    return sum(crowd.ended for crowd in crowds)


def lose_events(stage: Stage, figures: Figures, events: int) -> None:
    """Events come in while no worker works, then Redis loses its memory."""
    say(f"{stage.kind}: {events} events while no worker works, then Redis is lost")
    stage.running.kill("worker")
    figures.events += sum(deliver(stage, number) == 200 for number in range(events))
    stage.kill_redis()
    stage.running.start("worker")


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
            "events accepted": figures.events,
            "events processed": session.query(StripeEvent).filter_by(state="done").count(),
            "reservations left": session.query(Usage).filter_by(state="running").count(),
        }
    pulse = stage.pulse
    figures.rows |= {
        "answers of /healthz": pulse.beats,
        "of these later than 1 s": pulse.slow,
        "slowest, in ms": round(pulse.slowest * 1000),
        "times that nobody listened (all of web was killed)": pulse.refused,
        "longest that nobody listened, in s": f"{pulse.longest_away:.1f}",
        "times that the connection was cut (its worker was killed)": pulse.missed - pulse.refused,
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
    lines += [WHAT, ""]
    for one in every:
        verdict = "nothing wrong" if not one.wrong else f"WRONG: {one.wrong}"
        faults = ", ".join(f"{name} {count}" for name, count in sorted(one.faults.items()))
        ends = ", ".join(f"{name} {count}" for name, count in one.ends.most_common())
        calls = ", ".join(f"{name} {count}" for name, count in one.calls.most_common())
        head = {"audit, reservations, events, messages": verdict, "minutes": f"{one.seconds / 60:.1f}"}
        head |= {f"{one.faults.total()} faults": faults, f"{one.ends.total()} questions ended as": ends}
        lines += [f"## {one.kind}", "", *table({**head, f"{one.calls.total()} calls": calls, **one.rows})]
        for kind, steps in one.timelines.items():
            lines += [f"The {kind} that was open longest:", "", *(f"- {step}" for step in steps), ""]
    return "\n".join([*lines, "## Random histories", "", f"pytest: {random_lives}", ""])


def main() -> None:
    """Everything, and the report; exit code 1 where something is wrong."""
    minutes, events = number("MINUTES", 60), number("EVENTS", 1000)
    kinds = os.environ.get("DATABASES", "sqlite postgresql").split()
    every = []
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            every.append(soak(kind, Path(folder), minutes / len(kinds), events))
            say(f"{kind}: {every[-1]}")
    lives = histories(number("HISTORIES", 2000))
    size = "The whole hour." if minutes >= 60 else f"A reduced size: {minutes} minutes of an hour."
    REPORT.write_text(report(every, lives, size))
    say(f"written to {REPORT}")
    sys.exit(any(one.wrong for one in every) or "failed" in lives)


if __name__ == "__main__":
    main()
