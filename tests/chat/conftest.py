"""A chat over HTTP in this process: ada with a key, and a provider on loopback."""

from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support import Database, people
from tests.support.people import CREDIT, Heard, heard
from tests.support.provider_server import ProviderServer


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
def environment(environment: dict[str, str], provider: ProviderServer) -> dict[str, str]:
    keys = {"OPENAI_API_KEY": "sk-canary-key", "ANTHROPIC_API_KEY": "sk-ant-canary"}
    return environment | keys | {"OPENAI_BASE_URL": provider.openai_url, "ANTHROPIC_BASE_URL": provider.url}


class Door:
    """One account's way in: a key, a chat, and what the test asks of them."""

    def __init__(self, client: FlaskClient, key: str) -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {key}"}

    def call(self, method: str, path: str, **options: object) -> TestResponse:
        """The whole answer, which is closed then as a server closes it: else a stream keeps its place."""
        headers = self.headers | options.pop("headers", {})  # type: ignore[operator]
        options = {"buffered": True} | options
        return self.client.open(f"/api{path}", method=method, headers=headers, **options)

    def new_chat(self, model: str = "gpt-test") -> str:
        answer = self.call("POST", "/chats", json={"model": model})
        assert answer.status_code == 201, answer.text
        return answer.json["id"]

    def send(self, content: str, *, chat: str | None = None, **fields: object) -> TestResponse:
        headers = fields.pop("headers", {})
        path = f"/chats/{chat or self.new_chat(str(fields.get('model', 'gpt-test')))}/messages"
        options = {"buffered": fields.pop("buffered")} if "buffered" in fields else {}
        return self.call("POST", path, json={"content": content, **fields}, headers=headers, **options)

    def ask(self, content: str, **fields: object) -> Heard:
        answer = self.send(content, **fields)
        assert answer.status_code == 200, answer.text
        return heard(answer.data)

    def balance(self) -> dict:
        return self.call("GET", "/balance").json


@pytest.fixture
def door(client: FlaskClient, session: Database) -> Callable[..., Door]:
    """`door("ada", allowance=..., credits=...)`: a person's key; models are made on the way."""
    people.model()

    def of(name: str, **columns: object) -> Door:
        return Door(client, people.api_key(people.person(name, **columns)))

    return of


@pytest.fixture
def ada(door: Callable[..., Door]) -> Door:
    """ada, with 1,000 credits."""
    return door("ada", credits=1000 * CREDIT)
