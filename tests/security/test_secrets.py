"""Keys and prompts stay where they belong: not in logs, error pages, Redis or stored errors. security.md 23."""

from collections.abc import Callable, Iterator

import pytest
import requests
from redis import Redis
from sqlalchemy import select

from app.models.chat.chat import Message
from tests.support import Database, people
from tests.support.people import CREDIT
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp

PROMPT = "canary-prompt-7f3a"
KEY = "sk-canary-key-7f3a"
FAULTS = ("401", "500", "bad_json", "error_event", "cut")


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


def test_neither_key_nor_prompt_leaks_when_the_provider_fails(
    start_app: Callable[..., RunningApp], provider: ProviderServer, session: Database, environment: dict[str, str]
) -> None:
    people.model()
    headers = {"Authorization": f"Bearer {people.api_key(people.person('ada', credits=1000 * CREDIT))}"}
    running = start_app("web", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=provider.openai_url)
    chat = requests.post(f"{running.url}/api/chats", json={}, headers=headers, timeout=30)
    path, answers = f"{running.url}/api/chats/{chat.json()['id']}/messages", ""
    for fault in FAULTS:
        provider.configure(fault=fault)
        answers += requests.post(path, json={"content": PROMPT, "model": "gpt-test"}, headers=headers, timeout=60).text

    errors = session.scalars(select(Message.error_detail).where(Message.error_detail.is_not(None))).all()
    in_redis = " ".join(map(repr, Redis.from_url(environment["REDIS_URL"]).scan_iter()))
    seen = running.log("web") + answers + " ".join(errors) + in_redis
    assert len(errors) == len(FAULTS)
    assert PROMPT not in seen
    assert KEY not in seen
    assert headers["Authorization"].split()[1] not in seen
