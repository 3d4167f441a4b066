"""Breaking off an answer from another thread, over real sockets: at once, without an error, without harm to others."""

import threading
import time

import pytest

from app.providers.base import TokenUsage
from app.providers.demo import DemoProvider
from app.providers.openai import OpenAIProvider
from app.providers.streamed_reply import Patience
from tests.providers.conftest import Vendor
from tests.support.crowding import patient
from tests.support.provider_server import ProviderServer
from tests.support.replies import HASTY, PATIENT, Outcome, asking, outcome_of
from tests.support.running_app import await_that
from tests.support.unreachable import unreachable_address

AT_ONCE, MANY = 2.0, 110
"""Seconds; and calls, of which httpx by itself lets 100 through."""


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("fault", ["hang", "hang_headers"])
def test_a_blocked_read_ends_at_once_and_without_an_error(
    fault: str, framing: str, vendor: Vendor, server: ProviderServer
) -> None:
    reply = vendor.stream(asking(f"[[fault:{fault} framing={framing}]]", is_reasoning=True))
    outcomes = []
    reader = threading.Thread(target=lambda: outcomes.append(outcome_of(reply)))
    reader.start()
    deadline = time.monotonic() + patient(5)
    while not server.active and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)

    start = time.monotonic()
    reply.close()
    reader.join(patient(5))

    assert time.monotonic() - start < patient(AT_ONCE)
    assert (outcomes[0].reason, outcomes[0].finish_reason, outcomes[0].usage) == (None, None, TokenUsage())


def test_text_that_flows_ends_at_the_next_piece(vendor: Vendor, server: ProviderServer) -> None:
    reply = vendor.stream(asking("[[tokens=1000 delay=0.05]]"))
    pieces = iter(reply)
    first = next(pieces)

    reply.close()

    assert (first, list(pieces)) == ("word0 ", [])


def test_the_provider_sees_that_nobody_listens_any_more(vendor: Vendor, server: ProviderServer) -> None:
    reply = vendor.stream(asking("[[tokens=1000 delay=0.01]]"))
    next(iter(reply))

    reply.close()
    deadline = time.monotonic() + patient(3)
    while server.active and time.monotonic() < deadline:
        time.sleep(0.01)

    assert server.active == 0


def test_an_answer_closed_before_it_began_is_never_asked_for(vendor: Vendor, server: ProviderServer) -> None:
    reply = vendor.stream(asking("hi"))

    reply.close()

    assert (outcome_of(reply).error, server.count) == (None, 0)


def test_closing_while_a_retry_waits_ends_the_wait(server: ProviderServer) -> None:
    patience = Patience(retry_wait=30, longest_retry_wait=30)
    vendor = OpenAIProvider(base_url=server.openai_url, api_key="k", patience=patience)
    reply = vendor.stream(asking("[[fault:500]]"))
    threading.Timer(0.2, reply.close).start()
    start = time.monotonic()

    outcome = outcome_of(reply)

    assert (outcome.error, time.monotonic() - start < patient(2), server.count) == (None, True, 1)


def test_closing_while_connecting_ends_without_an_error(vendor: Vendor) -> None:
    with unreachable_address() as address:
        stuck = type(vendor)(base_url=address, api_key="k", patience=HASTY)
        reply = stuck.stream(asking("hi"))
        threading.Timer(0.1, reply.close).start()

        assert outcome_of(reply).error is None


def test_closing_twice_and_after_the_end_changes_nothing(vendor: Vendor, server: ProviderServer) -> None:
    reply = vendor.stream(asking("[[tokens=3 input_tokens=9]]"))
    outcome = outcome_of(reply)

    reply.close()
    reply.close()

    assert (reply.usage, reply.usage.output, reply.finish_reason) == (outcome.usage, 3, "stop")


def test_closing_an_old_answer_does_not_cut_the_new_one_on_its_connection(
    vendor: Vendor, server: ProviderServer
) -> None:
    old = vendor.stream(asking("[[tokens=3]]"))
    outcome_of(old)
    new = vendor.stream(asking("[[tokens=3 delay=0.05]]"))
    pieces = iter(new)
    next(pieces)

    old.close()

    assert (list(pieces), new.finish_reason) == (["word1 ", "word2 "], "stop")
    assert server.connections <= 1


def test_a_reader_that_leaves_in_the_middle_gives_the_connection_away(vendor: Vendor, server: ProviderServer) -> None:
    pieces = iter(vendor.stream(asking("[[tokens=1000 delay=0.01]]")))
    next(pieces)

    pieces.close()  # type: ignore[attr-defined]

    assert outcome_of(vendor.stream(asking("[[tokens=3]]"))).text == "word0 word1 word2 "


def test_figures_before_the_end_are_not_usage_for_one_who_stopped(vendor: Vendor, server: ProviderServer) -> None:
    reply = vendor.stream(asking("[[fault:hang after=2]]", is_reasoning=True))
    pieces = iter(reply)
    next(pieces)

    reply.close()
    list(pieces)

    assert reply.usage == TokenUsage()


def test_the_demo_stops_at_once_in_a_pause() -> None:
    reply = DemoProvider(pace=30).stream(asking("hello", model="demo-smart"))
    threading.Timer(0.1, reply.close).start()
    start = time.monotonic()

    outcome = outcome_of(reply)

    assert (outcome.error, outcome.finish_reason, time.monotonic() - start < patient(2)) == (None, None, True)


def test_more_answers_run_at_once_than_httpx_keeps_connections(server: ProviderServer) -> None:
    outcomes: list[Outcome] = []
    own = OpenAIProvider(base_url=server.openai_url, api_key="canary-key", patience=PATIENT)
    replies = [own.stream(asking("[[fault:hang after=1]]", is_reasoning=True)) for _ in range(MANY)]
    threads = [threading.Thread(target=lambda reply=reply: outcomes.append(outcome_of(reply))) for reply in replies]
    for thread in threads:
        thread.start()
    await_that(lambda: server.active == MANY)
    for reply in replies:
        reply.close()
    for thread in threads:
        thread.join(patient(30))
    own.client.close()  # the connections that are kept

    assert [outcome.error for outcome in outcomes] == [None] * MANY
