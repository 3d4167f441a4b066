"""Tells a PostgreSQL that hangs from one that is slow: a process that serves people gives up on it in seconds.

libpq waits without an end for a server whose processes stand still: the connection is there, and nothing comes. So one
thread looks at what waits. Where a statement has waited for `SLOW` it asks the server for a new connection; if none
comes, the server hangs: what waits is cut off, and nobody waits for it again until a connection comes. security.md 34.
"""

import os
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import psycopg

SLOW = 1.5
PROBE_SECONDS = 2
"""The least that libpq takes for a connection to come."""

PAUSE = 0.25
STATEMENT_SECONDS, LOCK_SECONDS = 20, 10


class Watchdog:
    """Which connections wait for an answer, since when, and whether the server hangs."""

    def __init__(self) -> None:
        self.waiting: dict[int, tuple[Any, float]] = {}
        self.is_hung = False
        self.is_on = False
        self.target: tuple[tuple[Any, ...], dict[str, Any]] | None = None

    def start(self) -> None:
        """From now on in this process: its statements have an end, and a server that hangs is given up."""
        self.is_on = True
        threading.Thread(target=self._look, daemon=True, name="database watch").start()

    def began(self, connection: Any) -> None:
        if self.is_on:
            self.waiting[id(connection)] = connection, time.monotonic()

    def ended(self, connection: Any) -> None:
        self.waiting.pop(id(connection), None)

    def limits(self) -> bytes:
        """What a new connection is told first, so that a slow statement ends by the server."""
        return b"SET statement_timeout = '%ds'; SET lock_timeout = '%ds'" % (STATEMENT_SECONDS, LOCK_SECONDS)

    def _look(self) -> None:
        while True:
            time.sleep(PAUSE)
            late = time.monotonic() - SLOW
            if self.is_hung or any(since < late for _one, since in list(self.waiting.values())):
                self.is_hung = not self._answers()
            if self.is_hung:
                for connection, _since in list(self.waiting.values()):
                    cut(connection)

    def _answers(self) -> bool:
        """Whether the server lets somebody new in."""
        if self.target is None:
            return True
        arguments, named = self.target
        try:
            psycopg.connect(*arguments, **named | {"connect_timeout": PROBE_SECONDS}).close()
        except psycopg.OperationalError as error:
            return "timeout" not in str(error).lower()
        return True


def cut(connection: Any) -> None:
    """End the connection under a statement that waits: libpq sees the end and raises."""
    with suppress(OSError, psycopg.Error):
        copy = socket.socket(fileno=os.dup(connection.pgconn.socket))
        copy.shutdown(socket.SHUT_RDWR)
        copy.close()


watchdog = Watchdog()
