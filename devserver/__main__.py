"""`make run`: migrates, seeds, starts Redis, payments, web, worker and clock, and ends them together.

With --until-parent-exits it also stops when the program that started it (make) is gone.
"""

import http.client
import os
import subprocess
import sys
import time
from urllib.parse import urlsplit

from devserver import processes, procfile, run_lock, settings
from devserver.ports import PortUnfit, chosen_port
from devserver.redis_binary import find_redis_server
from devserver.redis_server import RedisServer
from devserver.supervisor import Supervisor, exit_of, say

READY_WITHIN = 90
BETWEEN_LOOKS = 0.1


class CannotRun(Exception):
    """The run cannot start or go on; the message says why, and what helps."""


class Stopped(Exception):
    """A signal came, or the parent has gone."""


class Run:
    """One `make run`, from the empty folder to the last process's end."""

    def __init__(self, port: int, *, until_parent_exits: bool) -> None:
        self.port = port
        self.decided = settings.for_run(port)
        self.environment = settings.for_processes(self.decided)
        self.supervisor = Supervisor(self.environment)
        self.parent = os.getppid() if until_parent_exits else None

    def begin(self) -> None:
        """Everything up to the line that says where Tollgate is. CannotRun, Stopped."""
        self.supervisor.heed_signals()
        settings.write_down(self.decided)
        say("Preparing the database")
        administrator = self.prepare()
        say("Starting Redis, payments, web, worker and clock")
        self.start_all()
        self.await_ready()
        self.supervisor.await_silence()
        if self.supervisor.is_stopping:
            raise Stopped
        self.say_where(administrator)

    def say_where(self, administrator: str) -> None:
        """The last words: where everything is, and who may sign in."""
        address = self.decided["BASE_URL"]
        say(f"Tollgate is ready: {address}")
        if administrator:
            say(f"{administrator}  (signs in to {address}/admin/)")
        if "STRIPE_API_BASE" in self.decided:
            say(f"Sandbox payments: {self.decided['STRIPE_API_BASE']}  (test cards, time, webhooks)")
        say(f"Emails: {address}/dev/mail")

    def prepare(self) -> str:
        """Migrate and seed; the line about the administrator, while the first password holds."""
        command = [sys.executable, "-m", "devserver.prepare"]
        with processes.start(
            command, environment=self.environment, folder=procfile.PROJECT, output=subprocess.PIPE
        ) as child:
            said = b""
            while child.stdout and (line := child.stdout.readline()):
                said += line
            child.wait()
        text = said.decode(errors="replace")
        if self.supervisor.is_stopping:
            raise Stopped
        if child.returncode:
            raise CannotRun(f"{text}\nThe database could not be prepared; the reason is above.")
        return next((line for line in text.splitlines() if line.startswith("Admin: ")), "")

    def start_all(self) -> None:
        if "STRIPE_API_BASE" in self.decided:
            self.supervisor.add("payments", self.payments())
        if find_redis_server() is None:
            self.supervisor.add("all", [sys.executable, "-m", "devserver.single_process"])
            return
        redis = RedisServer(socket=settings.redis_socket(), folder=settings.INSTANCE)
        self.supervisor.add("redis", redis.command())
        for name, command in procfile.commands().items():
            if name != "release":
                self.supervisor.add(name, command)

    def payments(self) -> list[str]:
        """The command of the stand-in for Stripe, which keeps what it knows in `instance/`."""
        port = urlsplit(self.decided["STRIPE_API_BASE"]).port
        return [
            *(sys.executable, "-m", "sandbox", "--port", str(port)),
            *("--webhook-url", f"http://127.0.0.1:{self.port}/webhooks/stripe"),
            *("--secret", self.decided["STRIPE_WEBHOOK_SECRET"]),
            *("--state", str(settings.INSTANCE / "sandbox.json")),
        ]

    def await_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not self.is_ready():
            self.look_after()
            if time.monotonic() > deadline:
                raise CannotRun(
                    f"Tollgate was not ready within {READY_WITHIN} seconds; what it said is above."
                )

    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz", headers={"Host": urlsplit(self.decided["BASE_URL"]).netloc})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def look_after(self) -> None:
        """Wait a moment, mend what can be mended. Stopped, CannotRun."""
        self.supervisor.pause(BETWEEN_LOOKS)
        if self.supervisor.is_stopping or (self.parent and os.getppid() != self.parent):
            raise Stopped
        failed = self.supervisor.failed_process()
        if failed:
            raise CannotRun(f"{failed.name} has ended ({exit_of(failed)}); what it said is above.")


def hold_instance(port: int) -> int:
    """Keep `instance/` to this run. CannotRun where that fails."""
    try:
        return run_lock.hold(f"http://127.0.0.1:{port}")
    except BlockingIOError as error:
        raise CannotRun(run_lock.already_running()) from error
    except OSError as error:
        raise CannotRun(f"Tollgate cannot write to {settings.INSTANCE}: {error.strerror}.") from error


def main(arguments: list[str]) -> int:
    """The exit code: 0 when it was stopped, 1 when it could not run."""
    run = None
    try:
        port = chosen_port()
        hold_instance(port)
        run = Run(port, until_parent_exits="--until-parent-exits" in arguments)
        run.begin()
        while True:
            run.look_after()
    except Stopped:
        say("Stopping")
        return 0
    except (CannotRun, PortUnfit) as refusal:
        say(str(refusal))
        return 1
    finally:
        if run:
            run.supervisor.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
