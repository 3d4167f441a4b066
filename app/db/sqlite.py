"""SQLite's connection, with turns for those that write."""

import fcntl
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

PATIENCE = 30.0
PAUSE = 0.0005
WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")
"""What Python's `sqlite3` begins a transaction for."""

THREADS: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
"""By the database's file: of each process one thread at a time waits for the other processes."""


class TurnCursor(sqlite3.Cursor):
    connection: "TurnConnection"

    def execute(self, sql: str, parameters: Any = ()) -> "TurnCursor":
        self.connection.take_turn(sql)
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> "TurnCursor":
        self.connection.take_turn(sql)
        return super().executemany(sql, parameters)


class TurnConnection(sqlite3.Connection):
    """Whoever writes has the turn until commit or rollback, and the next has it at once.

    SQLite lets one write at a time too, but who waits for it sleeps, and looks again later and later. Its own lock
    is what keeps the data whole; this one, on a file beside the database, only says whose turn it is.
    """

    _has_turn = False
    _file: Any = None

    def __init__(self, database: str, *arguments: Any, **options: Any) -> None:
        super().__init__(database, *arguments, **options)
        self._threads = THREADS[str(database)]
        self._file = open(f"{database}-turn", "ab")  # noqa: SIM115 - open as long as the connection
        self._cursor = self.cursor()

    def cursor(self, factory: Any = TurnCursor) -> Any:
        return super().cursor(factory)

    def send(self, text: str, parameters: Mapping[str, Any]) -> tuple[int, list[tuple[Any, ...]]]:
        """How many rows were written, and those that were found; by one cursor, for making one costs as much again."""
        self._cursor.execute(text, parameters)
        rows = self._cursor.fetchall()
        return self._cursor.rowcount, rows

    def take_turn(self, sql: str) -> None:
        """Before a statement that writes. OperationalError, as SQLite's own, where it does not come."""
        if self._has_turn or not sql.lstrip()[:8].upper().startswith(WRITES):
            return
        deadline = time.monotonic() + PATIENCE
        if not self._threads.acquire(timeout=PATIENCE):
            raise sqlite3.OperationalError("database is locked")
        self._has_turn = True
        while not self._is_first():
            if time.monotonic() > deadline:
                raise sqlite3.OperationalError("database is locked")
            time.sleep(PAUSE)

    def _is_first(self) -> bool:
        """Whether no other process has the turn, so that it is this one's now."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def commit(self) -> None:
        """What fails is rolled back here: the pool would take the connection back with its transaction and its turn."""
        try:
            super().commit()
        except sqlite3.Error:
            self.rollback()
            raise
        self._end_turn()

    def rollback(self) -> None:
        try:
            super().rollback()
        finally:
            self._end_turn()

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._let_go()

    def __del__(self) -> None:
        """Dropped without a close."""
        self._let_go()

    def _let_go(self) -> None:
        self._end_turn()
        if self._file is not None:
            self._file.close()

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            try:
                fcntl.flock(self._file, fcntl.LOCK_UN)
            finally:
                self._threads.release()
