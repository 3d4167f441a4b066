"""Loopback ports, and the one run in this folder. `python -m devserver.ports` ends with 1 where it cannot begin."""

import fcntl
import itertools
import os
import secrets
import socket
import sys
from contextlib import suppress

from devserver.procfile import PROJECT

FIRST, LAST = 15_000, 32_000
INSTANCE = PROJECT / "instance"
LOCK = INSTANCE / "running.lock"
"""Held by the run that has `instance/`; its address is written in it."""


def free_port() -> int:
    """One that nothing listened on a moment ago; none that the system gives to outgoing connections meanwhile."""
    drawn = (FIRST + secrets.randbelow(LAST - FIRST) for _ in itertools.count())
    return next(port for port in drawn if is_free(port))


def is_free(port: int) -> bool:
    with suppress(OSError):
        bind(port)
        return True
    return False


def bind(port: int) -> None:
    """Take the port and let go of it; OSError where it cannot be had."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))


def claim() -> int:
    """$PORT, or 5000, with `instance/` kept to this run. Exits where either cannot be had."""
    text = os.environ.get("PORT") or "5000"
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        sys.exit(f"PORT is {text!r}; it must be a number from 1 to 65535.")
    hold(f"http://127.0.0.1:{text}")
    try:
        bind(int(text))
    except OSError as error:
        reason = "not allowed for you" if isinstance(error, PermissionError) else "in use by another program"
        sys.exit(f"Port {text} is {reason}. Choose another: PORT=5001 make run")
    return int(text)


def hold(address: str) -> None:
    """Lock `instance/`; the system lets go however this run ends."""
    try:
        INSTANCE.mkdir(exist_ok=True)
        lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"Tollgate is already running in this folder: {LOCK.read_text()}")
    except OSError as error:
        sys.exit(f"Tollgate cannot write to {INSTANCE}: {error.strerror}.")
    os.ftruncate(lock, 0)
    os.pwrite(lock, address.encode(), 0)


if __name__ == "__main__":
    claim()
