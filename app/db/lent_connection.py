"""A connection of PostgreSQL's pool for compiled statements alone, each of which is a transaction by itself.

SQLAlchemy's `Connection`, and what its pool keeps beside each that is checked out, cost as much as a statement does,
and a message has four. Whether the server has closed the connection is looked at here too.
"""

from typing import Any, Self, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine
from sqlalchemy.pool import ConnectionPoolEntry

from app.db.compiled_statement import as_sqlalchemy
from app.db.engine import has_ended, refuse_while_hung
from app.db.fair_pool import FairPool
from app.db.libpq import DirectConnection


class LentConnection:
    """What a `CompiledStatement` asks of a connection; `connection` is its entry in the pool."""

    __slots__ = ("connection", "dialect", "engine", "pool")
    connection: ConnectionPoolEntry

    def __init__(self, engine: Engine) -> None:
        self.engine, self.dialect, self.pool = engine, engine.dialect, cast(FairPool, engine.pool)

    def __enter__(self) -> Self:
        """Raises SQLAlchemy's TimeoutError where none is free in time, OperationalError where none can be made."""
        refuse_while_hung()
        try:
            self._borrow()
        except psycopg.Error as error:
            raise as_sqlalchemy(self.dialect, None, error, is_lost=True) from error
        return self

    def __exit__(self, *_: object) -> None:
        """One that is left within a statement or a transaction is closed; None stands for one that was."""
        line = self.connection.dbapi_connection
        if isinstance(line, DirectConnection):
            line.is_at_once = False
            if line.pgconn.transaction_status != TransactionStatus.IDLE:
                self.invalidate()
        self.pool.give_back(self.connection)

    def invalidate(self, error: BaseException | None = None) -> None:
        self.connection.invalidate(error)

    def _borrow(self) -> None:
        entry: Any = self.pool.borrow()
        self.connection = entry
        try:
            if has_ended(entry.get_connection()):
                entry.invalidate()
            entry.get_connection().is_at_once = True
        except BaseException:
            self.pool.give_back(entry)
            raise
