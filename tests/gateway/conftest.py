"""The gateway over HTTP in this process: keys, models of both vendors, and a provider on loopback."""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.chat.conftest import environment, provider
from tests.support import Database, people
from tests.support.people import CREDIT

__all__ = ["environment", "provider"]
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
OPENAI_MODEL, ANTHROPIC_MODEL = "gpt-test", "claude-test"
HELLO: Any = [{"role": "user", "content": "hello"}]


def body_of(dialect: str, text: str = "hello", model: str = OPENAI_MODEL, **fields: Any) -> dict[str, Any]:
    """The smallest request of that dialect."""
    said = {"input": text} if dialect == "responses" else {"messages": [{"role": "user", "content": text}]}
    return {"model": model, **said, **({"max_tokens": 300} if dialect == "messages" else {}), **fields}


class Program:
    """A program with a key."""

    def __init__(self, client: FlaskClient, key: str) -> None:
        self.client = client
        self.key = key
        self.headers = {"Authorization": f"Bearer {key}"}

    def call(self, dialect: str, text: str = "hello", **fields: Any) -> TestResponse:
        headers = self.headers | fields.pop("headers", {})
        return self.post(PATHS[dialect], body_of(dialect, text, **fields), headers)

    def post(self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> TestResponse:
        return self.client.post(path, json=body, headers=headers or self.headers, buffered=True)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, headers=self.headers | headers)

    def receipt(self, answer: TestResponse) -> dict[str, Any]:
        return dict(self.get(f"/api/usage/calls/{answer.headers['X-Call-Id']}").json)


def events_of(answer: TestResponse) -> list[dict[str, Any]]:
    """The JSON of each event of a stream."""
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@pytest.fixture
def program(client: FlaskClient, session: Database) -> Callable[..., Program]:
    """`program("ada", credits=...)`: a person's key; a model of each vendor is made on the way."""
    people.model(OPENAI_MODEL, takes_images=True)
    people.model(ANTHROPIC_MODEL, kind="anthropic", takes_images=True)

    def of(name: str, **columns: Any) -> Program:
        return Program(client, people.api_key(people.person(name, **columns)))

    return of


@pytest.fixture
def ada(program: Callable[..., Program]) -> Program:
    """ada, with 1,000 credits."""
    return program("ada", credits=1000 * CREDIT)


class InProcess(httpx2.BaseTransport):
    """Carries a package's requests to the app in this process, and counts them."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.tries = 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.tries += 1
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        path, sent = request.url.raw_path.decode(), {"headers": headers, "data": request.read()}
        answer = self.client.open(path, method=request.method, buffered=True, **sent)
        told = {"headers": list(answer.headers), "content": answer.data}
        return httpx2.Response(answer.status_code, request=request, **told)


@pytest.fixture
def packages(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`packages(key)`: both clients in front of the app in this process; they wait for nothing between two tries."""
    for package in (openai, anthropic):
        monkeypatch.setattr(package._base_client.SyncAPIClient, "_sleep_for_retry", lambda *_, **__: None)

    def of(key: str) -> tuple[openai.OpenAI, anthropic.Anthropic, InProcess]:
        way = InProcess(client)
        http: Any = httpx2.Client(transport=way)
        return (
            openai.OpenAI(base_url="http://127.0.0.1/v1", api_key=key, http_client=http),
            anthropic.Anthropic(base_url="http://127.0.0.1", api_key=key, http_client=http),
            way,
        )

    return of


def chat_error(client: openai.OpenAI, **fields: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(**({"model": OPENAI_MODEL, "messages": HELLO} | fields))
    return raised.value


def message_error(client: anthropic.Anthropic, **fields: Any) -> anthropic.APIStatusError:
    with pytest.raises(anthropic.APIStatusError) as raised:
        client.messages.create(**({"model": OPENAI_MODEL, "messages": HELLO, "max_tokens": 300} | fields))
    return raised.value
