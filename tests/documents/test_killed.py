"""A process that dies in mid-draft: the text is kept as a proposed revision, and nothing is charged."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

import pytest
import requests
from flask import Flask
from sqlalchemy import select

from app.models.billing.audit import audit
from app.models.documents.document import Revision
from app.models.metering.usage import Usage
from app.payments.sweeper import sweep
from tests.support import Database, people
from tests.support.people import CREDIT
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp, await_that

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("postgresql",))


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer(delay=0.05, tokens=400) as server:
        yield server


def draft(url: str, headers: dict[str, str]) -> None:
    try:
        requests.post(f"{url}/api/documents", json={"instructions": "Write"}, headers=headers, timeout=30)
    except requests.RequestException:
        return


def revisions(session: Database) -> list[Revision]:
    session.rollback()
    return list(session.scalars(select(Revision)))


def has_text(session: Database) -> bool:
    return any(revision.body for revision in revisions(session))


def test_a_kill_in_mid_draft_keeps_the_text_as_a_proposal_and_charges_nothing(
    app: Flask, session: Database, start_app: Callable[..., RunningApp], provider: ProviderServer
) -> None:
    people.model()
    headers = {"Authorization": f"Bearer {people.api_key(people.person('ada', credits=1000 * CREDIT))}"}
    web = start_app("web", OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=provider.openai_url)
    threading.Thread(target=draft, args=(web.url, headers), daemon=True).start()
    await_that(partial(has_text, session), 20)
    web.restart("web")
    [revision] = revisions(session)
    revision.checkpoint_at -= timedelta(minutes=3)
    revision.call.created_at -= timedelta(minutes=3)
    session.commit()

    assert sweep() == 1
    [revision] = revisions(session)
    assert (revision.state, revision.status, bool(revision.body)) == ("proposed", "interrupted", True)
    [call] = session.scalars(select(Usage)).all()
    assert (call.state, call.paid_nanos, call.absorbed_nanos > 0) == ("released", 0, True)
    assert list(audit()) == []
    kept = requests.put(f"{web.url}/api/revisions/{revision.id}", json={"state": "kept"}, headers=headers, timeout=30)
    assert kept.json()["content"] == revision.body
