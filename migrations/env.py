"""Runs the migrations on the app's own engine, SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import context
from flask import current_app
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from app.db.types import UtcDateTime

PATIENCE = "5s"
"""How long a step waits for a table that is in use: all requests of the table wait behind it."""

database = current_app.extensions["migrate"].db


def render_item(kind: str, item: Any, _autogen_context: Any) -> str | bool:
    """Migrations stand without the app: its column type is written as the plain one."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run() -> None:
    with database.engine.connect() as connection, whole(connection):
        context.configure(
            connection=connection,
            target_metadata=database.metadata,
            render_item=render_item,
            render_as_batch=True,
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()


@contextmanager
def whole(connection: Connection) -> Iterator[None]:
    """All steps or none: on SQLite too, where Alembic begins no transaction.

    References are checked at the end, since a table that others refer to is made anew:
    https://www.sqlite.org/lang_altertable.html, section 7.
    """
    if connection.dialect.name != "sqlite":
        yield from impatient(connection)
        return
    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    yield
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
        raise RuntimeError(f"rows refer to others that are gone: {broken[:5]}")
    connection.commit()
    connection.exec_driver_sql("PRAGMA foreign_keys = ON")


def impatient(connection: Connection) -> Iterator[None]:
    """PostgreSQL gives up where a backup, or whatever else takes long, reads a table that is to be changed."""
    connection.exec_driver_sql(f"SET lock_timeout = '{PATIENCE}'")
    connection.commit()
    try:
        yield
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise RuntimeError("A table is in use, by a backup perhaps. Nothing was changed; try again.") from error
        raise
    connection.exec_driver_sql("RESET lock_timeout")
    connection.commit()


run()
