"""Providers that fail, hang, lie or break off, over real HTTP, through both vendors' wrappers."""

import time

import pytest

from app.providers.anthropic import AnthropicProvider
from app.providers.base import TokenUsage
from app.providers.openai import OpenAIProvider
from tests.providers.conftest import Vendor
from tests.support.crowding import patient
from tests.support.provider_server import ProviderServer
from tests.support.replies import HASTY, asking, outcome_of
from tests.support.unreachable import unreachable_address

THREE_WORDS = "word0 word1 word2 "


def test_a_whole_stream_gives_its_text_its_end_and_its_usage(vendor: Vendor, server: ProviderServer) -> None:
    outcome = outcome_of(vendor.stream(asking("[[tokens=3 input_tokens=50 cached=20]]")))

    assert (outcome.text, outcome.finish_reason) == (THREE_WORDS, "stop")
    assert (outcome.usage.uncached_input, outcome.usage.cache_read, outcome.usage.output) == (30, 20, 3)


def test_a_slow_stream_is_read_to_its_end(vendor: Vendor, server: ProviderServer) -> None:
    outcome = outcome_of(vendor.stream(asking("[[tokens=4 delay=0.03 first_delay=0.1]]")))

    assert (outcome.reason, outcome.usage.output) == (None, 4)


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize(
    ("fault", "text", "reason"),
    [
        ("cut", THREE_WORDS, "cut"),
        ("close", THREE_WORDS, "cut"),
        ("reset", THREE_WORDS, "cut"),
        ("bad_json", THREE_WORDS, "malformed"),
        ("long_line", THREE_WORDS, "malformed"),
        ("error_event", THREE_WORDS, "unavailable"),
        ("garbage", THREE_WORDS, "cut"),
        ("wrong_type", "", "malformed"),
    ],
)
def test_what_broke_is_named_and_the_text_until_then_is_kept(
    fault: str, text: str, reason: str, framing: str, vendor: Vendor, server: ProviderServer
) -> None:
    outcome = outcome_of(vendor.stream(asking(f"[[fault:{fault} after=3 framing={framing}]]")))

    assert (outcome.text, outcome.reason) == (text, reason)
    assert (outcome.finish_reason, outcome.usage.source) == (None, "none")


@pytest.mark.parametrize(
    ("fault", "framing", "text"),
    [("hang", "chunked", THREE_WORDS), ("hang", "close", ""), ("hang_headers", "chunked", "")],
)
def test_a_provider_that_falls_silent_is_given_up_and_asked_once(
    fault: str, framing: str, text: str, hasty_vendor: Vendor, server: ProviderServer
) -> None:
    after = 3 if text else 0
    outcome = outcome_of(hasty_vendor.stream(asking(f"[[fault:{fault} after={after} framing={framing}]]")))

    assert (outcome.text, outcome.reason, outcome.usage.source) == (text, "timeout", "none")
    assert server.count == 1


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "rejected"),
        (401, "credentials"),
        (403, "credentials"),
        (404, "rejected"),
        (408, "timeout"),
        (413, "rejected"),
        (422, "rejected"),
        (429, "rate_limited"),
        (500, "unavailable"),
        (503, "unavailable"),
        (529, "unavailable"),
        (301, "unavailable"),
    ],
)
def test_an_http_error_becomes_ours_without_the_vendor_s_words(
    status: int, reason: str, vendor: Vendor, server: ProviderServer
) -> None:
    outcome = outcome_of(vendor.stream(asking(f"canary-prompt [[fault:{status}]]")))

    assert outcome.reason == reason
    assert outcome.error is not None
    assert "charged" in str(outcome.error)
    assert not any(secret in f"{outcome.error} {outcome.error.technical}" for secret in ("canary", "sk-", "Stand-in"))


def test_a_provider_that_cannot_be_connected_to_times_out() -> None:
    with unreachable_address() as address:
        vendor = OpenAIProvider(base_url=f"{address}/v1", api_key="k", patience=HASTY)
        start = time.monotonic()

        reason = outcome_of(vendor.stream(asking("hi"))).reason

    assert (reason, time.monotonic() - start < patient(3)) == ("timeout", True)


