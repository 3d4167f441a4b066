"""Every seeded model against two lists by other people, and against a snapshot of its prices."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.catalog.price_source import listed_models, listed_providers
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import ModelPrice
from app.models.catalog.price_schedule import in_force
from tests.prices import snapshot
from tests.prices.second_source import KEPT, NAMES
from tests.prices.test_cost import OURS, our_model

SEEN = datetime(2026, 11, 28, 12, tzinfo=UTC)
"""A Saturday: usual prices, no peaks."""

PEAK = datetime(2026, 11, 27, 2, tzinfo=UTC)
SECOND: dict[str, dict[str, dict[str, Any]]] = json.loads(KEPT.read_text())
WRITING = [listed for listed in listed_models() if not (listed.get("makes_images") or listed.get("is_embedding"))]
LISTED = {listed["name"]: listed for listed in WRITING if listed["provider"] in NAMES}
RETIRED = {name for name, listed in LISTED.items() if listed.get("is_for_sale") is False}
KNOWN_BY_ONE = {"claude-fable-5-2"}
"""Newer than the other two lists."""

DISAGREEMENTS = {
    ("mistral-large-4", "litellm", "max_output"),  # the whole window there
    ("gpt-4.1", "llmgateway", "window"), ("gpt-4.1-mini", "llmgateway", "window"),  # rounded there
    ("deepseek-flash", "llmgateway", "window"), ("deepseek-v4-pro", "llmgateway", "window"),  # the lower one is ours
    ("gemini-4-argon", "litellm", "max_output"),  # the whole window there
    ("gemini-2.5-pro", "llmgateway", "max_output"), ("gemini-2.5-pro", "litellm", "max_output"),  # 65535 or 65536
    ("glm-5.3-flash", "llmgateway", "max_output"),  # the lower one is ours
    ("gemini-2.5-pro", "llmgateway", "ends"),  # there the day on which its sale ended at that shop
    ("claude-sonnet-4-5", "llmgateway", "ends"), ("gemini-3.1-flash-lite", "llmgateway", "ends"),
    ("gpt-4.1", "llmgateway", "ends"), ("gpt-4.1-mini", "llmgateway", "ends"), ("gpt-4o", "llmgateway", "ends"),
    ("gpt-4o-mini", "llmgateway", "ends"),  # one of the two names a day
    ("gpt-5-mini", "litellm", "ends"),  # a day later there
}  # fmt: skip


def price_of(name: str, at: datetime) -> ModelPrice:
    price = in_force((OURS.get(name) or our_model(LISTED[name])).prices, at)
    assert price is not None
    return price


def ours(name: str) -> dict[str, Any]:
    """Our figures under the second source's names; limits of the input are the window's where there is no other."""
    usual, peak, listed = price_of(name, SEEN), price_of(name, PEAK), LISTED[name]
    ends = listed.get("sold_until")
    return {
        "input": usual.uncached_input_nanos, "output": usual.output_nanos, "cache_read": usual.cache_read_nanos,
        "peak_output": peak.output_nanos if peak.schedule.weekdays == "12345" else None,
        "window": listed["context_window"], "max_input": listed.get("max_input_tokens", listed["context_window"]),
        "max_output": listed["max_output_tokens"], "ends": f"{ends:%Y-%m-%d}" if ends else None,
    }  # fmt: skip


def theirs(column: str, figure: Any) -> Any:
    is_price = column in {"input", "output", "cache_read", "peak_output"}
    return int(Decimal(figure) * 10**9) if is_price and figure is not None else figure


@pytest.mark.parametrize("name", sorted(set(LISTED) - RETIRED))
def test_a_model_on_sale_is_what_the_other_lists_say(name: str) -> None:
    differing = {
        (name, source, column)
        for source, row in SECOND[name].items()
        for column, figure in row.items()
        if theirs(column, figure) != ours(name)[column] and not (figure is None and column != "ends")
    }

    assert differing == {known for known in DISAGREEMENTS if known[0] == name}
    assert bool(SECOND[name]) != (name in KNOWN_BY_ONE)


def test_the_prices_are_those_of_the_snapshot() -> None:
    """Where a release of genai-prices changes them, read the diff of `python -m tests.prices.snapshot`."""
    assert snapshot.text() == snapshot.KEPT.read_text()


def test_a_founder_finds_the_newest_of_nine_makers_each_at_its_provider() -> None:
    newest = {
        "OpenAI": "gpt-6.1-sol", "Anthropic": "claude-fable-5-2", "Google": "gemini-4-argon",
        "DeepSeek": "deepseek-flash", "xAI": "grok-4.7", "Mistral": "mistral-large-4",
        "Moonshot": "kimi-k3.1-pro", "Qwen": "qwen3.8-max", "Z.ai": "glm-5.3",
    }  # fmt: skip
    providers = {listed["name"]: listed for listed in listed_providers()}

    assert {maker: LISTED[model]["provider"] for maker, model in newest.items()} == {maker: maker for maker in newest}
    assert all(providers[maker]["key_variable"].endswith("_API_KEY") for maker in newest)


def test_input_and_output_limits_are_two_figures() -> None:
    model = AIModel(context_window=1_050_000, max_input_tokens=922_000)

    assert [model.input_limit(most) for most in (4_096, 128_000, 200_000)] == [922_000, 922_000, 850_000]
    assert AIModel(context_window=200_000).input_limit(4_096) == 195_904


def test_a_model_that_ends_names_one_that_does_not() -> None:
    ends = {name: listed for name, listed in LISTED.items() if "sold_until" in listed}

    assert set(ends) >= RETIRED
    assert all("sold_until" not in LISTED[listed["successor"]] for listed in ends.values())
