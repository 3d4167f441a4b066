"""What compiled statements borrow of PostgreSQL's pool: committed at once, given back in any case, never half used."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import OperationalError

from app.db import libpq
from app.db.compiled_statement import CompiledStatement, line_of
from app.db.fair_pool import FairPool
from app.extensions import db
from app.models.base import at_once
from app.models.catalog.setting import SETTINGS
from tests.support import Database

pytestmark = pytest.mark.databases("postgresql")
PID = CompiledStatement(select(func.pg_backend_pid()))
DIE = CompiledStatement(select(func.pg_terminate_backend(func.pg_backend_pid())))
PUT = CompiledStatement(insert(SETTINGS))
KEYS = CompiledStatement(select(SETTINGS.c.key))


@pytest.fixture
def pool(app: Flask) -> Iterator[FairPool]:
    """That of the app, in whose context the test runs. All its places are there again when it ends."""
    with app.app_context():
        pool = db.engine.pool
        assert isinstance(pool, FairPool)
        yield pool
        assert pool.checkedout() == 0


def pid() -> int:
    with at_once() as connection:
        return int(PID.one(connection, {})[0])


def test_each_statement_is_committed_and_the_session_has_transactions_as_before(pool: FairPool) -> None:
    with at_once() as connection:
        PUT.run(connection, {"key": "a", "value": "1"})
    PUT.run(db.session.connection(), {"key": "b", "value": "1"})
    db.session.rollback()
    with at_once() as connection:
        assert KEYS.all(connection, {}) == [("a",)]


def test_within_a_transaction_of_the_session_it_is_the_sessions(pool: FairPool, session: Database) -> None:
    PUT.run(session.connection(), {"key": "a", "value": "1"})
    with at_once() as connection:
        assert KEYS.all(connection, {}) == [("a",)]
    session.rollback()


def test_one_that_the_server_closed_meanwhile_is_made_anew(pool: FairPool) -> None:
    with db.engine.connect() as other:
        ended = pid()
        other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": ended})
        assert pid() != ended


def test_one_that_is_lost_in_a_statement_is_given_up(pool: FairPool) -> None:
    before = pid()
    with pytest.raises(OperationalError) as lost, at_once() as connection:
        DIE.one(connection, {})
    assert lost.value.connection_invalidated
    assert pid() != before


def test_one_that_is_left_in_a_transaction_is_handed_to_nobody(pool: FairPool) -> None:
    with at_once() as connection:
        left = PID.one(connection, {})
        line_of(connection).pgconn.exec_(b"BEGIN")
    assert (pid(),) != left


def test_where_none_can_be_made_the_place_is_not_lost(pool: FairPool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise psycopg.OperationalError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(libpq.DirectConnection, "connect", refuse)
        pool.dispose()
        with pytest.raises(OperationalError, match="connection refused"):
            pid()
    entry = pool.borrow()
    entry.invalidate()
    pool.give_back(entry)
    with monkeypatch.context() as patch:
        patch.setattr(libpq.DirectConnection, "connect", refuse)
        with pytest.raises(OperationalError, match="connection refused"):
            pid()
    assert pid()


def test_a_plan_that_was_made_while_tables_were_empty_is_made_again(
    pool: FairPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libpq, "PLANNED_AGAIN", 8)
    prepared = text("SELECT name FROM pg_prepared_statements WHERE name LIKE 'hot_%'")
    with db.engine.connect() as connection:
        names: list[str] = []
        for _ in range(12):
            KEYS.all(connection, {})
            names += connection.scalars(prepared)
    if names:  # through a pooler nothing is prepared
        assert names == [names[0]] * 7 + [names[-1]] * 5
        assert names[0] != names[-1]
