"""How crowded the machine is: a bound of time holds for an idle one, and is so many times longer on another."""

import os
from pathlib import Path

LOAD = Path("/proc/loadavg")


def patient(seconds: float) -> float:
    """The bound as it is where each core has one process to run, and longer where more of them wait for it."""
    lately = os.getloadavg()[0]
    now = int(LOAD.read_text().split()[3].split("/")[0]) if LOAD.exists() else 0
    return seconds * max(1.0, max(lately, now) / (os.cpu_count() or 1))
