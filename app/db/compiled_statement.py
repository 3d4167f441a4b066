"""Statements on the path of every message: written in Core, compiled once, sent by the driver itself.

What SQLAlchemy does around each execution costs as much again as psycopg does, and a message has four. Types,
listeners and errors are SQLAlchemy's all the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import Column, Dialect, Engine, Insert, Select, Update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, NoResultFound
from sqlalchemy.sql.schema import ScalarElementColumnDefault

Row = tuple[Any, ...]
Converter = Callable[[Any], Any]
Key = TypeVar("Key")


class StatementConnection(Protocol):
    """SQLAlchemy's `Connection`, or a `LentConnection`."""

    @property
    def connection(self) -> Any: ...

    @property
    def dialect(self) -> Dialect: ...

    @property
    def engine(self) -> Engine: ...

    def invalidate(self, exception: BaseException | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class DialectStatement:
    """A statement as one database takes it: what is sent where nothing else is given, and what converts values."""

    text: str
    given: dict[str, Any]
    into: dict[str, Converter]
    out: dict[int, Converter]

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        sent = {**self.given, **values}
        for name, convert in self.into.items():
            sent[name] = convert(sent[name])
        return sent

    def row(self, row: Row) -> Row:
        values = [*row]
        for index, convert in self.out.items():
            values[index] = convert(values[index])
        return tuple(values)


class CompiledStatement:
    """A statement, compiled once for each database and each set of names that it is given values for."""

    def __init__(self, statement: Select[Any] | Insert | Update) -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, ...], DialectStatement] = {}

    def all(self, connection: StatementConnection, values: Mapping[str, Any]) -> list[Row]:
        return self._execute(connection, values)[1]

    def first(self, connection: StatementConnection, values: Mapping[str, Any]) -> Row | None:
        """The one row, or the first; None without any."""
        rows = self._execute(connection, values)[1]
        return rows[0] if rows else None

    def one(self, connection: StatementConnection, values: Mapping[str, Any]) -> Row:
        """The row that must be there. NoResultFound where it is not."""
        row = self.first(connection, values)
        if row is None:
            raise NoResultFound
        return row

    def run(self, connection: StatementConnection, values: Mapping[str, Any]) -> int:
        """How many rows were written."""
        return self._execute(connection, values)[0]

    def _execute(self, connection: StatementConnection, values: Mapping[str, Any]) -> tuple[int, list[Row]]:
        dialect = connection.dialect
        compiled = self._compiled.get((dialect.name, *values)) or self._compile(dialect, values)
        parameters, line = compiled.parameters(values), line_of(connection)
        for listener in connection.engine.dispatch.before_cursor_execute:
            listener(connection, None, compiled.text, parameters, None, False)
        try:
            count, rows = line.send(compiled.text, parameters)
        except dialect.loaded_dbapi.Error as error:
            raise explained(connection, compiled.text, error) from error
        return count, [compiled.row(row) for row in rows] if compiled.out else rows

    def _compile(self, dialect: Dialect, values: Mapping[str, Any]) -> DialectStatement:
        by_name: Any = sqlite.dialect(paramstyle="named") if dialect.name == "sqlite" else dialect
        keys = None if isinstance(self._statement, Select) else sorted(values)
        made: Any = self._statement.compile(dialect=by_name, column_keys=keys)
        if missing := [name for bind, name in made.bind_names.items() if bind.required and name not in values]:
            raise TypeError(f"{', '.join(missing)} needs a value")
        sent = {name: bind.type.dialect_impl(dialect) for bind, name in made.bind_names.items()}
        read = [column.type.dialect_impl(dialect) for column in self._statement.exported_columns]
        compiled = DialectStatement(
            str(made),
            {**made.params, **{column.key: default_of(column) for column in made.insert_prefetch}},
            needed({name: kind.bind_processor(dialect) for name, kind in sent.items()}),
            needed({index: kind.result_processor(dialect, None) for index, kind in enumerate(read)}),
        )
        self._compiled[dialect.name, *values] = compiled
        return compiled


def default_of(column: Column[Any]) -> Any:
    """The constant that a column is given where the statement names none; a row's own must be named."""
    if not isinstance(column.default, ScalarElementColumnDefault):
        raise TypeError(f"{column} needs a value")
    return column.default.arg


def needed(converters: Mapping[Key, Converter | None]) -> dict[Key, Converter]:
    """Those of the types that convert at all."""
    return {key: convert for key, convert in converters.items() if convert}


def line_of(connection: StatementConnection) -> Any:
    """The driver's connection, which knows how to `send`: `libpq.DirectConnection` or `sqlite.TurnConnection`."""
    return connection.connection.dbapi_connection


def explained(connection: StatementConnection, text: str, error: Any) -> BaseException:
    """The driver's error as SQLAlchemy raises it; a connection that was lost is given up."""
    dialect, driver = connection.dialect, connection.connection.dbapi_connection
    is_lost = dialect.is_disconnect(error, driver, None)
    if is_lost:
        connection.invalidate(error)
    return as_sqlalchemy(dialect, text, error, is_lost=is_lost)


def as_sqlalchemy(dialect: Dialect, text: str | None, error: Any, *, is_lost: bool) -> BaseException:
    kind = dialect.loaded_dbapi.Error
    return DBAPIError.instance(
        text, None, error, kind, hide_parameters=True, connection_invalidated=is_lost, dialect=dialect
    )
