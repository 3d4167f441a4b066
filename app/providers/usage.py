"""From the usage that a vendor reports to our disjoint buckets; what cannot be true is not believed."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.providers.base import Prompt, TokenUsage, estimate_tokens

MOST_TOKENS = 1_000_000_000
MOST_CREDIBLE_TOKENS = 10**8
MOST_SEARCHES = 1_000
RAW_CHARACTERS = 4_000
DEEPEST_NAME = 3

Raw = Mapping[str, Any]

PROMPT = (
    "prompt_tokens",
    "input_tokens",
    "billed_units.input_tokens",
    "promptTokenCount",
    "inputTokenCount",
    "inputTokens",
    "prompt_eval_count",
    "headers.fireworks-prompt-tokens",
    "headers.x-prompt-tokens",
)
COMPLETION = (
    "completion_tokens",
    "output_tokens",
    "billed_units.output_tokens",
    "candidatesTokenCount",
    "outputTokenCount",
    "outputTokens",
    "eval_count",
    "timings.predicted_n",
)
TOTAL = ("total_tokens", "totalTokenCount", "totalTokens")
INPUT_DETAILS = ("prompt_tokens_details", "prompt_token_details", "input_tokens_details")
CACHE_READ = (
    "prompt_cache_hit_tokens",
    "cached_tokens",
    "num_cached_tokens",
    "cache_read_input_tokens",
    "cache_read_tokens",
    "cachedContentTokenCount",
    "cacheReadInputTokenCount",
    "cacheReadInputTokens",
    "timings.cache_n",
    "headers.fireworks-cached-prompt-tokens",
    *(
        f"{details}.{name}"
        for details in INPUT_DETAILS
        for name in ("cached_tokens", "cache_read_input_tokens", "cache_read_tokens")
    ),
)
CACHE_WRITE = (
    "cache_creation_input_tokens",
    "cacheWriteInputTokens",
    "cache_write_tokens",
    "cache_creation_tokens",
    *(
        f"{details}.{name}"
        for details in INPUT_DETAILS
        for name in ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")
    ),
)
CACHE_WRITE_1H = tuple(
    f"{holder}.ephemeral_1h_input_tokens"
    for holder in (
        "cache_creation",
        "cache_creation_token_details",
        *(f"{details}.cache_creation" for details in INPUT_DETAILS),
        *(f"{details}.cache_creation_token_details" for details in INPUT_DETAILS),
    )
)
ANTHROPIC_CACHE = ("cache_read_input_tokens", "cache_creation_input_tokens")
REASONING = (
    "reasoning_tokens",
    "completion_tokens_details.reasoning_tokens",
    "output_tokens_details.reasoning_tokens",
)
SEARCHES = (
    "num_search_queries",
    "web_search_requests",
    "web_search_calls",
    "server_tool_use.web_search_requests",
    "server_side_tool_usage_details.web_search_calls",
)
"""The names by which vendors know one figure; a dot leads into a detail."""


class _Unbelievable(Exception):
    """A figure that no call can have."""


def openai_usage(raw: Raw) -> TokenUsage:
    """Chat completions: cached and written tokens are inside `prompt_tokens`, reasoning inside `completion_tokens`.

    Both have exceptions, which the sums give away. A zero beside another figure, or an empty detail, denies nothing.
    """
    figures = flat(raw)
    try:
        prompt, completion = most_of(figures, PROMPT), most_of(figures, COMPLETION)
        prompt = max(prompt, timed_prompt(mapping(raw.get("timings"))))
    except _Unbelievable:
        return TokenUsage(raw=bounded(raw))
    read, written, hour = (parts_of(figures, names) for names in (CACHE_READ, CACHE_WRITE, CACHE_WRITE_1H))
    prompt += cache_outside(figures, prompt, completion)
    prompt = prompt or input_in_total(figures, completion)
    read = min(read, prompt)
    written = min(max(written, hour), prompt - read)
    hour = min(hour, written)
    cited = part(raw.get("citation_tokens"), MOST_TOKENS)
    return reported(
        raw,
        uncached_input=prompt - read - written + cited,
        cache_read=read,
        cache_write_5m=written - hour,
        cache_write_1h=hour,
        output=completion + reasoning_outside(figures, prompt, completion, cited),
        searches=min(parts_of(figures, SEARCHES), MOST_SEARCHES),
    )


def timed_prompt(timings: Raw) -> int:
    """The prompt by llama.cpp's clock, which counts what was read anew and what was cached apart."""
    return part(timings.get("prompt_n"), MOST_TOKENS) + part(timings.get("cache_n"), MOST_TOKENS)


