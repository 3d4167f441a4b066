"""The real thing: gunicorn, RQ workers and the clock as processes, to be watched, killed and started again."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Self

import requests

from devserver import processes, procfile
from devserver.ports import free_port
from tests.support import forks
from tests.support.crowding import patient
from tests.support.environment import process_environment

CRASH_PROGRAM = {
    "web": ["gunicorn", "tests.support.crash_web:app"],
    "worker": ["python", "-m", "tests.support.crash_worker"],
}

PROCESSES = {"start_app", "shared_app", "start_run", "running", "machines", "stage"}
"""The fixtures behind which there are web processes and workers."""


class RunningApp:
    """Processes of the app over one environment; `url` is the web process's address.

    `own` are the app's variables. Names of processes are those of the Procfile; two of a kind are told apart by a
    suffix: "worker", "worker.2". `project` is where the code is whose processes begin with nothing imported.
    """

    def __init__(
        self,
        own: Mapping[str, str],
        *,
        folder: Path,
        names: Sequence[str] = ("web", "worker"),
        host: str = "127.0.0.1",
        project: Path | None = None,
    ) -> None:
        self.port = int(own.get("PORT") or free_port())
        self.address = (host, self.port)
        self.url = f"http://{host}:{self.port}"
        self.own = {"WEB_CONCURRENCY": "1"} | dict(own) | {"PORT": str(self.port), "BASE_URL": self.url}
        self.own |= {"GUNICORN_CMD_ARGS": f"--bind {host}:{self.port}"}
        self.names = tuple(names)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._folder, self._project = folder, project

    def __enter__(self) -> Self:
        for name in self.names:
            self.start(name)
        if "web" in self.names:
            self.await_ready()
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is asked of them any more: how they end when they are told to is a test's own business."""
        for child in self.processes.values():
            processes.kill(child)

    def start(self, name: str, *, crash: str | None = None, **changes: str) -> None:
        """Start one process; `crash` is a crash point (see `crash.py`) that kills it on its way."""
        kind = name.partition(".")[0]
        command = procfile.commands()[kind]
        if crash:
            command = procfile.beside_python(CRASH_PROGRAM[kind])
            changes["TOLLGATE_CRASH"] = crash
        with self.log_file(name).open("ab") as log:
            self.processes[name] = self._begin(command, process_environment(self.own | changes), log)

    def _begin(self, command: list[str], environment: dict[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        if self._project is None:
            return forks.start(command, environment, output)
        return processes.start(command, environment=environment, folder=self._project, output=output)

    def kill(self, name: str) -> None:
        """kill -9 of the process and of its processes."""
        processes.kill(self.processes[name])

    def terminate(self, name: str, *, within: float = 40) -> int:
        """SIGTERM, as a deploy does; the exit code."""
        child = self.processes[name]
        child.send_signal(signal.SIGTERM)
        return child.wait(patient(within))

    def restart(self, name: str, **options: str) -> None:
        """kill -9 and start again; a web process is waited for."""
        self.kill(name)
        self.start(name, **options)
        if name.startswith("web"):
            self.await_ready()

    def await_ready(self, seconds: float = 30) -> None:
        """Return once `/readyz` answers 200."""
        await_that(self._is_ready, seconds, failing=lambda: f"web is not ready:\n{self.log('web')[-4000:]}")

    def await_death(self, name: str, seconds: float = 30) -> int:
        """Wait until the process has died by itself; its exit code."""
        return self.processes[name].wait(patient(seconds))

    def log_file(self, name: str) -> Path:
        return self._folder / f"{name}-{self.port}.log"

    def log(self, name: str) -> str:
        """All that the process has written."""
        return self.log_file(name).read_text(errors="replace")

    def run(self, *command: str, expect: int = 0) -> str:
        """Run a command of the virtual environment, such as `flask billing audit`; what it wrote."""
        own = process_environment(self.own | {"FLASK_APP": "wsgi"})
        with TemporaryFile() as output:
            code = self._begin(procfile.beside_python(list(command)), own, output).wait(120)
            output.seek(0)
            written = output.read().decode(errors="replace")
        assert code == expect, f"{' '.join(command)} ended with {code}:\n{written}"
        return written

    def work_off(self) -> str:
        """Run a worker of its own until the queue is empty; what it wrote."""
        return self.run("python", "-m", "app.worker", "burst")

    def _is_ready(self) -> bool:
        if self.processes["web"].poll() is not None:
            raise AssertionError(f"web has ended:\n{self.log('web')[-4000:]}")
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False


def await_that(condition: Callable[[], bool], seconds: float = 10, *, failing: Callable[[], str] = str) -> None:
    """Return once `condition()` holds; AssertionError with `failing()` after three times what a quick machine takes."""
    deadline = time.monotonic() + patient(3 * seconds)
    while not condition():
        assert time.monotonic() < deadline, failing() or f"not within {3 * seconds} s"
        time.sleep(0.05)
