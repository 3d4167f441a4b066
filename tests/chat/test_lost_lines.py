"""The line to the database breaks at each round trip of a message, with the question lost or with its answer; and a
statement takes longer than the server allows. Whoever asks again under the same key is answered, and pays once."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import make_url, text

from app.extensions import db
from app.generation import registry
from app.models.billing.audit import audit
from app.models.chat.chat import Message
from app.models.identity.account import Account
from app.models.metering.usage import Usage
from app.payments import sweeper
from tests.chat.conftest import Door
from tests.support import Database
from tests.support.distant import DistantServer
from tests.support.people import heard
from tests.support.provider_server import ProviderServer
from tests.support.running_app import await_that

pytestmark = pytest.mark.databases("postgresql")
RESERVES, TRIPS = 3, 4
"""Of a message that finds everything open and prepared: who asks, the conversation, reserve, settle."""


@pytest.fixture
def line(database_url: str) -> Iterator[DistantServer]:
    """Before PostgreSQL, or before the PgBouncer that these tests may go through."""
    with DistantServer("127.0.0.1", make_url(database_url).port or 0) as line:
        yield line


@pytest.fixture
def environment(environment: dict[str, str], line: DistantServer) -> dict[str, str]:
    return environment | {"DATABASE_URL": line.url(environment["DATABASE_URL"])}


@pytest.fixture
def chat(ada: Door, monkeypatch: pytest.MonkeyPatch) -> str:
    """A chat with two messages, so that connections are open and statements known to the server.

    Nobody checkpoints: on a second connection the server knows no statement, and each takes one trip more.
    """
    monkeypatch.setattr(registry.live, "_checkpoint", lambda *_: None)
    chat = ada.new_chat()
    for question in ("hello", "go on"):
        ada.ask(question, chat=chat)
    await_settled()
    return chat


def await_settled() -> None:
    await_that(lambda: not registry.live.by_call, 20)


def ask(ada: Door, chat: str) -> str:
    """How a send under its key ended: done, an error's code, or a status."""
    answer = ada.send("once more", chat=chat, headers={"Idempotency-Key": "once"})
    if answer.status_code != 200:
        assert "try again" in answer.text.lower()
        return str(answer.status_code)
    told: Any = heard(answer.data)
    return "done" if told.ended_as == "done" else str(told.end["code"])


def sweep(session: Database) -> None:
    """As three minutes later."""
    await_settled()
    session.rollback()
    for usage in session.query(Usage).filter_by(state="running"):
        usage.created_at -= timedelta(minutes=3)
    for message in session.query(Message).filter_by(status="running"):
        message.checkpoint_at -= timedelta(minutes=3)
    session.commit()
    sweeper.sweep()


def assert_whole(session: Database) -> tuple[int, int]:
    """The questions that were asked and the calls of these that were paid; nothing is left open."""
    session.rollback()
    assert session.query(Usage).filter_by(state="running").count() == 0
    assert session.query(Message).filter_by(status="running").count() == 0
    assert {account.reserved_nanos for account in session.query(Account)} == {0}
    assert list(audit()) == []
    asked = session.query(Message).filter_by(content="once more").all()
    answers = session.query(Message).filter(Message.parent_id.in_([message.id for message in asked])).all()
    calls = [session.get_one(Usage, message.call_id) for message in answers]
    return len(asked), sum(call.state == "settled" and call.cost_nanos > 0 for call in calls)


@pytest.mark.parametrize("is_answered", [False, True], ids=["the question", "the answer"])
@pytest.mark.parametrize("trip", range(1, TRIPS + 1))
def test_a_line_that_breaks_at_a_trip_loses_nothing_and_charges_nothing_twice(
    ada: Door, chat: str, line: DistantServer, session: Database, trip: int, is_answered: bool
) -> None:
    session.rollback()
    line.lose(trip, is_answered=is_answered)
    first = ask(ada, chat)
    sweep(session)
    again = ask(ada, chat)
    await_settled()
    is_known = trip == RESERVES and is_answered
    assert (first, again) == ("done" if trip == TRIPS else "503", "interrupted" if is_known else "done")
    assert assert_whole(session) == (1, 0 if is_known else 1)


@pytest.fixture
def impatient(chat: str, session: Database) -> None:
    """The server ends a statement after a third of a second."""
    name = session.scalar(text("SELECT current_database()"))
    session.execute(text(f"ALTER DATABASE {name} SET statement_timeout = 300"))
    session.commit()
    db.engine.dispose()


def test_a_statement_that_takes_too_long_as_a_message_begins_is_told_in_words(
    ada: Door, chat: str, impatient: None, session: Database
) -> None:
    session.execute(text("SELECT id FROM accounts FOR UPDATE"))
    assert ask(ada, chat) == "503"
    session.rollback()
    assert ask(ada, chat) == "done"
    await_settled()
    assert assert_whole(session) == (1, 1)


def test_a_statement_that_takes_too_long_as_a_message_ends_is_sent_again(
    ada: Door, chat: str, impatient: None, session: Database, provider: ProviderServer
) -> None:
    provider.configure(tokens=10, delay=0.1)
    answer = ada.send("once more", chat=chat, buffered=False)
    session.execute(text("SELECT id FROM accounts FOR UPDATE"))
    await_that(lambda: not provider.active, 20)
    time.sleep(1)
    session.rollback()
    assert heard(answer.data).ended_as == "done"
    await_settled()
    assert assert_whole(session) == (1, 1)
