"""From the usage that a vendor reports to our disjoint buckets; what cannot be true is not believed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from app.providers.base import TokenUsage

MOST_TOKENS = 1_000_000_000
MOST_SEARCHES = 1_000
RAW_CHARACTERS = 4_000

Raw = Mapping[str, Any]


class _Unbelievable(Exception):
    """A figure that no call can have."""


def openai_usage(raw: Raw) -> TokenUsage:
    """Chat completions: cached and written tokens are inside `prompt_tokens`, reasoning inside `completion_tokens`.

    Some who speak this format (xAI, Gemini) leave reasoning out of it: there the total is larger than the two.
    DeepSeek and Moonshot name the cached tokens otherwise.
    """
    try:
        prompt, completion = count(raw.get("prompt_tokens")), count(raw.get("completion_tokens"))
    except _Unbelievable:
        return TokenUsage(raw=bounded(raw))
    details = mapping(raw.get("prompt_tokens_details"))
    cached = first_of(
        details.get("cached_tokens"), raw.get("prompt_cache_hit_tokens"), raw.get("cached_tokens")
    )
    cache_read = part(cached, prompt)
    cache_write = part(details.get("cache_write_tokens"), prompt - cache_read)
    return reported(
        raw,
        uncached_input=prompt - cache_read - cache_write,
        cache_read=cache_read,
        cache_write_5m=cache_write,
        output=completion + reasoning_outside(raw, prompt + completion),
    )


def reasoning_outside(raw: Raw, known: int) -> int:
    """Reasoning that `completion_tokens` leaves out: the surplus of the total, where the details do not deny it."""
    surplus = part(raw.get("total_tokens"), MOST_TOKENS) - known
    if surplus <= 0:
        return 0
    if raw.get("completion_tokens_details") is None:
        return surplus
    details = mapping(raw["completion_tokens_details"])
    return surplus if part(details.get("reasoning_tokens"), surplus + 1) == surplus else 0


def anthropic_usage(raw: Raw) -> TokenUsage:
    """Messages: `input_tokens` leaves the cache out; writes are in sum and split by how long they are kept."""
    split = mapping(raw.get("cache_creation"))
    try:
        hour, minutes = (count(split.get(f"ephemeral_{kept}_input_tokens")) for kept in ("1h", "5m"))
        written = raw.get("cache_creation_input_tokens")
        writes = hour + minutes if written is None else count(written)
        uncached, cache_read = count(raw.get("input_tokens")), count(raw.get("cache_read_input_tokens"))
        output = count(raw.get("output_tokens"))
    except _Unbelievable:
        return TokenUsage(raw=bounded(raw))
    hour = min(hour, writes)
    return reported(
        raw,
        uncached_input=uncached,
        cache_read=cache_read,
        cache_write_5m=writes - hour,
        cache_write_1h=hour,
        output=output,
        searches=part(mapping(raw.get("server_tool_use")).get("web_search_requests"), MOST_SEARCHES),
    )


def reported(raw: Raw, **buckets: int) -> TokenUsage:
    """Nothing but zeros is no report."""
    return TokenUsage(**buckets, source="reported" if any(buckets.values()) else "none", raw=bounded(raw))


def count(figure: object) -> int:
    """A figure as a number of tokens; a missing one is zero."""
    if figure is None:
        return 0
    if isinstance(figure, float) and math.isfinite(figure) and figure == int(figure):
        figure = int(figure)
    if isinstance(figure, bool) or not isinstance(figure, int) or not 0 <= figure <= MOST_TOKENS:
        raise _Unbelievable
    return figure


def part(figure: object, whole: int) -> int:
    """A figure that is a part of another: never negative, never more than that, zero where it makes no sense."""
    try:
        return min(count(figure), whole)
    except _Unbelievable:
        return 0


def first_of(*figures: object) -> object:
    return next((figure for figure in figures if figure is not None), None)


def mapping(value: object) -> Raw:
    return value if isinstance(value, Mapping) else {}


def bounded(raw: Raw) -> dict[str, Any]:
    """The raw usage to keep with the receipt: plain JSON of a limited size, which any database can hold."""
    kept: dict[str, Any] = {}
    room = RAW_CHARACTERS
    for name, value in raw.items():
        plain = value if isinstance(value, Mapping) else {"": value}
        figures = {
            clean(key): clean(figure)
            for key, figure in plain.items()
            if not isinstance(figure, Mapping | list)
        }
        room -= len(str(name)) + len(str(figures))
        if room < 0:
            break
        if figures:
            kept[str(clean(name))] = figures if isinstance(value, Mapping) else figures[""]
    return kept


def clean(figure: object) -> Any:
    """A number, flag or null as it is, anything else as a short text."""
    if figure is None or isinstance(figure, bool):
        return figure
    if isinstance(figure, int) and abs(figure) < 2**53:
        return figure
    if isinstance(figure, float) and math.isfinite(figure):
        return figure
    text = f"{figure:.4g}" if isinstance(figure, float) else str(figure)
    return text[:64].encode("utf-8", "replace").decode().replace("\0", "")
