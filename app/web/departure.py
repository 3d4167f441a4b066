"""Who asked has hung up before the request was begun: nothing is spent for them."""

import socket
from contextvars import ContextVar

from werkzeug.exceptions import ServiceUnavailable

LONG_WAIT = 1.0
"""Seconds for a thread. Who hangs up sooner may just have sent what they wanted to, and is served."""

has_left: ContextVar[bool] = ContextVar("has_left", default=False)
"""Of the request that this thread serves."""


def has_hung_up(line: socket.socket) -> bool:
    """Whether the other side has ended it and sent nothing more. Takes nothing of what it sent."""
    try:
        return not line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def check_presence() -> None:
    """ServiceUnavailable where nobody waits for the answer; who only ended their own side reads it."""
    if has_left.get():
        raise ServiceUnavailable(GIVEN_UP, retry_after=1)


GIVEN_UP = "The connection was given up while we were busy. Nothing was charged. Try again."
