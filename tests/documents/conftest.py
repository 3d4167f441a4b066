"""Documents over HTTP in this process: ada with a key, and a provider on loopback."""

from collections.abc import Callable

import pytest

from tests.chat.conftest import Door, ada, door, environment, provider

__all__ = ["ada", "door", "environment", "provider"]


@pytest.fixture
def eve(door: Callable[..., Door]) -> Door:
    """Somebody else, with credits of her own."""
    return door("eve", credits=10**9)


@pytest.fixture
def document(ada: Door) -> str:
    """ada's document: three sentences, one of them with letters of many bytes."""
    return new(ada, "One fish. Zwei Füße 🐟. Three ships.")["id"]


def new(person: Door, content: str, **fields: object) -> dict:
    answer = person.call("POST", "/documents", json={"content": content, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json
