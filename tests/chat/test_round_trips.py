"""How often a message goes to PostgreSQL and back: what it costs where the database is on another machine.

Counted on the wire: a line in front of the database sees BEGIN and COMMIT too.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from app.extensions import db
from app.generation import registry
from app.generation.generation import Generation
from app.generation.text_checkpoint import MESSAGES, KeptText
from app.models.base import utcnow
from app.payments import webhook_events
from app.stripe_api.client import Notice
from tests.chat.conftest import Door
from tests.support.databases import Databases
from tests.support.distant import DistantServer
from tests.support.running_app import await_that

pytestmark = pytest.mark.databases("postgresql")
BEFORE_THE_PROVIDER, AT_THE_END, A_SECOND = 3, 1, 1


@pytest.fixture
def line(all_databases: Databases) -> Iterator[DistantServer]:
    with DistantServer("127.0.0.1", all_databases.postgres.port) as line:
        yield line


@pytest.fixture
def environment(environment: dict[str, str], line: DistantServer) -> dict[str, str]:
    return environment | {"DATABASE_URL": line.url(environment["DATABASE_URL"])}


@pytest.fixture
def chat(ada: Door, monkeypatch: pytest.MonkeyPatch) -> str:
    """A chat with a few messages, so that connections are open and statements known to the server.

    Nobody checkpoints: that may fall between two counts, and goes to the server by a connection of its own.
    """
    monkeypatch.setattr(registry.live, "_checkpoint", lambda *_: None)
    chat = ada.new_chat()
    for text in ("hello", "go on", "and again"):
        ada.ask(text, chat=chat)
    settled()
    await_that(lambda: registry.live.checkpointer is None)
    return chat


def settled() -> None:
    while registry.live.by_call:
        time.sleep(0.01)


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "once"}], ids=["a program's", "the page's"])
def test_a_message_begins_in_three_and_ends_in_one(
    ada: Door, chat: str, line: DistantServer, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    counts: list[int] = [line.trips]

    def heard(generation: Generation, *arguments: Any) -> Iterator[None]:
        counts.append(line.trips)
        yield from run(generation, *arguments)

    run = Generation.run
    monkeypatch.setattr(Generation, "run", heard)
    ada.ask("once more", chat=chat, headers=headers)
    settled()
    start, begun, ended = *counts, line.trips
    assert (begun - start, ended - begun) == (BEFORE_THE_PROVIDER, AT_THE_END)


@pytest.mark.parametrize(("guests", "most"), [(0, A_SECOND), (50, A_SECOND + 1)])
def test_all_running_answers_are_saved_in_one_and_those_of_guests_in_another(
    ada: Door, chat: str, app: Flask, line: DistantServer, guests: int, most: int
) -> None:
    texts = {KeptText(MESSAGES, 1, number, moves=number < guests): "so far" for number in range(100)}
    for _ in range(2):
        before = line.trips
        with app.app_context():
            MESSAGES.checkpoint(texts, utcnow())
            db.session.commit()
    assert line.trips - before == most


def test_a_webhook_is_stored_in_one(ada: Door, app: Flask, line: DistantServer) -> None:
    for number in range(2):
        before = line.trips
        with app.app_context():
            assert webhook_events.store(Notice(f"evt_{number}", "invoice.paid", {}))
    assert line.trips - before == 1