def cache_outside(figures: Raw, prompt: int, completion: int) -> int:
    """Cache figures that the prompt leaves out: the sum says so, or they are Anthropic's and larger than it."""
    cached = parts_of(figures, CACHE_READ) + parts_of(figures, CACHE_WRITE)
    if cached and parts_of(figures, TOTAL) == prompt + completion + cached:
        return cached
    beside = sum(part(figures.get(name), MOST_TOKENS) for name in ANTHROPIC_CACHE)
    is_own_format = "input_tokens" in figures and not {"prompt_tokens", "input_tokens_details"} & figures.keys()
    return beside if beside and (beside > prompt or is_own_format) else 0


def input_in_total(figures: Raw, completion: int) -> int:
    """The input that only the total tells of, beside the completion and reasoning outside of it; 0 where none does."""
    reasoning, rest = parts_of(figures, REASONING), parts_of(figures, TOTAL) - completion
    if not completion or rest == reasoning:
        return 0
    return max(0, rest - (reasoning if reasoning > completion else 0))


def reasoning_outside(figures: Raw, prompt: int, completion: int, cited: int) -> int:
    """Reasoning that `completion_tokens` leaves out: the surplus of the total, or more reasoning than completion.

    A total by itself tells nothing of either.
    """
    reasoning = parts_of(figures, REASONING)
    if not (prompt or completion or reasoning):
        return 0
    surplus = parts_of(figures, TOTAL) - prompt - completion
    surplus -= cited if surplus >= cited else 0
    return max(surplus, reasoning if reasoning > completion else 0, 0)


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
    """A figure that is a part of another: never negative, at most that, zero where it makes no sense."""
    try:
        return min(count(figure), whole)
    except _Unbelievable:
        return 0


def flat(raw: Raw, depth: int = DEEPEST_NAME) -> dict[str, Any]:
    """The report by dotted names, a detail's figures beside the detail."""
    figures = dict(raw)
    for name, value in raw.items():
        if depth > 1 and isinstance(value, dict):
            figures |= {f"{name}.{key}": figure for key, figure in flat(value, depth - 1).items()}
    return figures


def most_of(figures: Raw, names: tuple[str, ...]) -> int:
    """The largest of the figures by these names. Raises where one cannot be true."""
    return max([count(figures[name]) for name in names if name in figures], default=0)


def parts_of(figures: Raw, names: tuple[str, ...]) -> int:
    """The largest of the figures by these names that can be true."""
    return max([part(figures[name], MOST_TOKENS) for name in names if name in figures], default=0)


def is_believable(figure: Any) -> bool:
    """Whether it is a number that a report may have."""
    is_number = isinstance(figure, int | float) and not isinstance(figure, bool)
    return is_number and 0 <= figure <= MOST_TOKENS


def mapping(value: object) -> Raw:
    """The object that parsed JSON holds there, or an empty one."""
    return value if isinstance(value, dict) else {}


def bounded(raw: Raw) -> dict[str, Any]:
    """The raw usage to keep with the receipt: plain JSON of a limited size, which any database can hold."""
    kept: dict[str, Any] = {}
    room = RAW_CHARACTERS
    for name, value in raw.items():
        plain = value if isinstance(value, Mapping) else {"": value}
        figures = {clean(key): clean(figure) for key, figure in plain.items() if not isinstance(figure, Mapping | list)}
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


def credible(reported: TokenUsage) -> TokenUsage:
    """Of a report that no call can come to, only what it says."""
    is_true = reported.input_tokens + reported.output <= MOST_CREDIBLE_TOKENS
    return reported if is_true else TokenUsage(raw=reported.raw)


def estimated(prompt: Prompt, text: str, reported: TokenUsage, *, thinking: int = 0) -> TokenUsage:
    """The usage of a call, with what was not reported of it counted locally. billing-rules.md 5.

    No input, cached or not, is no report of the input: every call has some. The thinking that was streamed is output.
    """
    fresh = reported.uncached_input if reported.input_tokens else prompt.tokens
    output = reported.output or estimate_tokens(text, prompt.model) + thinking
    return replace(reported, uncached_input=fresh, output=output, source="estimated")
