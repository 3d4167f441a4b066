"""Trying again: only before the first byte, only where it helps, and never for long."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.providers.openai import OpenAIProvider
from app.providers.streamed_reply import Patience
from tests.providers.conftest import Vendor
from tests.support.crowding import patient
from tests.support.provider_server import ProviderServer
from tests.support.replies import asking, outcome_of


@pytest.mark.parametrize("fault", ["429", "500", "503", "529", "drop"])
def test_a_provider_that_recovers_is_asked_again(fault: str, vendor: Vendor, server: ProviderServer) -> None:
    outcome = outcome_of(vendor.stream(asking(f"[[fault:{fault} times=2 tokens=3]]")))

    assert (outcome.text, server.count) == ("word0 word1 word2 ", 3)


@pytest.mark.parametrize("fault", ["429", "500", "drop"])
def test_a_provider_that_does_not_recover_is_asked_three_times(
    fault: str, vendor: Vendor, server: ProviderServer
) -> None:
    outcome_of(vendor.stream(asking(f"[[fault:{fault}]]")))

    assert server.count == 3


@pytest.mark.parametrize("fault", ["400", "401", "403", "404"])
def test_what_another_try_would_not_mend_is_asked_once(fault: str, vendor: Vendor, server: ProviderServer) -> None:
    outcome_of(vendor.stream(asking(f"[[fault:{fault}]]")))

    assert server.count == 1


@pytest.mark.parametrize("fault", ["cut", "close", "reset", "bad_json", "error_event"])
@pytest.mark.parametrize("after", [0, 1])
def test_after_the_first_byte_nothing_is_asked_again(
    fault: str, after: int, vendor: Vendor, server: ProviderServer
) -> None:
    outcome = outcome_of(vendor.stream(asking(f"[[fault:{fault} after={after}]]")))

    assert (outcome.error is not None, server.count) == (True, 1)


def test_a_short_retry_after_is_kept(server: ProviderServer) -> None:
    patient = OpenAIProvider(base_url=server.openai_url, api_key="k", patience=Patience())
    start = time.monotonic()

    outcome = outcome_of(patient.stream(asking("[[fault:429 times=1 retry_after=1 tokens=1]]")))
    patient.client.close()

    assert (outcome.text, time.monotonic() - start >= 1) == ("word0 ", True)


def test_a_long_retry_after_is_not_waited_for(vendor: Vendor, server: ProviderServer) -> None:
    start = time.monotonic()

    outcome = outcome_of(vendor.stream(asking("[[fault:429 retry_after=60]]")))

    assert (outcome.reason, server.count, time.monotonic() - start < patient(2)) == ("rate_limited", 1, True)


def test_an_unpaid_bill_of_ours_is_not_tried_again(vendors: dict[str, Vendor], server: ProviderServer) -> None:
    outcome = outcome_of(vendors["openai"].stream(asking("[[fault:429 code=insufficient_quota]]")))

    assert (outcome.reason, server.count) == ("credentials", 1)


def test_idle_connections_that_close_as_they_are_used_fail_no_call(vendor: Vendor, server: ProviderServer) -> None:
    """As many of them as there are tries, and more."""
    server.closes_idle = True
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: outcome_of(vendor.stream(asking("[[tokens=1 delay=0.2]]"))), range(6)))
    outcomes = [outcome_of(vendor.stream(asking("[[tokens=1]]"))) for _ in range(3)]

    assert [(outcome.error, outcome.text) for outcome in outcomes] == [(None, "word0 ")] * 3
    assert server.count == 9


def test_an_idle_connection_that_the_provider_closed_is_not_used(vendor: Vendor, server: ProviderServer) -> None:
    outcome_of(vendor.stream(asking("[[tokens=1]]")))
    server.drop_connections()
    time.sleep(0.1)

    outcome = outcome_of(vendor.stream(asking("[[tokens=1]]")))

    assert (outcome.text, server.count) == ("word0 ", 2)
