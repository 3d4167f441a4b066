"""How connections to both databases are made, and looked at before they are used. Importing it sets that up."""

import select
import sqlite3
from typing import Any

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import InvalidatePoolError, OperationalError
from sqlalchemy.pool import Pool

from app.db.case_folding import fold
from app.db.libpq import DirectConnection
from app.db.replica import REPLICA
from app.db.watchdog import watchdog

CONNECT_SECONDS = 5
HANGS = "the database takes connections and does not answer"


@event.listens_for(Pool, "checkout")
def leave_what_the_server_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """SQLAlchemy makes another one; a `LentConnection` does it by itself."""
    if isinstance(connection, sqlite3.Connection):
        return
    refuse_while_hung()
    if has_ended(connection):
        raise InvalidatePoolError("the server closed the connection")


def refuse_while_hung() -> None:
    if watchdog.is_hung:
        raise OperationalError("a connection", None, psycopg.OperationalError(HANGS))


def has_ended(connection: psycopg.Connection) -> bool:
    """An idle connection has nothing to read, but for the end that the server put to it, as urllib3 looks at its own.

    It costs a hundredth of a ping, which would be sent for every message, twice.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


@event.listens_for(PGDialect_psycopg, "do_connect")
def connect_directly(_dialect: Any, _record: Any, arguments: Any, named: Any) -> Any:
    """To PostgreSQL by our own kind of connection.

    Not as a listener of all engines: those are gathered when a dialect first connects, and of threads that do so at
    once one may be told of none (`findings/sqlalchemy-first-event.sh`).
    """
    if watchdog.is_hung:
        raise psycopg.OperationalError(HANGS)
    if named.get("application_name") != REPLICA:
        watchdog.target = tuple(arguments), named
    connection = DirectConnection.connect(*arguments, **{"connect_timeout": CONNECT_SECONDS} | named)
    if watchdog.is_on and connection.prepare_threshold is not None:
        connection.pgconn.exec_(watchdog.limits())
    return connection


@event.listens_for(Engine, "connect")
def prepare_sqlite(connection: Any, _record: Any) -> None:
    """WAL and a patient lock, so that readers and one writer get along (library-notes.md: 0 errors in 1,200)."""
    if not isinstance(connection, sqlite3.Connection):
        return
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.create_function("folded", 1, fold, deterministic=True)