def test_a_provider_that_is_not_there_is_unavailable(free_address: str) -> None:
    vendor = AnthropicProvider(base_url=free_address, api_key="k", patience=HASTY)

    assert outcome_of(vendor.stream(asking("hi"))).reason == "unavailable"


@pytest.mark.parametrize("usage", ["missing", "null", "zero", "absurd", "negative", "floats", "strings", "bools"])
def test_usage_that_is_missing_or_cannot_be_is_no_usage(usage: str, vendor: Vendor, server: ProviderServer) -> None:
    outcome = outcome_of(vendor.stream(asking(f"[[tokens=3 usage={usage}]]")))

    assert (outcome.text, outcome.finish_reason) == (THREE_WORDS, "stop")
    assert (outcome.usage.source, outcome.usage.input_tokens, outcome.usage.output) == ("none", 0, 0)


def test_usage_that_comes_twice_counts_once(vendor: Vendor, server: ProviderServer) -> None:
    outcome = outcome_of(vendor.stream(asking("[[tokens=3 usage=twice input_tokens=50]]")))

    assert (outcome.usage.uncached_input, outcome.usage.output) == (50, 3)


@pytest.mark.parametrize("finish", ["length", "filter", "refusal", "tool_calls"])
def test_an_answer_that_ended_early_has_finished(finish: str, vendor: Vendor, server: ProviderServer) -> None:
    outcome = outcome_of(vendor.stream(asking(f"[[tokens=3 finish={finish}]]")))

    told = {"openai": finish, "anthropic": "refusal" if finish == "filter" else finish}
    assert outcome.finish_reason == told[type(vendor.client).__name__.lower()]
    assert outcome.usage.output == 3


def test_an_answer_without_a_word_has_finished(vendor: Vendor, server: ProviderServer) -> None:
    outcome = outcome_of(vendor.stream(asking("[[fault:empty]]")))

    assert (outcome.text, outcome.finish_reason, outcome.usage.output) == ("", "stop", 0)


def test_thinking_is_not_text(vendor: Vendor, server: ProviderServer) -> None:
    assert outcome_of(vendor.stream(asking("[[tokens=3 reasoning=5]]"))).text == THREE_WORDS


def test_a_reasoning_model_may_be_silent_for_longer(hasty_vendor: Vendor, server: ProviderServer) -> None:
    outcome = outcome_of(hasty_vendor.stream(asking("[[tokens=1 first_delay=0.7]]", is_reasoning=True)))

    assert (outcome.reason, outcome.text) == (None, "word0 ")


def test_a_server_that_keeps_silent_after_the_end_is_not_waited_for(vendor: Vendor, server: ProviderServer) -> None:
    start = time.monotonic()

    outcome = outcome_of(vendor.stream(asking("[[fault:linger tokens=3]]")))

    assert (outcome.finish_reason, outcome.usage.output, time.monotonic() - start < patient(5)) == (
        "stop",
        3,
        True,
    )


def test_usage_that_never_comes_after_the_finish_is_not_waited_for_long(
    hasty_vendor: Vendor, server: ProviderServer
) -> None:
    outcome = outcome_of(hasty_vendor.stream(asking("[[fault:linger_early tokens=3]]", is_reasoning=True)))

    assert (outcome.text, outcome.finish_reason, outcome.reason) == (THREE_WORDS, "stop", None)


def test_nothing_is_known_before_the_first_piece(vendor: Vendor, server: ProviderServer) -> None:
    reply = vendor.stream(asking("hi"))

    assert (reply.usage, reply.finish_reason, server.count) == (TokenUsage(), None, 0)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("context_length_exceeded", "longer than the model can read"),
        ("model_not_found", "no longer knows this model"),
    ],
)
def test_the_code_of_an_error_gives_it_its_words(
    code: str, text: str, vendors: dict[str, Vendor], server: ProviderServer
) -> None:
    outcome = outcome_of(vendors["openai"].stream(asking(f"[[fault:400 code={code}]]")))

    assert text in str(outcome.error)


def test_a_model_that_is_gone_is_called_so(vendor: Vendor, server: ProviderServer) -> None:
    assert "no longer knows this model" in str(outcome_of(vendor.stream(asking("[[fault:404]]"))).error)
