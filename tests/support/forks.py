"""Processes of the app in milliseconds: forks of one that has imported what they need. Importing it takes seconds.

    python -m tests.support.forks SOCKET

is that one, for all test processes of a run. It forks twice for each request: a fork runs the command as Python would
have, in a session of its own; a small one between waits for its end and tells the test. Each ends when the one above it
does, or the test process.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

from app import create_app
from app.providers import demo
from devserver import processes, procfile
from tests.support import kept_results, troubles
from tests.support.environment import app_environment, process_environment
from tests.support.replies import try_again_soon

ADDRESS = "TOLLGATE_FORKS"
LARGEST = 200_000
IMPORTED_BEFORE = (
    "app", "app.payments.jobs", "app.generation.jobs", "anthropic", "openai", "flask.cli", "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread", "rq.cron", "rq.worker",
)  # fmt: skip
"""Nothing that runs as `__main__`, and nothing that looks at the environment while it is imported."""


class Fork(subprocess.Popen[bytes]):
    """A process that another one started for us: to be watched, told and killed like our own."""

    def __init__(self, command: Sequence[str], status: int) -> None:
        self.args, self.returncode = command, None
        self._child_created, self.stdin, self.stdout, self.stderr = False, None, None, None
        self._status = os.fdopen(status, "rb", buffering=0)
        self.pid = int(self._status.readline())

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        if (code := self._ended(timeout)) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            self.returncode = int(self._status.readline() or -signal.SIGKILL)
            self._status.close()
        return self.returncode


def offer() -> None:
    """Let this process and those that it starts find one that forks; it begins when the first asks for it."""
    folder = Path(tempfile.mkdtemp(prefix="tollgate-forks-"))
    os.environ[ADDRESS] = str(folder / "socket")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(os.environ[ADDRESS])
    listener.listen(16)
    threading.Thread(target=begin_when_asked, args=(listener,), daemon=True).start()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


def begin_when_asked(listener: socket.socket) -> None:
    """Start it, and stay for as long as it runs: it ends with the thread that started it."""
    select.select([listener], [], [])
    process = processes.start(
        [sys.executable, "-m", "tests.support.forks", str(listener.fileno())],
        environment=process_environment({}),
        folder=procfile.PROJECT,
        inherits=(listener.fileno(),),
    )
    atexit.register(processes.kill, process)
    listener.close()
    process.wait()


class ForkServer:
    """Our end of the line to the process that forks."""

    def __init__(self) -> None:
        if ADDRESS not in os.environ:
            offer()
        self.line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.line.connect(os.environ[ADDRESS])

    def start(self, command: Sequence[str], environment: Mapping[str, str], output: IO[bytes]) -> Fork:
        told, tells = os.pipe()
        request = json.dumps([list(command), dict(environment)]).encode()
        socket.send_fds(self.line, [request], [output.fileno(), tells])
        os.close(tells)
        return Fork(command, told)


server = cache(ForkServer)
"""That of this test process."""


def start(command: Sequence[str], environment: Mapping[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a Python command of the project with this environment; where there are no such forks, plainly."""
    if sys.platform == "linux":
        return server().start(command, environment, output)
    return processes.start(command, environment=environment, folder=procfile.PROJECT, output=output)


QUICK = {name: demo.DemoModel(pause=0.1) for name in ("demo-fast", "demo-smart")}
"""A fraction of its pause: the longest answer still runs for five seconds, and the usual one for half of one."""


def make_a_first_app() -> None:
    """What the first app of a process makes for all later ones is four fifths of its time: maps of tables, routes."""
    kept_results.keep()
    create_app(app_environment(DATABASE_URL="sqlite:////nowhere", REDIS_URL="redis://127.0.0.1:9/0"))


def serve(listener: socket.socket) -> None:
    """Return in each fork with its command run."""
    lines: list[socket.socket] = []
    while True:
        for line in select.select([listener, *lines], [], [])[0]:
            if line is listener:
                lines.append(listener.accept()[0])
                continue
            request, descriptors, _flags, _address = socket.recv_fds(line, LARGEST, 2)
            if not request:
                lines.remove(line)
                line.close()
                continue
            if os.fork() == 0:
                for one in (listener, *lines):
                    one.close()
                run_between(*json.loads(request), *descriptors)
                return
            for descriptor in descriptors:
                os.close(descriptor)


def run_between(command: list[str], environment: dict[str, str], output: int, status: int) -> None:
    """Fork once more; return in the command's process, and wait for its end in this one."""
    between = os.getpid()
    processes.tie(os.getppid(), signal.SIGTERM)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if child := os.fork():
        os.close(output)
        if is_still_asked_for(status, child):
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            os.write(status, f"{code}\n".encode())
        os._exit(0)
    os.setsid()
    processes.tie(between, signal.SIGTERM)
    os.write(status, f"{os.getpid()}\n".encode())
    os.close(status)
    write_to(output)
    os.environ.clear()
    os.environ.update(environment)
    if "TOLLGATE_TROUBLES" in environment:
        troubles.listen()
    run(command)


def is_still_asked_for(status: int, child: int) -> bool:
    """Wait for the child's end, or for that of the test process, which reads no status any more."""
    waiting = select.poll()
    waiting.register(os.pidfd_open(child), select.POLLIN)
    waiting.register(status, 0)
    return all(descriptor != status for descriptor, _event in waiting.poll())


def write_to(output: int) -> None:
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)


def run(command: list[str]) -> None:
    """What `python -m module` or the script of a package would have done."""
    program, *arguments = command
    if Path(program).name.startswith("python"):
        assert arguments[0] == "-m", command
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = command
        runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    for name in IMPORTED_BEFORE:
        importlib.import_module(name)
    demo.MODELS |= QUICK
    try_again_soon()
    make_a_first_app()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    serve(socket.socket(fileno=int(sys.argv[1])))
