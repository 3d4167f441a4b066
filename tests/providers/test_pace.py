"""How often an answer is read on: at first as it comes, and what flows behind it fifty times a second."""

import socket
import time
from unittest.mock import Mock

import pytest

from app.providers.streamed_reply import PACE
from tests.providers.conftest import Vendor
from tests.support.crowding import patient
from tests.support.replies import asking


def test_what_flows_is_read_at_a_pace_that_its_beginning_does_not_wait_for(vendor: Vendor) -> None:
    came = list(vendor.stream(asking("[[tokens=200 delay=0.002]]")))

    assert (came[0], "".join(came).count("word")) == ("word0 ", 200)
    assert len(came) < 80


def test_what_comes_faster_than_small_reads_take_it_is_read_by_large_ones(vendor: Vendor) -> None:
    came = list(vendor.stream(asking("[[tokens=3000]]")))

    assert "".join(came).count("word") == 3000
    assert len(came) < 60


def test_encrypted_text_is_read_as_it_comes(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read takes one record of it, which vendors make of each event: a pause would gather nothing."""
    monkeypatch.setattr("app.providers.transport.ssl.SSLSocket", socket.socket)
    pauses: list[float] = []
    monkeypatch.setattr("app.providers.streamed_reply.time", Mock(wraps=time, sleep=pauses.append))

    texts = vendor.stream(asking("[[tokens=100 delay=0.002]]"))

    assert ("".join(texts).count("word"), pauses) == (100, [])


def test_a_short_answer_waits_for_nothing(vendor: Vendor) -> None:
    began = time.monotonic()

    texts = list(vendor.stream(asking("[[tokens=8 delay=0.001]]")))

    assert len(texts) > 4
    assert time.monotonic() - began < patient(PACE * 4)


def test_text_that_comes_slower_than_the_pace_wakes_nobody_in_between(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("app.providers.streamed_reply.time", Mock(wraps=time, sleep=pauses.append))

    texts = list(vendor.stream(asking("[[tokens=10 delay=0.08]]")))

    assert "".join(texts).count("word") == 10
    assert len(pauses) < 5
