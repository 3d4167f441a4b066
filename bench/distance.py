"""BENCH 10: the database half a millisecond away each way, as it is on another machine.

With BENCH_BEFORE, the folder of another checkout, that build is measured in turns with this one.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench.environment import PROJECT, Stage, Target, stage
from bench.metrics import Measure, either, ratio_of
from bench.streams import Figures, first_token
from devserver.ports import free_port

DELAY = 0.0005
FIRSTS, SENDS, AT_ONCE = 20, either(160, 64), 8
ROUNDS = either(5, 3)
CHATS = (FIRSTS + SENDS) * (ROUNDS + 1) + 40
BOUNDS = [("Tollgate", 4.0, 0.4), ("before", 0.35, 6.0)]
"""Against whom, and what first token and sends are to reach."""

SHORT = "How do the tides work? [[tokens=1]]"


def measured() -> list[Measure]:
    with stage() as running:
        near, far = running.tollgate(chats=CHATS), build(running, "far", PROJECT)
        firsts, sends = in_turns([near, far, *others(running)])
        lines = []
        for name, first_bound, sends_bound in BOUNDS:
            if name in firsts:
                first, send = (
                    f"first token, 1 ms away, against {name}",
                    f"sends of one account, 1 ms away, against {name}",
                )
                ours, theirs = firsts[far.name], firsts[name]
                lines.append(ratio_of(10, first, "ms", ours, theirs, target=first_bound))
                ours, theirs = sends[far.name], sends[name]
                lines.append(ratio_of(10, send, "/s", ours, theirs, target=sends_bound, is_most=False))
        return lines


def others(running: Stage) -> list[Target]:
    """The build of BENCH_BEFORE, at the same distance."""
    before = os.environ.get("BENCH_BEFORE")
    return [build(running, "before", Path(before))] if before else []


def build(running: Stage, name: str, project: Path) -> Target:
    """A build over a database of its own, at a distance."""
    running.postgres.execute(f"CREATE DATABASE {name}")
    port = free_port()
    line = ["-m", "tests.support.distant", "127.0.0.1", str(running.postgres.port), str(port), str(DELAY)]
    running.start([sys.executable, *line], port)
    away = running.postgres.url(name).replace(f":{running.postgres.port}/", f":{port}/")
    there = replace(running, environment=running.environment | {"DATABASE_URL": away})
    return replace(there.tollgate(chats=CHATS, project=project), name=name)


def in_turns(targets: list[Target]) -> tuple[dict[str, float], dict[str, float]]:
    """The medians of first tokens and of sends a second, A B C A B C; by name."""
    firsts: Figures = {target.name: [] for target in targets}
    sends: Figures = {target.name: [] for target in targets}
    for target in targets:
        target.load(16, 4, SHORT)
    for _ in range(ROUNDS):
        for target in targets:
            firsts[target.name].append(first_token(target))
            seconds = float(target.load(SENDS, AT_ONCE, SHORT)["seconds"])
            sends[target.name].append(SENDS / seconds)
    return {name: median(of) for name, of in firsts.items()}, {name: median(of) for name, of in sends.items()}
