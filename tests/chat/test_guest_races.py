"""Many guests at once, over processes, on both databases: together they stay below the limit of their day. A guest who
signs up while an answer is written."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from sqlalchemy import func, select

from app.generation import registry
from app.generation.text_checkpoint import MESSAGES
from app.models.base import utcnow
from app.models.billing.audit import audit
from app.models.catalog.ai_model import AIModel
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.metering.usage import Usage
from tests.chat.test_guests import Guest, free, guest, house, new_guest, quick_passwords
from tests.support import Database
from tests.support.people import heard
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp, await_that

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("postgresql",))
__all__ = ["free", "guest", "new_guest", "quick_passwords"]
TOKEN = re.compile(r'name="csrf-token" content="([^"]+)"')
AT_ONCE = 6
CEILING = (len("hello") + 32) * 2500 + 256 * 10_000


@pytest.fixture
def running(start_app: Callable, free: AIModel, session: Database) -> Iterator[RunningApp]:
    """Two web processes in front of a provider that takes its time; the day has money for two calls."""
    Setting.put("guests_daily", 2 * CEILING)
    Setting.put("guest_messages", 1000)
    session.commit()
    with ProviderServer(delay=0.002, tokens=256) as provider:
        address = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": provider.openai_url}
        yield start_app("web", WEB_CONCURRENCY="2", **address)


def send(running: RunningApp) -> int:
    """The status that one more guest gets for a message."""
    with requests.Session() as browser:
        form = {"csrf_token": TOKEN.search(browser.get(f"{running.url}/login").text)[1]}
        welcome = browser.post(f"{running.url}/try", data=form)
        if not welcome.ok:
            return welcome.status_code
        headers = {"X-CSRFToken": form["csrf_token"]}
        chat = browser.post(f"{running.url}/api/chats", json={}, headers=headers)
        if chat.status_code != 201:
            return chat.status_code
        path = f"{running.url}/api/chats/{chat.json()['id']}/messages"
        options = {"content": "hello", "max_output_tokens": 256}
        return browser.post(path, json=options, headers=headers, timeout=30).status_code


def test_parallel_guests_do_not_pass_the_limit_of_the_day(running: RunningApp, session: Database) -> None:
    with ThreadPoolExecutor(AT_ONCE) as crowd:
        codes = list(crowd.map(lambda _: send(running), range(AT_ONCE)))
    await_that(lambda: house(session).running_calls == 0, 20)
    assert codes.count(200) == 2
    assert set(codes) <= {200, 402, 429}
    spent = session.scalar(select(func.sum(Usage.cost_nanos)))
    assert spent <= 2 * CEILING
    assert house(session).day_used_nanos == spent
    assert session.query(Account).filter_by(kind="house").count() == 1
    assert list(audit()) == []


def test_an_answer_that_is_being_written_at_sign_up_is_written_to_its_end(guest: Guest, session: Database) -> None:
    chat, token = guest.new_chat(), {"X-CSRFToken": guest.token()}
    asked = {"json": {"content": "What is the toll? [[delay=0.02 tokens=60]]"}, "headers": token}
    answer = guest.client.post(f"/api/chats/{chat}/messages", **asked)
    pieces = answer.iter_encoded()
    next(pieces)
    guest.sign_up("ada")
    [running] = registry.live.by_call.values()
    MESSAGES.checkpoint({running.kept: "so far"}, utcnow())
    session.commit()
    assert guest.get(f"/api/chats/{chat}").json["messages"][1]["content"]
    told = heard(b"".join(pieces))
    answer.close()
    written = guest.get(f"/api/chats/{chat}").json["messages"][1]
    assert (written["status"], written["content"], written["cost_nanos"]) == ("done", told.text, 0)
    assert (told.ended_as, session.query(Usage).one().account_id) == ("done", house(session).id)
