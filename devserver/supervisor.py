"""Keeps a few processes running, shows what they write, and ends them all together."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

from devserver import processes
from devserver.procfile import PROJECT

STARTS_WELL = 5.0
"""Seconds after which a process that ends is started again; one that ends sooner will not mend."""


def say(text: str) -> None:
    """Write a line; a terminal that is gone changes nothing."""
    with suppress(OSError):
        os.write(1, f"{text}\n".encode())


class Supervisor:
    """Runs processes until a signal comes, the parent has gone, or one of them cannot be kept running."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment, self.last_line = environment, time.monotonic()
        self.running: dict[str, tuple[list[str], subprocess.Popen[bytes], float]] = {}
        self._parent, self._signal = os.getppid(), threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self._stop_soon())

    def child_of(self, command: list[str]) -> subprocess.Popen[bytes]:
        return processes.start(command, environment=self.environment, folder=PROJECT, output=subprocess.PIPE)

    def start(self, name: str, command: list[str]) -> None:
        child = self.child_of(command)
        self.running[name] = command, child, time.monotonic()
        threading.Thread(target=self._show, args=(name, child), daemon=True).start()

    def look_after(self) -> None:
        """Wait a moment and start again what has ended. Exits when it is time to stop, or a process will not mend."""
        if self._signal.wait(0.1) or os.getppid() != self._parent:
            say("Stopping")
            sys.exit()
        for name, (command, child, started) in self.running.items():
            if (code := child.poll()) is None:
                continue
            ended = f"{name} has ended ({f'signal {-code}' if code < 0 else f'exit code {code}'})"
            if time.monotonic() - started < STARTS_WELL:
                sys.exit(f"{ended}; see its message above.")
            say(f"{ended}; starting it again")
            self.start(name, command)

    def stop(self) -> None:
        """End all, those first that were started after the first two: what others lean on goes last."""
        children = [child for _command, child, _started in reversed(self.running.values())]
        for child in children[:-2]:
            child.send_signal(signal.SIGTERM)
        for child in children[:-2]:
            processes.await_end(child, within=8)
        for child in children[-2:]:
            processes.stop(child, within=8)

    def _show(self, name: str, child: subprocess.Popen[bytes]) -> None:
        """Write each line that the process writes, after its name."""
        for line in child.stdout or ():
            self.last_line = time.monotonic()
            say(f"{name:<9}| {line.decode(errors='replace').rstrip()}")

    def _stop_soon(self) -> None:
        if self._signal.is_set():
            for _command, child, _started in self.running.values():
                processes.kill(child)
        self._signal.set()
