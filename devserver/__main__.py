"""`make run`: migrates, seeds, starts Redis, payments, web, worker and clock; ends all together, with make too."""

import os
import sys
import time
from contextlib import suppress
from urllib.parse import urlsplit

import httpx2

from devserver import ports, procfile, settings
from devserver.redis_server import RedisServer
from devserver.supervisor import Supervisor, say

READY_WITHIN = 90
SILENCE, LONGEST_WAIT = 1.0, 8.0
"""Seconds without a line after which all have said what they say at the start, and the most to wait for that."""


def begin(supervisor: Supervisor, decided: dict[str, str]) -> None:
    """Everything up to the lines that say where Tollgate is."""
    say("Preparing the database")
    admin = prepare(supervisor)
    say("Starting Redis, payments, web, worker and clock")
    for name, command in commands(decided).items():
        supervisor.start(name, command)
    await_ready(supervisor, decided)
    say(f"Tollgate is ready: {decided['BASE_URL']}")
    if admin:
        say(f"{admin}  (signs in to {decided['BASE_URL']}/admin/)")
    if "STRIPE_API_BASE" in decided:
        say(f"Sandbox payments: {decided['STRIPE_API_BASE']}  (test cards, time, webhooks)")
    say(f"Emails: {decided['BASE_URL']}/dev/mail")


def prepare(supervisor: Supervisor) -> str:
    """Migrate and seed; the line about the admin, while the first password holds."""
    child = supervisor.child_of([sys.executable, "-m", "devserver.prepare"])
    text = child.communicate()[0].decode(errors="replace")
    supervisor.look_after()
    if child.returncode:
        sys.exit(f"{text}\nThe database could not be prepared; the reason is above.")
    return next((line for line in text.splitlines() if line.startswith("Admin: ")), "")


def commands(decided: dict[str, str]) -> dict[str, list[str]]:
    """What runs, in the order in which it starts; payments keep what they know in `instance/`."""
    started = {}
    if "STRIPE_API_BASE" in decided:
        started["payments"] = [
            *(sys.executable, "-m", "sandbox", "--port", str(urlsplit(decided["STRIPE_API_BASE"]).port)),
            *("--webhook-url", f"http://127.0.0.1:{decided['PORT']}/webhooks/stripe"),
            *("--secret", decided["STRIPE_WEBHOOK_SECRET"], "--state", str(ports.INSTANCE / "sandbox.json")),
        ]
    if not os.environ.get("REDIS_URL"):
        started["redis"] = RedisServer(decided["REDIS_URL"], folder=ports.INSTANCE).command
    return started | {name: line for name, line in procfile.commands().items() if name != "release"}


def await_ready(supervisor: Supervisor, decided: dict[str, str]) -> None:
    """Return once it answers and has fallen silent, so that the next lines stay the last."""
    deadline = time.monotonic() + READY_WITHIN
    while not is_ready(decided):
        supervisor.look_after()
        if time.monotonic() > deadline:
            sys.exit(f"Tollgate was not ready within {READY_WITHIN} seconds; see the messages above.")
    deadline = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < min(deadline, supervisor.last_line + SILENCE):
        supervisor.look_after()


def is_ready(decided: dict[str, str]) -> bool:
    address, host = f"http://127.0.0.1:{decided['PORT']}/readyz", urlsplit(decided["BASE_URL"]).netloc
    with suppress(httpx2.HTTPError):
        return httpx2.get(address, headers={"Host": host}, timeout=5, trust_env=False).status_code == 200
    return False


if __name__ == "__main__":
    chosen = settings.for_run(ports.claim())
    run = Supervisor({**os.environ, **chosen, "PYTHONUNBUFFERED": "1"})
    try:
        begin(run, chosen)
        while True:
            run.look_after()
    finally:
        run.stop()
