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
    note("began")
    time.sleep(3)
    note("ended")


def fail(identifier: int) -> None:
    raise ValueError(f"the canary of {identifier}")
