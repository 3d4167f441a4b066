"""PostgreSQL's own library under psycopg's connection: a statement is prepared once for each connection and stays so.

psycopg's cursor costs as much again as what it calls, and its statements are prepared anew after every rollback,
with which each request ends that only reads. Types and errors are psycopg's all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from psycopg import Connection, OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

NAMED = re.compile(r"%\((\w+)\)s|%%")
NEVER = 2**31
"""psycopg's `prepare_threshold`: it prepares nothing by itself, or each rollback would drop all, ours too."""

DONE = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}


class Numbered:
    """A statement with `$1` for `%(name)s`, the names in their order, and what the server calls it."""

    def __init__(self, text: str, number: int) -> None:
        self.names: list[str] = []
        self.text = NAMED.sub(self._numbered, text).encode()
        self.formats = [PyFormat.TEXT] * len(self.names)
        self.name = f"hot_{number}".encode()

    def _numbered(self, found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "%"
        if name not in self.names:
            self.names.append(name)
        return f"${self.names.index(name) + 1}"


class Line:
    """One connection, which is never in two threads at once. Calls wait in C, without Python's lock.

    `prepare_threshold` None says that a pooler stands between, which would not know a statement's name again.
    """

    def __init__(self, driver: Connection) -> None:
        self.driver = driver
        self.types = Transformer(driver)
        self.is_preparing = driver.prepare_threshold is not None
        self.statements: dict[str, Numbered] = {}

    def execute(self, text: str, parameters: Mapping[str, Any]) -> tuple[int, list[tuple[Any, ...]]]:
        """How many rows were written or found, and the rows. Raises psycopg's errors."""
        line = self.driver.pgconn
        if line.transaction_status == TransactionStatus.IDLE and not self.driver.autocommit:
            self._checked(line.exec_(b"BEGIN"))
        statement = self.statements.get(text) or self._numbered(text)
        given = [parameters[name] for name in statement.names]
        sent = self.types.dump_sequence(given, statement.formats)
        if self.is_preparing:
            result = self._checked(line.exec_prepared(statement.name, sent))
        else:
            result = self._checked(line.exec_params(statement.text, sent))
        self.types.set_pgresult(result)
        return result.command_tuples or 0, self.types.load_rows(0, result.ntuples, tuple)

    def _numbered(self, text: str) -> Numbered:
        statement = Numbered(text, len(self.statements))
        if self.is_preparing:
            self._checked(self.driver.pgconn.prepare(statement.name, statement.text))
        self.statements[text] = statement
        return statement

    def _checked(self, result: PGresult) -> PGresult:
        if result.status in DONE:
            return result
        if self.driver.pgconn.status == ConnStatus.BAD:
            raise OperationalError("the connection is lost")
        raise error_from_result(result)
