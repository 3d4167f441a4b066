"""Processes that die under running answers: what is kept and paid, and that the books balance. billing-rules.md 5."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from app.models.billing.audit import audit
from app.models.catalog.plan import Plan
from app.models.chat.chat import Message
from app.models.documents.document import Revision
from app.models.metering.usage import Usage
from app.payments.sweeper import LEASE, sweep
from tests.support import Database, people
from tests.support.people import CREDIT, heard
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp, await_that

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("postgresql",))
AT_ONCE = 4


class Reader(threading.Thread):
    """A browser that reads one answer until the connection ends, however it ends."""

    def __init__(self, url: str, headers: dict[str, str], content: str) -> None:
        super().__init__(daemon=True)
        self.url, self.headers, self.content, self.received = url, headers, content, b""

    def run(self) -> None:
        chat = requests.post(f"{self.url}/api/chats", json={"model": "gpt-test"}, headers=self.headers, timeout=30)
        path = f"{self.url}/api/chats/{chat.json()['id']}/messages"
        body = {"content": self.content}
        try:
            with requests.post(path, json=body, headers=self.headers, stream=True, timeout=30) as answer:
                for piece in answer.iter_content(None):
                    self.received += piece
        except requests.RequestException:
            return


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer(delay=0.05, tokens=400) as server:
        yield server


@pytest.fixture
def web(start_app: Callable[..., RunningApp], provider: ProviderServer) -> RunningApp:
    """Where answers have a second to end by themselves as it is told to end, not fourteen."""
    address = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": provider.openai_url}
    return start_app("web", APP_ENV="development", **address)


@pytest.fixture
def read(app: Flask, session: Database, web: RunningApp) -> Callable[[str], Reader]:
    """`read("hello")`: ada asks, and a reader of her answer runs."""
    people.model()
    Plan.default().parallel_calls = AT_ONCE
    headers = {"Authorization": f"Bearer {people.api_key(people.person('ada', credits=10_000 * CREDIT))}"}

    def begin(content: str) -> Reader:
        reader = Reader(web.url, headers, content)
        reader.start()
        return reader

    return begin


def saved(session: Database) -> list[Message]:
    session.rollback()
    return session.query(Message).filter_by(role="assistant").order_by(Message.id).all()


def has_text(session: Database, answers: int) -> bool:
    """Whether there are that many answers, all of them begun."""
    messages = saved(session)
    return len(messages) == answers and all(message.content for message in messages)


def let_leases_run_out(session: Database) -> None:
    """As after a few checkpoints that were not written."""
    session.rollback()
    messages, revisions = (session.query(kind).filter_by(status="running") for kind in (Message, Revision))
    for text in (*messages, *revisions):
        text.checkpoint_at -= LEASE
        text.call.created_at -= LEASE
    session.commit()


def test_a_killed_process_costs_the_user_nothing_and_keeps_the_text(
    web: RunningApp, read: Callable[[str], Reader], session: Database, provider: ProviderServer, client: FlaskClient
) -> None:
    """Of an answer and of a draft; before, the same process goes on through a while without a database."""
    outlives_a_while_without_a_database(read, session, provider)
    reader = read("hello")
    threading.Thread(target=draft, args=(reader,), daemon=True).start()
    await_that(lambda: has_text(session, 2) and has_draft(session, 2), 20)
    web.kill("web")
    reader.join(20)
    let_leases_run_out(session)

    assert sweep() == 2
    assert list(audit()) == []
    message, revision = saved(session)[-1], drafts(session)[-1]
    assert (message.status, bool(message.content), revision.status) == ("interrupted", True, "interrupted")
    for call in (message.call, revision.call):
        assert (call.state, call.paid_nanos) == ("released", 0)
        assert call.absorbed_nanos > 0
    is_kept(revision, client, reader.headers)


def outlives_a_while_without_a_database(
    read: Callable[[str], Reader], session: Database, provider: ProviderServer
) -> None:
    provider.configure(tokens=60)
    reader = read("hello")
    drafting = threading.Thread(target=draft, args=(reader,), daemon=True)
    drafting.start()
    await_that(lambda: has_text(session, 1) and has_draft(session), 20)
    let_leases_run_out(session)
    assert sweep() == 0

    for thread in (reader, drafting):
        thread.join(20)
    provider.configure(tokens=400)
    ends = {(call.state, call.outcome, call.paid_nanos > 0) for call in session.query(Usage)}
    assert ends == {("settled", "done", True)}


def draft(reader: Reader) -> None:
    """Ask for a document as that reader, until the process has died."""
    with suppress(requests.RequestException):
        body = {"instructions": "Write"}
        requests.post(f"{reader.url}/api/documents", json=body, headers=reader.headers, timeout=30)


def drafts(session: Database) -> list[Revision]:
    session.rollback()
    return session.query(Revision).order_by(Revision.id).all()


def has_draft(session: Database, drafted: int = 1) -> bool:
    """Whether there are that many, all of them begun."""
    return len(drafts(session)) == drafted and all(revision.body for revision in drafts(session))


def is_kept(revision: Revision, client: FlaskClient, headers: dict[str, str]) -> None:
    """As a proposal, which its owner may take."""
    assert (revision.state, bool(revision.body)) == ("proposed", True)
    kept = client.put(f"/api/revisions/{revision.id}", json={"state": "kept"}, headers=headers)
    assert kept.json["content"] == revision.body


def test_a_deploy_ends_its_streams_in_time_and_charges_nothing(
    web: RunningApp, read: Callable[[str], Reader], session: Database, provider: ProviderServer
) -> None:
    """Before, a call that was swept is not charged when it ends after all."""
    is_swept_and_ends_after_all(read, session, provider)
    readers = [read("hello") for _ in range(AT_ONCE)]
    await_that(partial(has_text, session, 1 + AT_ONCE), 20)
    web.terminate("web", within=10)
    for reader in readers:
        reader.join(10)

    assert {heard(reader.received).end["code"] for reader in readers} == {"interrupted"}
    assert {message.status for message in saved(session)[1:]} == {"interrupted"}
    assert [call.paid_nanos for call in session.query(Usage)] == [0] * (1 + AT_ONCE)
    assert list(audit()) == []


def is_swept_and_ends_after_all(read: Callable[[str], Reader], session: Database, provider: ProviderServer) -> None:
    provider.configure(tokens=60)
    reader = read("hello")
    await_that(partial(has_text, session, 1), 20)
    call = saved(session)[0].call
    session.query(Usage).filter_by(id=call.id).update({"created_at": call.created_at - timedelta(minutes=3)})
    session.query(Message).filter_by(call_id=call.id).update({"checkpoint_at": call.created_at - timedelta(minutes=3)})
    session.commit()
    sweep()
    reader.join(20)

    session.expire_all()
    usage = session.get_one(Usage, call.id)
    assert (usage.state, usage.paid_nanos) == ("released", 0)
    assert list(audit()) == []
    provider.configure(tokens=400)
