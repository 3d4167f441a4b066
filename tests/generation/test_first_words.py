"""Many words at once from the provider: the first go out before the rest is read."""

import pytest

from app.generation import generation
from tests.chat.conftest import Door
from tests.gateway.conftest import PATHS, body_of
from tests.support.provider_server import ProviderServer
from tests.support.running_app import await_that


@pytest.mark.parametrize("path", ["/api", *PATHS.values()])
def test_the_first_words_go_out_alone(
    ada: Door, provider: ProviderServer, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "FIRST_WORDS_MAY_TAKE", 30.0)
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


def test_whoever_reads_nothing_holds_an_answer_up_for_a_moment_only(
    ada: Door, provider: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "FIRST_WORDS_MAY_TAKE", 0.01)
    provider.configure(tokens=3)
    answer = ada.send("go on", buffered=False)
    answer.close()
    await_that(lambda: ada.balance()["reserved_nanos"] == 0)
