"""`make run`: migrates, seeds, starts Redis, payments, web, worker and clock, and ends them together.

It also stops when the program that started it (make) is gone.
"""

import http.client
import os
import subprocess
import sys
import time
from contextlib import closing, suppress
from urllib.parse import urlsplit

from devserver import ports, processes, procfile, settings
from devserver.redis_server import RedisServer
from devserver.supervisor import Supervisor, say

READY_WITHIN = 90
SILENCE, LONGEST_WAIT = 1.0, 8.0
"""Seconds without a line after which all have said what they say at the start, and the most to wait for that."""


def begin(supervisor: Supervisor, decided: dict[str, str]) -> None:
    """Everything up to the lines that say where Tollgate is."""
    settings.write_down(decided)
    say("Preparing the database")
    administrator = prepare(supervisor)
    say("Starting Redis, payments, web, worker and clock")
    for name, command in commands(decided).items():
        supervisor.start(name, command)
    await_ready(supervisor, decided)
    say(f"Tollgate is ready: {decided['BASE_URL']}")
    if administrator:
        say(f"{administrator}  (signs in to {decided['BASE_URL']}/admin/)")
    if "STRIPE_API_BASE" in decided:
        say(f"Sandbox payments: {decided['STRIPE_API_BASE']}  (test cards, time, webhooks)")
    say(f"Emails: {decided['BASE_URL']}/dev/mail")


def prepare(supervisor: Supervisor) -> str:
    """Migrate and seed; the line about the administrator, while the first password holds."""
    command = [sys.executable, "-m", "devserver.prepare"]
    with processes.start(
        command, environment=supervisor.environment, folder=procfile.PROJECT, output=subprocess.PIPE
    ) as child:
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
            *("--secret", decided["STRIPE_WEBHOOK_SECRET"]),
            *("--state", str(settings.INSTANCE / "sandbox.json")),
        ]
    if not os.environ.get("REDIS_URL"):
        started["redis"] = RedisServer(decided["REDIS_URL"], folder=settings.INSTANCE).command
    return started | {name: line for name, line in procfile.commands().items() if name != "release"}


def await_ready(supervisor: Supervisor, decided: dict[str, str]) -> None:
    """Return once it answers and has fallen silent, so that the next lines stay the last."""
    deadline = time.monotonic() + READY_WITHIN
    while not is_ready(decided):
        supervisor.look_after()
        if time.monotonic() > deadline:
            sys.exit(f"Tollgate was not ready within {READY_WITHIN} seconds; what it said is above.")
    deadline = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < min(deadline, supervisor.last_line + SILENCE):
        supervisor.look_after()


def is_ready(decided: dict[str, str]) -> bool:
    host = {"Host": urlsplit(decided["BASE_URL"]).netloc}
    with (
        closing(http.client.HTTPConnection("127.0.0.1", int(decided["PORT"]), timeout=5)) as connection,
        suppress(OSError, http.client.HTTPException),
    ):
        connection.request("GET", "/readyz", headers=host)
        return connection.getresponse().status == 200
    return False


def main() -> None:
    decided = settings.for_run(ports.claim())
    supervisor = Supervisor({**os.environ, **decided, "PYTHONUNBUFFERED": "1"})
    try:
        begin(supervisor, decided)
        while True:
            supervisor.look_after()
    finally:
        supervisor.stop()


if __name__ == "__main__":
    main()
