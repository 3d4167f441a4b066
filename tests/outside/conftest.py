"""A stranger's view: web and worker as processes, a provider on loopback, people who sign up by the form."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
import requests

from devserver.redis_server import RedisServer
from tests.support import databases
from tests.support.environment import app_environment
from tests.support.mailbox import Mailbox
from tests.support.people import PASSWORD, Heard, heard
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp, await_that

NUMBERS = count(1)


@pytest.fixture(scope="module")
def script() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
def provider(script: ProviderServer) -> ProviderServer:
    """The provider, told nothing yet."""
    script.reset()
    return script


@pytest.fixture(scope="module")
def running(
    all_databases: databases.Databases,
    database_kind: str,
    mail_server: Mailbox,
    script: ProviderServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningApp]:
    redis, url = RedisServer(), all_databases.fresh(database_kind)
    redis.start()
    places = {"DATABASE_URL": url, "REDIS_URL": redis.url, "MAIL_URL": mail_server.url}
    keys = {"OPENAI_API_KEY": "sk-outside", "OPENAI_BASE_URL": script.openai_url}
    own = app_environment(WEB_CONCURRENCY="2", **places, **keys)
    with RunningApp(own, folder=tmp_path_factory.mktemp("outside"), names=("web",)) as app:
        yield app
    redis.stop()
    all_databases.drop(url)


class Person:
    """Somebody with a browser's cookies: 500 credits a month, 50 of them a day, two answers at once."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.browser = requests.Session()
        form = {"email": f"ada{next(NUMBERS)}@example.com", "password": PASSWORD, "name": "Ada"}
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.browser.get(f"{url}/signup").text)
        signed_up = self.browser.post(f"{url}/signup", form | {"csrf_token": token and token[1]}, timeout=30)
        meta = re.search(r'<meta name="csrf-token" content="([^"]+)"', signed_up.text)
        assert meta, signed_up.text
        self.token = meta[1]

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"X-CSRFToken": self.token} | options.pop("headers", {})
        return self.browser.request(method, f"{self.url}/api{path}", headers=headers, timeout=60, **options)

    def new_chat(self) -> str:
        return str(self.call("POST", "/chats", json={"model": "gpt-4o-mini"}).json()["id"])

    def send(self, content: str, chat: str, **options: Any) -> requests.Response:
        return self.call("POST", f"/chats/{chat}/messages", json={"content": content}, **options)

    def ask(self, content: str, chat: str | None = None, **options: Any) -> Heard:
        answer = self.send(content, chat or self.new_chat(), **options)
        assert answer.status_code == 200, answer.text
        return heard(answer.content)

    def at_once(self, *contents: str, chat: str, **options: Any) -> list[Heard]:
        """Send them all at the same time."""
        with ThreadPoolExecutor(len(contents)) as pool:
            return list(pool.map(lambda content: self.ask(content, chat, **options), contents))

    def messages(self, chat: str) -> list[dict[str, Any]]:
        return list(self.call("GET", f"/chats/{chat}").json()["messages"])

    def used(self) -> int:
        """What the day has cost, in nanos, once nothing runs anymore."""
        await_that(lambda: self.call("GET", "/balance").json()["reserved_nanos"] == 0, 20)
        return int(self.call("GET", "/balance").json()["daily_used_nanos"])

    def close(self) -> None:
        self.browser.close()


@pytest.fixture
def ada(running: RunningApp) -> Iterator[Person]:
    person = Person(running.url)
    yield person
    person.close()


def spoken(*pieces: str, input_tokens: int = 5, output_tokens: int = 5) -> bytes:
    """A stream of chat completions that says these pieces."""
    usage = {"prompt_tokens": input_tokens, "completion_tokens": output_tokens}
    chunks: list[Any] = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    chunks += [
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": usage},
    ]
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()
