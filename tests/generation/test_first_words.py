"""Many words at once from the provider: the first go out before the rest is read. Whoever follows reads."""

import threading

import pytest

from app.generation import provider_reader, registry
from tests.chat.conftest import Door
from tests.gateway.conftest import PATHS, body_of
from tests.support.provider_server import ProviderServer
from tests.support.running_app import await_that


@pytest.mark.parametrize("path", ["/api", *PATHS.values()])
def test_the_first_words_go_out_alone(ada: Door, provider: ProviderServer, path: str) -> None:
    provider.configure(tokens=200)
    dialects = {address: name for name, address in PATHS.items()}
    if path == "/api":
        answer = ada.send("go on", buffered=False)
    else:
        body = body_of(dialects[path], stream=True)
        answer = ada.client.post(path, json=body, headers=ada.headers, buffered=False)
    pieces = [piece for piece in answer.iter_encoded() if b"word" in piece]
    answer.close()

    assert pieces[0].count(b"word") == 1
    assert b"".join(pieces).count(b"word") >= 200


def test_what_nobody_reads_is_read_and_settled_all_the_same(ada: Door, provider: ProviderServer) -> None:
    provider.configure(tokens=3)
    answer = ada.send("go on", buffered=False)
    answer.close()
    await_that(lambda: ada.balance()["reserved_nanos"] == 0)


def test_a_follower_needs_no_thread(ada: Door, provider: ProviderServer) -> None:
    provider.configure(tokens=3)
    answer = ada.send("go on", buffered=False)
    pieces = answer.iter_encoded()
    while b"word" not in next(pieces):
        pass
    names = {thread.name for thread in threading.enumerate()}
    answer.close()
    assert not [name for name in names if "read_on" in name]
    await_that(lambda: not registry.live.by_call)


def test_whoever_waits_for_the_provider_is_told_that_it_is_not_dead(
    ada: Door, provider: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_reader, "PING_SECONDS", 0.2)
    provider.configure(tokens=2, first_delay=1.5)
    told: list[bytes] = []

    class Listening(provider_reader.Follower):
        def ping(self) -> None:
            told.append(b"ping")

    answer = ada.send("go on", buffered=False)
    [running] = registry.live.by_call.values()
    assert [text for text in running.follow(Listening()) if text]
    answer.close()
    assert told
