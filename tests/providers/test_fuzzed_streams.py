"""Wild streams, mutated: whatever comes, there is text or a ProviderError, and never an absurd figure."""

from dataclasses import astuple
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.providers.base import Prompt, PromptMessage
from app.providers.usage import MOST_TOKENS, anthropic_usage, openai_usage
from tests.providers.conftest import Vendor
from tests.support.peak_memory import with_peak
from tests.support.provider_server import ProviderServer
from tests.support.replies import asking, outcome_of

WILD = Path(__file__).parents[1] / "support" / "wild"
BODIES = {path.stem: path.read_bytes() for path in WILD.glob("*.sse") if path.stat().st_size}
MEMORY = 30_000_000

figures = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=0, max_value=5000),
    st.sampled_from([10**30, -(10**30), 2**63, 2**31]),
    st.floats(),
    st.sampled_from(["", "9", "x"]),
)
objects = st.recursive(
    figures,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["", "9", "x"]), inner, max_size=3),
)
TOTALS = [
    *("prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens", "cached_tokens"),
    *("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
    *("prompt_tokens_details", "completion_tokens_details", "cache_creation", "server_tool_use"),
]
PARTS = [
    *("cached_tokens", "cache_write_tokens", "reasoning_tokens"),
    *("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "web_search_requests"),
]
parts = st.dictionaries(st.sampled_from(PARTS), figures)
usages = st.dictionaries(st.sampled_from(TOTALS), figures | parts | objects, max_size=8)


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, bytes, int]:
    """A stream's name, its body with up to four stretches dropped, doubled, flipped or cut off, and a piece size."""
    name = draw(st.sampled_from(sorted(BODIES)))
    body = BODIES[name]
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(0, len(body) - 1)))
        end = start + draw(st.integers(1, 60))
        changed = {
            "drop": b"",
            "double": body[start:end] * 2,
            "flip": bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in body[start : start + 2])
            + body[start + 2 : end],
            "cut": None,
        }[draw(st.sampled_from(["drop", "double", "flip", "cut"]))]
        body = body[:start] if changed is None else body[:start] + changed + body[end:]
    return name, body, draw(st.sampled_from([0, 0, 1, 13]))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(mutation=mutations())
def test_a_mutated_stream_never_crashes_a_wrapper(
    mutation: tuple[str, bytes, int], vendors: dict[str, Vendor], running_server: ProviderServer
) -> None:
    name, body, pieces = mutation
    running_server.bodies["mutated"] = body
    vendor = vendors["anthropic" if name.startswith("anthropic") else "openai"]

    outcome = outcome_of(vendor.stream(asking(f"[[replay=mutated pieces={pieces}]]")))

    outcome.text.encode()
    assert "\0" not in outcome.text
    assert all(0 <= bucket <= 2 * MOST_TOKENS for bucket in astuple(outcome.usage)[:7])
    assert outcome.usage.source in ("reported", "none")
    assert outcome.finish_reason or outcome.error


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(raw=usages)
def test_no_usage_of_openai_s_makes_an_absurd_bucket(raw: dict[str, object]) -> None:
    usage = openai_usage(raw)

    assert all(type(bucket) is int and 0 <= bucket <= 2 * MOST_TOKENS for bucket in astuple(usage)[:7])


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(raw=usages)
def test_no_usage_of_anthropic_s_makes_an_absurd_bucket(raw: dict[str, object]) -> None:
    usage = anthropic_usage(raw)

    assert all(type(bucket) is int and 0 <= bucket <= 2 * MOST_TOKENS for bucket in astuple(usage)[:7])


@pytest.mark.parametrize("pieces", [65536, 1_000_000])
def test_a_line_without_end_is_given_up_before_it_fills_the_memory(
    pieces: int, vendor: Vendor, server: ProviderServer
) -> None:
    server.bodies["endless"] = b"data: " + b"x" * 50_000_000

    outcome, most = with_peak(lambda: outcome_of(vendor.stream(asking(f"[[replay=endless pieces={pieces}]]"))))

    assert (outcome.reason, most < MEMORY) == ("malformed", True)


def test_an_event_of_many_lines_without_end_is_given_up(vendor: Vendor, server: ProviderServer) -> None:
    server.bodies["endless"] = b"data: {\n" * 1_000_000

    assert outcome_of(vendor.stream(asking("[[replay=endless]]"))).reason == "malformed"


def test_a_provider_that_never_stops_talking_is_given_up(vendor: Vendor, server: ProviderServer) -> None:
    prompt = Prompt("m", (PromptMessage("user", "hi"),), max_output_tokens=20)
    event = {
        "openai": b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n',
        "anthropic": b'data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"%b"}}\n\n',
    }[type(vendor.client).__name__.lower()]
    server.bodies["endless"] = event % (b"x" * 500) * 200
    server.configure(replay="endless")

    outcome = outcome_of(vendor.stream(prompt))

    assert (outcome.reason, len(outcome.text) < 20_000) == ("malformed", True)
