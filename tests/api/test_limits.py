"""Limits on calls and sends, where they are on."""

from collections.abc import Callable

import pytest

from app.extensions import db
from app.models.identity.account import Account
from devserver.redis_server import RedisServer
from tests.chat.conftest import Door


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"RATELIMIT_ENABLED": "1"}


def test_each_answer_says_how_many_calls_are_left(ada: Door) -> None:
    first, second = (ada.call("GET", "/balance").headers for _ in range(2))

    assert first["X-RateLimit-Limit"] == "1200"
    assert int(second["X-RateLimit-Remaining"]) == int(first["X-RateLimit-Remaining"]) - 1
    assert int(first["X-RateLimit-Reset"]) > 0


def test_an_accounts_sends_are_limited_together_and_the_rest_goes_on(
    ada: Door, door: Callable[..., Door], redis_server: RedisServer
) -> None:
    chat = ada.new_chat()
    answers = [ada.call("POST", f"/chats/{chat}/messages", json={})]
    let_more_have_been_sent(redis_server, 298)
    answers.append(ada.call("POST", "/messages/1/regenerate", json={}))
    refused = ada.call("POST", f"/chats/{chat}/messages", json={"content": "hi"})

    assert {answer.status_code for answer in answers} == {400, 404}
    assert (refused.status_code, refused.json["code"]) == (429, "rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 61
    assert ada.call("GET", "/balance").status_code == 200
    assert door("eve").call("POST", "/chats/1/messages", json={}).status_code == 404


def let_more_have_been_sent(redis_server: RedisServer, count: int) -> None:
    """In this minute, by the one account that has sent."""
    with redis_server.connection() as connection:
        [key] = connection.keys("*/sends/300/*")
        connection.lpush(key, *[connection.lindex(key, 0)] * count)


def test_a_refusal_keeps_its_own_wait_and_an_answer_has_none(ada: Door) -> None:
    chat, account = ada.new_chat(), db.session.query(Account).filter_by(name="Ada").one()
    account.running_calls = 1000
    db.session.commit()
    refused = ada.send("hi", chat=chat)

    assert (refused.json["code"], refused.headers["Retry-After"]) == ("too_many_calls", "5")
    assert "Retry-After" not in ada.call("GET", "/balance").headers
