"""The gateway over HTTP in this process: keys, models of both vendors, and a provider on loopback."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, scoped_session
from werkzeug.test import TestResponse

from tests.chat.conftest import environment, provider
from tests.support import people
from tests.support.people import CREDIT

__all__ = ["environment", "provider"]
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
OPENAI_MODEL, ANTHROPIC_MODEL = "gpt-test", "claude-test"


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
        body = body_of(dialect, text, **fields)
        return self.client.post(PATHS[dialect], json=body, headers=headers, buffered=True)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, headers=self.headers | headers)

    def receipt(self, answer: TestResponse) -> dict[str, Any]:
        return dict(self.get(f"/api/usage/calls/{answer.headers['X-Call-Id']}").json)


def events_of(answer: TestResponse) -> list[dict[str, Any]]:
    """The JSON of each event of a stream."""
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@pytest.fixture
def program(client: FlaskClient, session: "scoped_session[Session]") -> Callable[..., Program]:
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
