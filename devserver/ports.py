"""Loopback ports: free ones, taken ones. `python -m devserver.ports` ends with 1 where $PORT is taken."""

import os
import socket
import sys
from contextlib import suppress


class PortUnfit(Exception):
    """The port cannot be used; the message says why and what helps."""


def free_port() -> int:
    """A port that nothing listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


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
        chosen_port()
    except PortUnfit as unfit:
        sys.exit(str(unfit))
