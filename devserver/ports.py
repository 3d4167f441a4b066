"""Loopback ports: free ones, taken ones. `python -m devserver.ports` ends with 1 where a run cannot begin."""

import itertools
import os
import secrets
import socket
import sys
from contextlib import suppress

from devserver.run_lock import already_running

FIRST, LAST = 15_000, 32_000


class PortUnfit(Exception):
    """The port cannot be used; the message says why and what helps."""


def free_port() -> int:
    """A port that nothing listened on a moment ago; none of those that the system gives to outgoing connections.

    One of these would be taken by any of them until a server that is slow to start listens there.
    """
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


def chosen_port() -> int:
    """$PORT, or 5000; PortUnfit where it is no number, forbidden or taken."""
    text = os.environ.get("PORT") or "5000"
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise PortUnfit(f"PORT is {text!r}; it must be a number from 1 to 65535.")
    try:
        bind(int(text))
    except OSError as error:
        reason = "not allowed for you" if isinstance(error, PermissionError) else "in use by another program"
        raise PortUnfit(f"Port {text} is {reason}. Choose another: PORT=5001 make run") from error
    return int(text)


if __name__ == "__main__":
    try:
        sys.exit(already_running() or not chosen_port())
    except PortUnfit as unfit:
        sys.exit(str(unfit))
