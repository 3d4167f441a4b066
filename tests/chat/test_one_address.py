"""Two web processes behind one address, killed and deployed while answers run: what their readers get to see."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import requests
from flask import Flask

from app.models.billing.audit import audit
from app.models.catalog.plan import Plan
from app.models.chat.chat import Chat, Message
from app.models.metering.usage import Usage
from app.payments.sweeper import sweep
from tests.support import Database, people
from tests.support.cuttable import CuttableLine
from tests.support.people import CREDIT, parsed
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp, await_that

pytestmark = pytest.mark.databases("postgresql")
READERS = 4
TOKENS = 60
WHOLE = "".join(f"word{number} " for number in range(TOKENS))
"""What the provider says, in five seconds: a process that is told to end waits for fourteen."""


class Reader(threading.Thread):
    """A page that asks once, and follows from where it was whenever its connection ends before the answer does."""

    def __init__(self, url: str, headers: dict[str, str], chat: int) -> None:
        super().__init__(daemon=True)
        self.url, self.headers, self.chat = url, headers, chat
        self.text, self.position, self.message, self.ending = "", 0, "", ""
        self.connections = 0

    def run(self) -> None:
        once = {"Idempotency-Key": "once"}
        while not self.message:
            self.hear("POST", f"/api/chats/{self.chat}/messages", once, json={"content": "hello"})
        while not self.ending:
            self.hear("GET", f"/api/messages/{self.message}/stream", {"Last-Event-ID": str(self.position)})

    def hear(self, method: str, path: str, headers: dict[str, str], **options: object) -> None:
        """Read until the answer ends, or the connection."""
        self.connections += 1
        rest, headers = "", self.headers | headers
        try:
            with requests.request(
                method, f"{self.url}{path}", headers=headers, stream=True, timeout=30, **options
            ) as answer:
                for piece in answer.iter_content(None):
                    *blocks, rest = (rest + piece.decode()).split("\n\n")
                    for block in blocks:
                        self.take(block)
        except requests.RequestException:
            time.sleep(0.1)

    def take(self, block: str) -> None:
        for self.position, name, body in parsed(block):
            self.message = body.get("message_id", self.message)
            self.text += body.get("text", "")
            self.ending = body.get("code", name) if name in {"done", "error"} else ""


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer(tokens=TOKENS, delay=0.08) as server:
        yield server


@pytest.fixture
def webs(start_app: Callable[..., RunningApp], provider: ProviderServer) -> list[RunningApp]:
    address = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": provider.openai_url}
    return [start_app("web", **address), start_app("web", **address)]


@pytest.fixture
def readers(app: Flask, session: Database, webs: list[RunningApp]) -> Iterator[list[Reader]]:
    """Tabs of ada's, each about to ask in a chat of its own, at the one address of both processes."""
    people.model()
    Plan.default().parallel_calls = READERS
    account = people.person("ada", credits=10_000 * CREDIT)
    owner = account.memberships[0].user_id
    chats = [Chat(account_id=account.id, user_id=owner, model="gpt-test") for _ in range(READERS)]
    session.add_all(chats)
    headers = {"Authorization": f"Bearer {people.api_key(account)}"}
    with CuttableLine(*(web.address for web in webs)) as line:
        yield [Reader(line.url, headers, chat.id) for chat in chats]


def answers(session: Database) -> list[Message]:
    session.rollback()
    return session.query(Message).filter_by(role="assistant").order_by(Message.id).all()


def let_leases_run_out(session: Database) -> None:
    for message in answers(session):
        if message.is_running:
            message.checkpoint_at -= timedelta(minutes=3)
            message.call.created_at -= timedelta(minutes=3)
    session.commit()


def test_readers_get_the_whole_answer_or_are_told_that_it_broke_off(
    webs: list[RunningApp], readers: list[Reader], session: Database
) -> None:
    for reader in readers:
        reader.start()
    await_that(lambda: len([message for message in answers(session) if message.content]) == READERS, 30)
    webs[0].restart("web")
    assert webs[1].terminate("web", within=20) == 0
    let_leases_run_out(session)
    assert sweep() == READERS // 2
    for reader in readers:
        reader.join(30)

    saved = {str(message.id): message for message in answers(session)}
    assert sorted(reader.ending for reader in readers) == ["done"] * 2 + ["interrupted"] * 2
    for reader in readers:
        message = saved[reader.message]
        assert message.status == reader.ending
        assert WHOLE.startswith(reader.text)
        assert reader.text.startswith(message.content)
    assert {reader.text for reader in readers if reader.ending == "done"} == {WHOLE}
    assert {call.state for call in session.query(Usage)} == {"settled", "released"}
    assert list(audit()) == []
