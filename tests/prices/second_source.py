"""What two other price lists say of the seeded models, cut out of their packages into `second_source.json`.

    python -m tests.prices.second_source models.json model_prices_and_context_window_backup.json

The first is the array `models` of npm's @llmgateway/models 1.324.0 as JSON, the second is in litellm 1.110.2's wheel.
Dollars per million tokens, as text; a list that does not know a model is not there.
"""

import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.catalog.price_source import listed_models

KEPT = Path(__file__).with_name("second_source.json")
NAMES = {
    "OpenAI": ("openai", ""), "Anthropic": ("anthropic", ""), "Google": ("google-ai-studio", "gemini/"),
    "DeepSeek": ("deepseek", "deepseek/"), "xAI": ("xai", "xai/"), "Mistral": ("mistral", "mistral/"),
    "Moonshot": ("moonshot", "moonshot/"), "Qwen": ("alibaba", "dashscope/"), "Z.ai": ("zai", "zai/"),
}  # fmt: skip
"""Our provider -> its id at llmgateway, and its prefix at litellm."""


def million(price: Any) -> str | None:
    return None if price is None else f"{(Decimal(str(price)) * 10**6).normalize():f}"


def of_llmgateway(models: list[dict[str, Any]], provider: str, name: str) -> dict[str, Any] | None:
    for model in models:
        for sold in model["providers"]:
            if sold["providerId"] == NAMES[provider][0] and sold["externalId"] == name and sold["inputPrice"] != "0":
                peak = sold.get("peakPricing", {}).get("peak", {})
                usual = sold.get("peakPricing", {}).get("offPeak", sold)
                return {
                    "input": million(usual["inputPrice"]), "output": million(usual["outputPrice"]),
                    "cache_read": million(usual.get("cachedInputPrice")),
                    "peak_output": million(peak.get("outputPrice")),
                    "window": sold.get("contextSize"), "max_output": sold.get("maxOutput"),
                    "ends": (sold.get("deactivatedAt") or "")[:10] or None,
                }  # fmt: skip
    return None


def of_litellm(prices: dict[str, Any], provider: str, name: str) -> dict[str, Any] | None:
    row = prices.get(NAMES[provider][1] + name) or prices.get(name)
    if row is None:
        return None
    usual = row.get("off_peak_pricing", row)
    return {
        "input": million(usual["input_cost_per_token"]), "output": million(usual.get("output_cost_per_token")),
        "cache_read": million(usual.get("cache_read_input_token_cost")),
        "peak_output": million(row["output_cost_per_token"]) if usual is not row else None,
        "max_input": row.get("max_input_tokens"), "max_output": row.get("max_output_tokens"),
        "ends": row.get("deprecation_date"),
    }  # fmt: skip


def rows(models: list[dict[str, Any]], prices: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for listed in listed_models():
        if listed["provider"] in NAMES:
            both = {
                "llmgateway": of_llmgateway(models, listed["provider"], listed["name"]),
                "litellm": of_litellm(prices, listed["provider"], listed["name"]),
            }
            yield listed["name"], {source: row for source, row in both.items() if row}


if __name__ == "__main__":
    first, second = (json.loads(Path(argument).read_text()) for argument in sys.argv[1:3])
    lines = (f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in rows(first, second))
    KEPT.write_text("{\n" + ",\n".join(lines) + "\n}\n")
