"""Prepared statements do what SQLAlchemy's own execution does: types, errors, listeners, lost connections."""

import gc
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import astuple

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy import event, insert, select, text, update
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import IntegrityError, NotSupportedError, OperationalError, ProgrammingError

from app import mailer
from app.db.compiled_statement import CompiledStatement, line_of
from app.db.engine import connect_directly
from app.db.libpq import DirectConnection
from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.setting import Setting
from app.models.chat.chat import Chat
from app.models.metering.account_state import SHOWN, AccountState
from app.models.metering.usage import Usage
from app.models.operations.webhook_event import StripeEvent
from devserver.procfile import PROJECT
from tests.conftest import IMPORTED_WITH_APP
from tests.support import Database, people
from tests.support.people import CREDIT
from tests.support.running_app import await_that

pytestmark = pytest.mark.databases("sqlite", "postgresql")
SETTINGS, EVENTS = Setting.__table__, StripeEvent.__table__


@pytest.mark.databases("sqlite")
def test_listeners_are_known_before_anybody_connects() -> None:
    """Those of a parent are gathered by who comes first; of several at once some would be told of none."""
    assert event.contains(PGDialect_psycopg, "do_connect", connect_directly)
    assert event.contains(db.session, "after_commit", mailer.remember)
    assert event.contains(db.session, "after_transaction_end", mailer.enqueue_deliveries)


def test_a_row_is_what_core_reads(session: Database) -> None:
    account = people.person("ada", credits=5 * CREDIT)
    session.commit()
    read = db.session.connection().execute(SHOWN, {"account": account.id}).one()
    assert astuple(AccountState.load(account.id)) == tuple(read)


def test_what_is_written_comes_back_as_it_was(session: Database) -> None:
    new, now = CompiledStatement(insert(EVENTS).returning(EVENTS.c.id)), utcnow()
    row = {"stripe_id": "evt_1", "type": "x", "about": {"id": "pi_1"}, "created_at": now, "next_try_at": now}
    [event_id] = new.first(db.session.connection(), row)
    stored = session.get(StripeEvent, event_id)
    assert (stored.about, stored.created_at, stored.state, stored.attempts) == (
        {"id": "pi_1"},
        now,
        "received",
        0,
    )
    result = CompiledStatement(select(*EVENTS.c).where(EVENTS.c.id == event_id)).all(db.session.connection(), {})
    assert StripeEvent.apart(result[0]).about == {"id": "pi_1"}


def test_a_key_that_is_there_is_an_integrity_error_and_the_session_goes_on(session: Database) -> None:
    put = CompiledStatement(insert(SETTINGS))
    put.run(db.session.connection(), {"key": "brand_name", "value": "A"})
    with pytest.raises(IntegrityError):
        put.run(db.session.connection(), {"key": "brand_name", "value": "B"})
    session.rollback()
    assert put.run(db.session.connection(), {"key": "brand_name", "value": "C"}) == 1


def test_a_value_that_only_python_can_make_has_to_be_named(session: Database) -> None:
    with pytest.raises(TypeError, match="created_at needs a value"):
        CompiledStatement(insert(Usage.__table__)).run(db.session.connection(), {"model": "m", "raw": {}})


def test_listeners_hear_it(session: Database) -> None:
    heard: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        heard.append(statement)

    event.listen(db.engine, "before_cursor_execute", hear)
    CompiledStatement(select(SETTINGS.c.key)).all(db.session.connection(), {})
    event.remove(db.engine, "before_cursor_execute", hear)
    assert len(heard) == 1
    assert heard[0].endswith("FROM settings")


def test_nobodys_chat_is_none(session: Database) -> None:
    nobody = {"account_id": 1, "user_id": 1, "guest": None}
    assert Chat.to_ask("1", **nobody, deleted_at=None) is None
    with pytest.raises(TypeError, match="deleted_at needs a value"):
        Chat.to_ask("1", **nobody)


@pytest.mark.databases("postgresql")
def test_a_connection_that_was_lost_is_given_up(app: Flask, session: Database) -> None:
    keys, own = CompiledStatement(select(SETTINGS.c.key)), text("SELECT pg_backend_pid()")
    pid = session.scalar(own)
    with db.engine.connect() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    with pytest.raises(OperationalError) as lost:
        keys.all(db.session.connection(), {})
    assert lost.value.connection_invalidated
    session.rollback()
    assert keys.all(db.session.connection(), {}) == []
    assert session.scalar(own) != pid


@pytest.mark.databases("postgresql")
def test_a_connection_that_is_lost_after_its_work_breaks_nothing(app: Flask, client: FlaskClient) -> None:
    own, others = text("SELECT pg_backend_pid()"), text("SELECT pg_terminate_backend(:pid)")

    def lose_it(response: Response) -> Response:
        pid = db.session.scalar(own)
        with db.engine.connect() as other:
            other.execute(others, {"pid": pid})
        return response

    app.after_request_funcs[None].append(lose_it)
    assert [client.get(path).status_code for path in ("/pricing", "/pricing", "/nowhere")] == [200, 200, 404]


