"""From reported usage to disjoint buckets, against genai-prices' own reading of the same figures."""

import json
from typing import Any

import pytest
from genai_prices import extract_usage
from hypothesis import given
from hypothesis import strategies as st

from app.providers.base import TokenUsage
from app.providers.usage import RAW_CHARACTERS, anthropic_usage, openai_usage

tokens = st.integers(0, 2_000_000)


@st.composite
def openai_reports(draw: st.DrawFn) -> dict[str, Any]:
    """Consistent figures: parts within their whole."""
    prompt, completion = draw(st.integers(1, 2_000_000)), draw(tokens)
    cached = draw(st.integers(0, prompt))
    details = {
        "cached_tokens": cached,
        "cache_write_tokens": draw(st.integers(0, prompt - cached)),
        "audio_tokens": 0,
    }
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": draw(st.integers(0, completion))},
    }


@st.composite
def anthropic_reports(draw: st.DrawFn) -> dict[str, Any]:
    minutes, hour = draw(tokens), draw(tokens)
    return {
        "input_tokens": draw(st.integers(1, 2_000_000)),
        "output_tokens": draw(tokens),
        "cache_read_input_tokens": draw(tokens),
        "cache_creation_input_tokens": minutes + hour,
        "cache_creation": {"ephemeral_5m_input_tokens": minutes, "ephemeral_1h_input_tokens": hour},
        "server_tool_use": {"web_search_requests": draw(st.integers(0, 1000))},
    }


@given(raw=openai_reports())
def test_openai_s_buckets_add_up_to_what_was_reported(raw: dict[str, Any]) -> None:
    usage = openai_usage(raw)
    read = extract_usage({"model": "gpt-4o", "usage": raw}, provider_id="openai", api_flavor="chat").usage

    assert (usage.input_tokens, usage.output) == (raw["prompt_tokens"], raw["completion_tokens"])
    assert (usage.cache_read, usage.cache_write_5m) == (
        read.cache_read_tokens or 0,
        read.cache_write_tokens or 0,
    )


@given(raw=anthropic_reports())
def test_anthropic_s_buckets_add_up_to_what_was_reported(raw: dict[str, Any]) -> None:
    usage = anthropic_usage(raw)
    read = extract_usage({"model": "claude-sonnet-4-5", "usage": raw}, provider_id="anthropic").usage

    assert (usage.input_tokens, usage.output) == (read.input_tokens, read.output_tokens)
    assert usage.uncached_input == raw["input_tokens"]
    assert usage.cache_write_5m == raw["cache_creation"]["ephemeral_5m_input_tokens"]
    assert usage.cache_write_1h == raw["cache_creation"]["ephemeral_1h_input_tokens"]
    assert usage.searches == raw["server_tool_use"]["web_search_requests"]


@pytest.mark.parametrize(
    ("total", "details", "output"),
    [
        (28, {"reasoning_tokens": 5}, 9),
        (33, {"reasoning_tokens": 5}, 14),
        (33, {"reasoning_tokens": 4}, 14),
        (33, {"reasoning_tokens": 0}, 14),
        (33, {}, 14),
        (28, {"reasoning_tokens": 300}, 309),
        (33, None, 14),
        (10, None, 9),
        (None, None, 9),
        (10**30, None, 9),
        (-1, {"reasoning_tokens": 5}, 9),
    ],
)
def test_reasoning_outside_the_completion_is_told_by_the_total(
    total: int | None, details: dict[str, int] | None, output: int
) -> None:
    raw = {
        "prompt_tokens": 19,
        "completion_tokens": 9,
        "total_tokens": total,
        "completion_tokens_details": details,
    }

    assert openai_usage(raw).output == output


@pytest.mark.parametrize(
    ("told", "buckets"),
    [
        ({"completion_tokens": 20, "total_tokens": 120}, (100, 0, 20)),
        ({"prompt_tokens": 0, "completion_tokens": 20, "total_tokens": 120, "cached_tokens": 40}, (60, 40, 20)),
        ({"completion_tokens": 20, "total_tokens": 50, "reasoning_tokens": 30}, (0, 0, 50)),
        ({"completion_tokens": 20, "total_tokens": 160, "reasoning_tokens": 30}, (110, 0, 50)),
        ({"prompt_tokens": 0, "completion_tokens": 20, "total_tokens": 20}, (0, 0, 20)),
        ({"total_tokens": 120}, (0, 0, 0)),
    ],
)
def test_an_input_that_only_the_total_tells_of_is_no_reasoning(
    told: dict[str, int], buckets: tuple[int, int, int]
) -> None:
    usage = openai_usage(told)
    assert (usage.uncached_input, usage.cache_read, usage.output) == buckets


def test_the_raw_usage_is_kept_for_the_receipt() -> None:
    raw = {
        "prompt_tokens": 19,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 4},
        "tier": None,
    }

    assert openai_usage(raw).raw == raw


@pytest.mark.parametrize("read", [openai_usage, anthropic_usage])
def test_the_raw_usage_that_is_kept_is_small_and_plain(read: Any) -> None:
    raw = {
        f"name{number}\ud800": {"text\0": "x" * 10_000, "huge": 10**400, "far": float("inf"), "list": [1]}
        for number in range(1000)
    }

    kept = json.dumps(read(raw).raw, allow_nan=False)

    kept.encode()
    assert len(kept) < 2 * RAW_CHARACTERS
    assert "\\u0000" not in kept


@pytest.mark.parametrize("read", [openai_usage, anthropic_usage])
def test_no_figures_are_no_usage(read: Any) -> None:
    assert read({}) == TokenUsage()
