#!/bin/sh
# rq 2.12.0 ends a job that takes too long by raising JobTimeoutException in it, which is an Exception, and once: a job
# that goes on after the fault of one row (`except Exception`) swallows it, and has no limit from then on.
# Needs Python and a package index; a POSIX system. Fails once rq raises something else, or raises it again.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet rq==2.12.0 redis==8.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import time
from importlib.metadata import version

from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

print("rq", version("rq"))
LIMIT, ROWS, began, faults = 1, 3, time.monotonic(), []
with UnixSignalDeathPenalty(LIMIT, JobTimeoutException):
    for row in range(ROWS):
        try:
            time.sleep(1.5)
        except Exception as fault:
            faults.append((row, type(fault).__name__))
took = time.monotonic() - began
print(f"limit {LIMIT} s: {ROWS} rows took {took:.1f} s; raised: {faults}")
assert faults == [(0, "JobTimeoutException")], faults
assert took > 3, took
PYTHON
