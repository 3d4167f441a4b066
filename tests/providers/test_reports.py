"""What vendors report of a call: found wherever it stands, joined so that no figure falls."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers.openai_choices import thinking_of
from app.providers.reports import (
    RunningFigures,
    billed_nanos,
    evidence,
    joined,
    report_in_headers,
    reports_in,
)
from app.providers.usage import openai_usage

USAGE = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
figures = st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens"]), st.integers(0, 10**6)
)


def buckets(raw: dict[str, Any]) -> tuple[int, ...]:
    usage = openai_usage(raw)
    return usage.uncached_input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.output


@pytest.mark.parametrize(
    "event",
    [
        {"choices": [], "usage": USAGE},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]},
        {"choices": [{"index": 0, "delta": {}}], "x_groq": {"id": "req_1", "usage": USAGE}},
        {"error": {"message": "overloaded", "code": 502}, "usage": USAGE},
        {"choices": [], "timings": {"cache_n": 40, "prompt_n": 60, "predicted_n": 7, "predicted_ms": 12.5}},
        {"choices": [{"index": 0, "delta": {"content": "", "usage": USAGE}}]},
        {"choices": [{"index": 0, "message": {"role": "assistant", "usage": USAGE}}]},
        {"x_vendor": {"data": [{"usage": USAGE}]}},
        {
            "delta": {
                "usage": {
                    "billed_units": {"input_tokens": 100, "output_tokens": 7},
                    "tokens": {"input_tokens": 170},
                }
            }
        },
        {
            "usageMetadata": {
                "promptTokenCount": 100,
                "candidatesTokenCount": 3,
                "thoughtsTokenCount": 4,
                "totalTokenCount": 107,
            }
        },
        {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 100, "outputTokenCount": 7}},
        {"x_nanogpt_pricing": {"inputTokens": 100, "outputTokens": 7, "costUsd": 0.001}},
        {"done": True, "prompt_eval_count": 100, "eval_count": 7},
    ],
)
def test_a_report_is_found_wherever_it_stands(event: dict[str, Any]) -> None:
    raw: dict[str, Any] = {}
    for report in reports_in(event):
        raw = joined(raw, report)

    assert (openai_usage(raw).input_tokens, openai_usage(raw).output) == (100, 7)


def test_headers_say_what_of_the_prompt_was_cached() -> None:
    headers = {"fireworks-prompt-tokens": "100", "fireworks-cached-prompt-tokens": "64", "x-other": "5"}

    assert buckets(joined(report_in_headers(headers), USAGE)) == (36, 64, 0, 0, 7)


@settings(max_examples=40)
@given(reports=st.lists(figures, min_size=1))
def test_no_figure_falls_in_whatever_order_they_come(reports: list[dict[str, int]]) -> None:
    raw: dict[str, Any] = {}
    for report in reports:
        raw = joined(raw, report)

    for name in raw:
        assert raw[name] == max(report[name] for report in reports if name in report)


@settings(max_examples=30)
@given(tokens=st.integers(3, 400), stalls=st.lists(st.booleans(), min_size=400, max_size=400))
def test_figures_that_grow_are_never_added_up(tokens: int, stalls: list[bool]) -> None:
    running, figure = RunningFigures(), 0
    for stands_still in stalls[:tokens]:
        figure += not stands_still
        running.add({"completion_tokens": figure}, " word")

    assert running.applied_to({"completion_tokens": figure})["completion_tokens"] == figure


@settings(max_examples=60)
@given(figures=st.lists(st.integers(1, 3), min_size=3, max_size=200), whole=st.booleans())
def test_figures_of_each_piece_are_added_up_unless_the_sum_was_told(figures: list[int], whole: bool) -> None:
    running = RunningFigures()
    for figure in figures:
        running.add({"completion_tokens": figure}, "abcd" * figure)
    largest, counted = sum(figures) if whole else max(figures), sum(figures)

    told = running.applied_to({"completion_tokens": largest})["completion_tokens"]

    is_growing = figures == sorted(figures) and len(set(figures)) > 1
    assert told == (largest if is_growing or largest * 2 >= counted else counted)


@pytest.mark.parametrize("later", [None, {}, {"cached_tokens": 0}, {"cached_tokens": None}])
def test_an_empty_detail_wipes_nothing(later: Any) -> None:
    known = {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}

    assert joined(known, {"prompt_tokens_details": later}) == known


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"prompt_cache_hit_tokens": 64, "prompt_tokens_details": {"cached_tokens": 0}}, (36, 64, 0, 0, 7)),
        ({"cached_tokens": 0, "prompt_tokens_details": {"cached_tokens": 64}}, (36, 64, 0, 0, 7)),
        ({"num_cached_tokens": 64, "prompt_tokens_details": None}, (36, 64, 0, 0, 7)),
        ({"cache_read_input_tokens": 60, "cache_creation_input_tokens": 30}, (10, 60, 30, 0, 7)),
        ({"cache_read_input_tokens": 600, "cache_creation_input_tokens": 0}, (100, 600, 0, 0, 7)),
        (
            {"cache_read_input_tokens": 60, "cache_creation_input_tokens": 30, "total_tokens": 197},
            (100, 60, 30, 0, 7),
        ),
        ({"prompt_tokens_details": {"cached_tokens": 60, "cache_creation_tokens": 30}}, (10, 60, 30, 0, 7)),
        (
            {
                "cache_creation_input_tokens": 30,
                "prompt_tokens_details": {
                    "cache_creation_token_details": {
                        "ephemeral_5m_input_tokens": 10,
                        "ephemeral_1h_input_tokens": 20,
                    }
                },
            },
            (70, 0, 10, 20, 7),
        ),
        ({"reasoning_tokens": 500}, (100, 0, 0, 0, 507)),
        ({"completion_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1107}, (100, 0, 0, 0, 1007)),
        ({"citation_tokens": 900, "num_search_queries": 3}, (1000, 0, 0, 0, 7)),
        ({"total_tokens": 171, "prompt_tokens_details": {"cached_tokens": 64}}, (100, 64, 0, 0, 7)),
        ({"total_tokens": 171, "prompt_tokens_details": {"cache_write_tokens": 64}}, (100, 0, 64, 0, 7)),
        ({"total_tokens": 107, "prompt_tokens_details": {"cached_tokens": 64}}, (36, 64, 0, 0, 7)),
    ],
)
def test_a_zero_or_an_empty_detail_is_no_denial(raw: dict[str, Any], expected: tuple[int, ...]) -> None:
    assert buckets(USAGE | raw) == expected


def test_searches_are_counted_in_openai_s_format() -> None:
    assert openai_usage(USAGE | {"num_search_queries": 3}).searches == 3
    assert openai_usage(USAGE | {"server_tool_use": {"web_search_requests": 2}}).searches == 2
    assert openai_usage(USAGE | {"web_search_requests": 1}).searches == 1


@pytest.mark.parametrize(
    ("raw", "count"),
    [
        ({"num_search_queries": 3, "server_tool_use": {"web_search_requests": 2}}, 0),
        ({"server_tool_use": {"web_fetch_requests": 2, "web_search_requests": 9, "new_tool_requests": 1}}, 3),
        ({"server_side_tool_usage_details": {"x_search_calls": 4, "web_search_calls": 1}}, 4),
        ({"num_pages": 5, "generated_images": 2, "prompt_audio_seconds": 12}, 19),
        ({"completion_tokens_details": {"image_tokens": 1290, "text_tokens": 9}}, 1290),
        ({"prompt_tokens_details": {"image_tokens": 900, "audio_tokens": 30, "text_tokens": 9}}, 30),
        (
            {
                "queue_time": 0.5,
                "total_seconds": 3,
                "search_context_size": "low",
                "cost": {"request_cost": 5},
            },
            0,
        ),
        ({"num_sources_used": None, "some_calls": -1, "more_calls": "many", "other_calls": True}, 0),
    ],
)
def test_what_is_billed_by_the_piece_is_noticed_whatever_it_is(raw: dict[str, Any], count: int) -> None:
    assert evidence(USAGE | raw, model=None, tier=None).unpriced == count


def test_no_depth_of_an_event_breaks_its_reading() -> None:
    deep: Any = {"usage": USAGE}
    for _ in range(5_000):
        deep = [deep]

    assert list(reports_in({"choices": deep})) == []


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "Hm."},
        {"reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "H"}, {"type": "reasoning.s", "summary": "m."}]},
        {"thinking": "Hm."},
        {"reasoning_text": "Hm.", "reasoning_opaque": "abc"},
        {"content": "Hm.", "extra_content": {"google": {"thought": True}}},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text"}]},
        {"content": "Yes", "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "abc"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted"}, "odd", None], "reasoning_content": "Hm."},
    ],
)  # fmt: skip
def test_thinking_is_heard_by_each_vendors_name_for_it(delta: dict[str, Any]) -> None:
    assert thinking_of(delta) == "Hm."


@pytest.mark.parametrize(
    ("raw", "nanos"),
    [
        ({}, None),
        ({"cost": 0}, 0),
        ({"cost": 0.0001234567894}, 123_457),
        ({"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}}, 21_000_000),
        ({"cost": {"total_cost": 0.006, "request_cost": 0.005}}, 6_000_000),
        ({"cost_in_usd_ticks": 37_756_000_000}, 3_775_600_000),
        ({"estimated_cost": 1e-05}, 10_000),
        ({"headers": {"x-litellm-response-cost": "0.5"}}, 500_000_000),
        ({"cost": {"total": "0.006"}}, 6_000_000),
        ({"total_cost": 0.02}, 20_000_000),
        ({"cost": None, "cost_usd": 0.02}, 20_000_000),
        ({"amount": 0.5, "currency": "XNO", "costUsd": 0.0001}, 100_000),
        ({"cost": 0.5, "currency": "CNY"}, None),
        ({"cost": {"total_cost": 0.5, "currency": "EUR"}}, None),
        ({"cost": 0.5, "currency": "usd"}, 500_000_000),
        ({"cost": -1}, None),
        ({"cost": float("inf")}, None),
        ({"cost": "many"}, None),
        ({"cost": True}, None),
    ],
)
def test_a_reported_cost_is_read_in_nanos(raw: dict[str, Any], nanos: int | None) -> None:
    assert billed_nanos(raw) == nanos


def test_evidence_is_short_and_storable() -> None:
    told = evidence({"num_sources_used": 12, "service_tier": "flex"}, model="m\0" + "x" * 500, tier=7)

    assert told.model is not None
    assert len(told.model) < 121
    assert "\0" not in told.model
    assert (told.service_tier, told.unpriced) == ("flex", 12)
