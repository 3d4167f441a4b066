"""A copy of the project in an empty folder, and runs of it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devserver import processes
from devserver.ports import free_port
from devserver.procfile import PROJECT
from tests.support.environment import process_environment
from tests.support.running_app import await_that

PARTS = ("app", "devserver", "migrations", "sandbox", "Procfile", "gunicorn.conf.py", "wsgi.py")


class DevelopmentRun:
    """`python -m devserver` in a folder of its own."""

    def __init__(self, folder: Path, **changes: str) -> None:
        self.port = changes.setdefault("PORT", str(free_port()))
        self.folder = folder
        self.environment = process_environment(changes)
        self.began = time.monotonic()
        self.output = folder / f"output-{self.port}"
        with self.output.open("wb") as output:
            command = [sys.executable, "-m", "devserver"]
            self.process = processes.start(command, environment=self.environment, folder=folder, output=output)

    @property
    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def await_words(self, text: str, seconds: float = 60) -> None:
        """Wait until it has said them; AssertionError where it ends without."""

        def are_there() -> bool:
            assert text in self.said or self.process.poll() is None, f"it ended, without {text!r}:\n{self.said}"
            return text in self.said

        await_that(are_there, seconds, failing=lambda: f"{text!r} is not in\n{self.said}")

    def command(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command of the virtual environment beside the run."""
        beside = process_environment({"APP_ENV": "development", "FLASK_APP": "wsgi"})
        program = str(Path(sys.executable).with_name(command[0]))
        return subprocess.run(
            [program, *command[1:]], cwd=self.folder, env=beside, capture_output=True, text=True, check=False
        )

    def pid_of(self, text: str) -> int:
        """The process in the run's folder whose command line ends with `words`. AssertionError where there is none."""
        for process in Path("/proc").glob("[0-9]*"):
            if command_in(self.folder, process).endswith(text):
                return int(process.name)
        raise AssertionError(f"no process {text!r} in {self.left_behind()}")

    def signal(self, number: signal.Signals) -> None:
        """As a terminal does: to the whole group."""
        os.killpg(self.process.pid, number)

    def left_behind(self) -> list[str]:
        """The command lines of what still runs in this folder."""
        return [command for process in Path("/proc").iterdir() if (command := command_in(self.folder, process))]


def command_in(folder: Path, process: Path) -> str:
    """The command line of a process that works in `folder`; empty for every other."""
    try:
        is_here = Path(os.readlink(process / "cwd")).is_relative_to(folder)
        return (process / "cmdline").read_text().replace("\0", " ").strip() if is_here else ""
    except OSError:
        return ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cloned(tmp_path_factory)


def cloned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as a fresh clone has it, without a database; what is compiled already comes along."""
    copy = tmp_path_factory.mktemp("clone")
    for part in PARTS:
        source = PROJECT / part
        if source.is_dir():
            shutil.copytree(source, copy / part)
            continue
        shutil.copy(source, copy / part)
    return copy


@pytest.fixture
def start_run(folder: Path) -> Iterator[Callable[..., DevelopmentRun]]:
    """`start_run(NAME=value)`; whatever still runs at the end is killed."""
    runs: list[DevelopmentRun] = []

    def start(**changes: str) -> DevelopmentRun:
        runs.append(DevelopmentRun(folder, **changes))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.signal(signal.SIGTERM)
            run.process.wait(20)