LARGE = (
    "alembic",
    "anthropic",
    "authlib",
    "docx",
    "genai_prices",
    "openai",
    "openpyxl",
    "pypdf",
    "sentry_sdk",
    "webauthn",
)


def test_no_process_begins_with_what_few_need() -> None:
    assert [name for name in LARGE if name in IMPORTED_WITH_APP] == []


@pytest.mark.long
def test_a_process_that_has_asked_the_orm_for_nothing_reads_a_row_without_what_few_need() -> None:
    """And the demo answers without the vendors' packages."""
    row = "from app.models.chat.chat import Chat; print(Chat.apart(Chat.__table__.c.keys()).id)"
    demo = "from app.providers.registry import open_provider; open_provider('demo', base_url=None, api_key=None)"
    code = f"import sys, app; {row}; {demo}; print([name for name in {LARGE} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("id\n[]\n", 0), done.stderr


def is_pooled() -> bool:
    """Whether these tests reach PostgreSQL through a PgBouncer, where nothing is prepared."""
    return line_of(db.session.connection()).prepare_threshold is None


@pytest.mark.databases("postgresql")
def test_what_was_prepared_outlives_a_rollback(session: Database) -> None:
    keys = CompiledStatement(select(SETTINGS.c.key))
    own = text("SELECT name FROM pg_prepared_statements WHERE name LIKE 'hot_%'")
    for _ in range(10):
        connection = db.session.connection()
        keys.all(connection, {})
        session.scalars(select(Setting)).all()
        connection.execute(insert(SETTINGS), [{"key": key, "value": "1"} for key in "ab"])
        session.rollback()
    assert len(session.scalars(own).all()) == (0 if is_pooled() else 1)


@pytest.mark.databases("postgresql")
def test_statements_that_the_server_forgot_are_prepared_again(session: Database) -> None:
    keys = CompiledStatement(select(SETTINGS.c.key))
    assert keys.all(db.session.connection(), {}) == []
    session.execute(text("DEALLOCATE ALL"))
    with nullcontext() if is_pooled() else pytest.raises(ProgrammingError):
        keys.all(db.session.connection(), {})
    session.rollback()
    assert keys.all(db.session.connection(), {}) == []


@pytest.mark.databases("postgresql")
def test_a_connection_that_is_dropped_is_closed(session: Database) -> None:
    if is_pooled():
        pytest.skip("what is dropped here goes on in the pooler")
    line = line_of(db.session.connection())
    where = {
        "host": line.info.host,
        "port": line.info.port,
        "dbname": line.info.dbname,
        "user": line.info.user,
    }
    dropped = DirectConnection.connect(**where)
    [(_, [(pid,)])] = [dropped.send("SELECT pg_backend_pid()", {})]
    del dropped
    gc.collect()
    alive = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
    await_that(lambda: session.scalar(alive, {"pid": pid}) == 0)


@pytest.mark.databases("postgresql")
def test_a_statement_outlives_a_migration_of_what_it_reads(session: Database) -> None:
    values = CompiledStatement(select(SETTINGS.c.value))
    assert values.all(db.session.connection(), {}) == []
    session.execute(text("ALTER TABLE settings ALTER value TYPE varchar(90)"))
    session.commit()
    with nullcontext() if is_pooled() else pytest.raises(NotSupportedError):
        values.all(db.session.connection(), {})
    session.rollback()
    assert values.all(db.session.connection(), {}) == []


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("threshold", [5, None])
def test_every_kind_of_value_goes_there_and_back(
    session: Database, monkeypatch: pytest.MonkeyPatch, threshold: int | None
) -> None:
    """Named, and unnamed as a pooler needs it."""
    line = line_of(db.session.connection())
    monkeypatch.setattr(line, "prepare_threshold", threshold)
    now = utcnow()
    given = {"i": -(2**62), "s": "é%'$1", "t": now, "d": now.date(), "b": True, "n": None}
    kinds = {"i": "bigint", "s": "text", "t": "timestamptz", "d": "date", "b": "boolean", "n": "text"}
    asked = [f"%({name})s::{kind}" for name, kind in kinds.items()]
    query = f"SELECT {', '.join(asked)}, 5 %% 3, %(i)s::bigint::text"
    assert line.send(query, given)[1] == [(*given.values(), 2, str(given["i"]))]


def test_how_many_rows_were_written(session: Database) -> None:
    connection = db.session.connection()
    put, clear = CompiledStatement(insert(SETTINGS)), CompiledStatement(update(SETTINGS).values(value="2"))
    assert [put.run(connection, {"key": key, "value": "1"}) for key in "ab"] == [1, 1]
    assert clear.run(connection, {}) == 2
    assert CompiledStatement(update(SETTINGS).where(SETTINGS.c.key == "c")).run(connection, {"value": "1"}) == 0
