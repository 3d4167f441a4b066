"""Who reads a provider: one follower at a time, none left waiting."""

import threading
import time
from collections.abc import Iterator

import pytest

from app.generation import provider_reader
from app.generation.provider_reader import Follower, ProviderReader
from tests.support.crowding import patient


class Answer(ProviderReader):
    """An answer of so many pieces, each after a pause; of those that are hidden nothing is told."""

    def __init__(self, pieces: int, pause: float, *, is_hidden: bool = False) -> None:
        super().__init__()
        self.told: list[int] = []
        self.steps = self._read(pieces, pause, is_hidden)

    def _read(self, pieces: int, pause: float, is_hidden: bool) -> Iterator[None]:
        for number in range(pieces):
            time.sleep(pause)
            if not is_hidden:
                self.told.append(number)
            yield
        self.ending = "done"


class Counted(Follower):
    def __init__(self) -> None:
        self.pings = 0

    def ping(self) -> None:
        self.pings += 1


def test_who_waits_goes_on_when_the_one_who_read_has_left() -> None:
    answer = Answer(2, 0.2)
    leaving = threading.Thread(target=answer.await_more, args=(0,))
    leaving.start()
    time.sleep(0.05)
    began = time.monotonic()
    assert answer.await_more(1) is False
    assert (answer.told, time.monotonic() - began < patient(1)) == ([0, 1], True)
    leaving.join()


def test_a_reader_is_pinged_while_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after Stop, where the rest of a reasoning model's answer is read unseen."""
    monkeypatch.setattr(provider_reader, "PING_SECONDS", 0.2)
    answer, follower = Answer(50, 0.02, is_hidden=True), Counted()
    following, began = threading.Thread(target=answer.await_more, args=(0, follower)), time.monotonic()
    following.start()
    while following.is_alive():
        answer.tend()
        time.sleep(0.01)
    assert 1 <= follower.pings <= 1 + (time.monotonic() - began) / 0.2
