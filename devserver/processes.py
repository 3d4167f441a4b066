"""Starts processes that never outlive the one that started them, however that one dies (on Linux).

    python processes.py PARENT_PID SIGNAL UID:GID COMMAND...

stands in between: it asks for SIGNAL at the parent's death, and then is the command.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1


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
    """Start `command` in a session of its own, stderr with stdout, tied to this thread's life; `user` is "UID:GID"."""
    tied = [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(ends_by)), user or ""]
    return subprocess.Popen(
        [*tied, *command], env=environment, cwd=folder, start_new_session=True, pass_fds=inherits,
        stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
    )  # fmt: skip


def stop(child: subprocess.Popen[bytes], *, by: signal.Signals = signal.SIGTERM, within: float = 10) -> None:
    """Ask the child to end; kill its whole session when it has not after `within` seconds."""
    child.send_signal(by)
    await_end(child, within)


def await_end(child: subprocess.Popen[bytes], within: float) -> None:
    """Kill the child's whole session when it has not ended after `within` seconds."""
    try:
        child.wait(within)
    except subprocess.TimeoutExpired:
        kill(child)


def kill(child: subprocess.Popen[bytes]) -> None:
    """End the child and everything in its session at once."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def tie(parent: int, signal_number: int) -> None:
    """Ask the kernel for `signal_number` at the parent's death; leave if that has already happened."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)


def main(parent: str, signal_number: str, user: str, *command: str) -> None:
    if user:  # before the tie, which a change of user would undo
        uid, gid = (int(part) for part in user.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    tie(int(parent), int(signal_number))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
