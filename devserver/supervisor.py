"""Keeps a few processes running, shows what they write, and ends them all together."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FrameType

from devserver import processes
from devserver.procfile import PROJECT

STARTS_WELL = 5.0
"""Seconds after which a process that ends is started again; one that ends sooner will not mend."""
SILENCE, LONGEST_WAIT = 1.0, 8.0
"""Seconds without a line after which the processes have started, and how long that is waited for."""


@dataclass
class Process:
    """One command under supervision."""

    name: str
    command: list[str]
    child: subprocess.Popen[bytes] | None = None
    started: float = field(default=0.0)
    last_line: float = field(default=0.0)

    def start(self, environment: Mapping[str, str]) -> None:
        self.started = time.monotonic()
        self.child = processes.start(
            self.command, environment=environment, folder=PROJECT, output=subprocess.PIPE
        )
        threading.Thread(target=self.show, args=(self.child,), daemon=True).start()

    def show(self, child: subprocess.Popen[bytes]) -> None:
        """Write each line that the process writes, after its name."""
        assert child.stdout
        for line in child.stdout:
            self.last_line = time.monotonic()
            say(f"{self.name:<9}| {line.decode(errors='replace').rstrip()}")

    @property
    def has_ended(self) -> bool:
        return self.child is not None and self.child.poll() is not None


def say(text: str) -> None:
    """Write a line; a terminal that is gone changes nothing."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError:
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115 - stays open for the rest of the run


class Supervisor:
    """Runs processes until a signal comes, the parent has gone, or one of them cannot be kept running."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.processes: list[Process] = []
        self.is_stopping = False
        self._wake = threading.Event()

    def heed_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop_soon)

    def add(self, name: str, command: list[str]) -> None:
        process = Process(name, command)
        self.processes.append(process)
        process.start(self.environment)

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than until a signal."""
        self._wake.wait(seconds)

    def await_silence(self) -> None:
        """Wait until what starts has said what it says, so that the next line stays the last."""
        until = time.monotonic() + LONGEST_WAIT
        while not self.is_stopping and (rest := min(until, self.last_line + SILENCE) - time.monotonic()) > 0:
            self.pause(rest)

    @property
    def last_line(self) -> float:
        return max((process.last_line for process in self.processes), default=0.0)

    def failed_process(self) -> Process | None:
        """The first that ended though nobody asked it to, before it had run well; others are started again."""
        for process in self.processes:
            if not process.has_ended:
                continue
            if time.monotonic() - process.started < STARTS_WELL:
                return process
            say(f"{process.name} has ended ({exit_of(process)}); starting it again")
            process.start(self.environment)
        return None

    def stop(self, within: float = 8) -> None:
        """End all, the last started first: what others lean on goes last."""
        running = [process.child for process in reversed(self.processes) if process.child]
        for child in running[:-2]:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in running:
            processes.stop(child, within=within)

    def kill(self) -> None:
        for process in self.processes:
            if process.child:
                processes.kill(process.child)

    def _stop_soon(self, _number: int, _frame: FrameType | None) -> None:
        if self.is_stopping:
            self.kill()
        self.is_stopping = True
        self._wake.set()


def exit_of(process: Process) -> str:
    code = process.child.returncode if process.child else 0
    return f"signal {-code}" if code < 0 else f"exit code {code}"
