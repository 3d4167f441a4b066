"""Starts processes that never outlive the one that started them."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

TIED = Path(__file__).with_name("parent_death.py")


def start(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    output: int | IO[bytes] | None = None,
    ends_by: signal.Signals = signal.SIGTERM,
    user: str | None = None,
    inherits: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, stderr with stdout, tied to this thread's life.

    `user` is "UID:GID", for what refuses to run as root; `inherits` are the open files that it gets.
    """
    launcher = [sys.executable, "-I", "-S", str(TIED), str(os.getpid()), str(int(ends_by))]
    if user:
        launcher += ["--user", user]
    return subprocess.Popen(
        [*launcher, *command],
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=inherits,
    )


def stop(child: subprocess.Popen[bytes], *, by: signal.Signals = signal.SIGTERM, within: float = 10) -> None:
    """Ask the child to end; kill its whole session when it has not after `within` seconds."""
    if child.poll() is not None:
        return
    child.send_signal(by)
    try:
        child.wait(within)
    except subprocess.TimeoutExpired:
        kill(child)


def kill(child: subprocess.Popen[bytes]) -> None:
    """End the child and everything in its session at once."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
