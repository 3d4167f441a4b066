"""Jobs that tell the tests of the worker what happened to them, in the file that NOTES names."""

import os
import time
from pathlib import Path

from flask import g


def note(text: str) -> None:
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{text}\n")


def note_context() -> None:
    note("used before" if "seen" in g else "fresh")
    g.seen = True


def take_long() -> None:
    """Until the file that is called like NOTES with `.go` at its end is there, or a minute has passed."""
    note("began")
    deadline, go = time.monotonic() + 60, Path(os.environ["NOTES"]).with_suffix(".go")
    while not go.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    note("ended")


def fail(identifier: int) -> None:
    raise ValueError(f"the canary of {identifier}")
