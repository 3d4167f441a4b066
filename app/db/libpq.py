"""psycopg's connection with a straight way to PostgreSQL's own library, for what every message does.

psycopg's cursor costs as much again as what it calls, and all that is prepared would be prepared anew after each
rollback, with which every request ends that only reads. Types and errors are psycopg's.
"""

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import count
from typing import Any

from psycopg import Connection, OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import FeatureNotSupported, InvalidSqlStatementName, error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from app.db.watchdog import watchdog

NAMED = re.compile(r"%\((\w+)\)s|%%")
FORGOTTEN = InvalidSqlStatementName, FeatureNotSupported
"""What the server says where a statement is not there anymore, or where a migration has changed what it finds."""

PLANNED_AGAIN = 200
"""How often a statement is sent before it is planned once more.

PostgreSQL keeps a plan until it has new statistics of the tables, or they change. One that was made while a table was
as good as empty goes through all rows of an account, since any index seemed as good as another; until autovacuum has
come by, a minute later, that may be many.
"""

DONE = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}


class Statement:
    """A text with `$1` for `%(name)s`, the names in their order, and what the server calls it."""

    def __init__(self, text: str, number: int) -> None:
        self.names: list[str] = []
        self.text = NAMED.sub(self._numbered, text).encode()
        self.formats = [PyFormat.TEXT] * len(self.names)
        self.name = f"hot_{number}".encode()
        self.uses = 0

    def _numbered(self, rows: re.Match[str]) -> str:
        name = rows[1]
        if name is None:
            return "%"
        if name not in self.names:
            self.names.append(name)
        return f"${self.names.index(name) + 1}"


class DirectConnection(Connection[Any]):
    """Never in two threads at once. Its calls wait in C, without Python's lock.

    `prepare_threshold` None says that a pooler stands between, which would not know a statement's name again.
    """

    is_at_once = False
    """Each statement is a transaction by itself. SQLAlchemy's AUTOCOMMIT costs more than a statement does."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._statements: dict[str, Statement] = {}
        self._numbers = count()

    @cached_property
    def _types(self) -> Any:
        """Made late: psycopg tells a connection its types once it is there."""
        return Transformer(self)

    def send(self, text: str, parameters: Mapping[str, Any]) -> tuple[int, list[tuple[Any, ...]]]:
        """How many rows were written or found, and the rows. Raises psycopg's errors."""
        if not (self.is_at_once or self.autocommit) and self.pgconn.transaction_status == TransactionStatus.IDLE:
            self._answer(self.pgconn.exec_, b"BEGIN")
        statement = self._statements.get(text) or self._prepared_statement(text)
        statement.uses += 1
        if statement.uses == PLANNED_AGAIN:
            statement = self._prepared_again(text, statement)
        given = [parameters[name] for name in statement.names]
        sent: Any = self._types.dump_sequence(given, statement.formats)
        if self.prepare_threshold is None:
            result = self._answer(self.pgconn.exec_params, statement.text, sent)
        else:
            result = self._answer(self.pgconn.exec_prepared, statement.name, sent)
        self._types.set_pgresult(result)
        return result.command_tuples or 0, self._types.load_rows(0, result.ntuples, tuple)

    def wait(self, gen: Any, *arguments: Any, **named: Any) -> Any:
        """What psycopg's own cursors wait by."""
        watchdog.began(self)
        try:
            return super().wait(gen, *arguments, **named)
        finally:
            watchdog.ended(self)

    def commit(self) -> None:
        self._end(b"COMMIT")

    def rollback(self) -> None:
        """psycopg's would drop every prepared statement. OperationalError in the middle of one that was broken off."""
        if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
            raise OperationalError("a statement was broken off")
        self._end(b"ROLLBACK")

    def _end(self, command: bytes) -> None:
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            self._answer(self.pgconn.exec_, command)

    def __del__(self, _warn: Any = None) -> None:
        """Dropped with a pool that was given up."""
        if hasattr(self, "pgconn"):
            self.close()

    def _prepared_statement(self, text: str) -> Statement:
        statement = Statement(text, next(self._numbers))
        if self.prepare_threshold is not None:
            self._answer(self.pgconn.prepare, statement.name, statement.text)
        self._statements[text] = statement
        return statement

    def _prepared_again(self, text: str, before: Statement) -> Statement:
        if self.prepare_threshold is not None:
            self._answer(self.pgconn.exec_, b"DEALLOCATE " + before.name)
        again = self._prepared_statement(text)
        again.uses = before.uses
        return again

    def _answer(self, ask: Callable[..., PGresult], *arguments: Any) -> PGresult:
        """What the server answers; the watch knows meanwhile that somebody waits."""
        watchdog.began(self)
        try:
            return self._done(ask(*arguments))
        finally:
            watchdog.ended(self)

    def _done(self, result: PGresult) -> PGresult:
        if result.status in DONE:
            return result
        if self.pgconn.status == ConnStatus.BAD:
            raise OperationalError("the connection to the database is lost")
        error = error_from_result(result)
        if isinstance(error, FORGOTTEN):
            self._statements.clear()
        raise error
