"""docs/bench.md: what was measured, on what, and whether it reached what was wanted."""

import os
import platform
import subprocess
from pathlib import Path

from app.models.base import utcnow
from bench.environment import PROJECT
from bench.metrics import IS_QUICK, Measure

NOTES = Path(__file__).with_name("notes.md")
HEAD = """# Speed

Written by `make bench` (`QUICK=1` for a short run). Every figure is from one run, each target measured in turns
with the others on loopback, medians of the rounds. Absolute figures drift with the machine; the ratios are what counts.

{machine}

| # | measure | ours | theirs | ratio | target | reached |
|---|---|---|---|---|---|---|
"""


def write(measures: list[Measure], remarks: list[str], load_before: float) -> Path:
    path = PROJECT / "docs" / "bench.md"
    lines = [line_of(measure) for measure in sorted(measures, key=lambda measure: measure.number)]
    said = "".join(f"\n- {remark}" for remark in remarks)
    path.write_text(f"{HEAD.format(machine=machine(load_before))}{chr(10).join(lines)}\n{said}\n\n{NOTES.read_text()}")
    return path


def line_of(measure: Measure) -> str:
    shown = f"{measure.ratio:.2f}" if measure.theirs else ""
    bound = f"{'<=' if measure.is_most else '>='} {measure.target:g}"
    cells = [str(measure.number), measure.name, measure.ours, measure.theirs, shown, bound]
    return f"| {' | '.join([*cells, 'yes' if measure.is_reached else '**no**'])} |"


def machine(load_before: float) -> str:
    """The machine in words, and how busy it was with other things."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = f"Python {platform.python_version()}, {first_line('postgres', '--version')}"
    kind = "A short run" if IS_QUICK else "A full run"
    cores = os.cpu_count() or 1
    busy = f"the load average was {load_before:.1f} before it began"
    judged = "quiet" if load_before < cores / 2 else "**shared with other work, so that even the ratios are rough**"
    size = f"{cores} cores, {memory:.0f} GB, {platform.system()} on {platform.machine()}"
    return f"{kind} of {utcnow():%d %B %Y}: {size}; {versions}, fsync on; {busy}: {judged}."


def first_line(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except OSError:
        return "PostgreSQL"
