"""Where vendors put what they report of a call: beside the choices, inside one, under their own key, in headers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from app.providers.base import Evidence
from app.providers.usage import MOST_TOKENS, Raw, is_believable, mapping, part

HEADERS = ("fireworks-prompt-tokens", "fireworks-cached-prompt-tokens", "x-prompt-tokens")
COST_HEADER = "x-litellm-response-cost"
TICKS_PER_DOLLAR = 10**10
NANOS_PER_DOLLAR = 10**9
MOST_DOLLARS = 100_000
UNPRICED = (
    ("num_sources_used",),
    ("server_tool_use", "web_fetch_requests"),
    ("server_tool_use", "code_execution_requests"),
    ("server_side_tool_usage_details", "x_search_calls"),
    ("server_side_tool_usage_details", "code_interpreter_calls"),
    ("server_side_tool_usage_details", "document_search_calls"),
)
"""What some vendors bill by the piece, and no price row has a column for."""


def reports_in(event: Mapping[str, Any]) -> Iterator[Raw]:
    """Every usage that an event of OpenAI's format carries.

    At the top (most), in a choice (Moonshot), under a vendor's key (Groq's `x_groq`), as `timings` (llama.cpp).
    """
    choices = event.get("choices")
    within = [mapping(choice) for choice in choices] if isinstance(choices, list) else []
    own = [value for value in event.values() if isinstance(value, Mapping)]
    for holder in (event, *within, *own):
        usage = holder.get("usage")
        if isinstance(usage, Mapping):
            yield usage
    if timings := mapping(event.get("timings")):
        yield {"timings": timings}


def report_in_headers(headers: Mapping[str, str]) -> Raw:
    """The figures that come before the stream: Fireworks', Text Generation Inference's, LiteLLM's cost."""
    figures: dict[str, Any] = {
        name: int(headers[name]) for name in HEADERS if headers.get(name, "").isdecimal()
    }
    if cost := dollars(headers.get(COST_HEADER)):
        figures[COST_HEADER] = str(cost)
    return {"headers": figures} if figures else {}


def joined(known: Raw, fresh: Raw) -> dict[str, Any]:
    """Two reports of one call. Figures are cumulative: a later zero or a smaller one does not wipe an earlier one."""
    whole = dict(known)
    for name, figure in fresh.items():
        earlier = whole.get(name)
        if isinstance(earlier, Mapping) and isinstance(figure, Mapping):
            whole[name] = joined(earlier, figure)
        elif figure is None or (isinstance(earlier, Mapping) and not figure):
            continue
        elif not (is_believable(earlier) and is_believable(figure) and figure < earlier):
            whole[name] = figure
    return whole


def evidence(raw: Raw, *, model: object, tier: object) -> Evidence:
    """What stands beside the tokens: who answered, at which tier, what the vendor says that it billed."""
    return Evidence(
        model=short(model),
        service_tier=short(tier) or short(raw.get("service_tier")),
        cost_nanos=billed_nanos(raw),
        unpriced=sum(pieces(raw, path) for path in UNPRICED),
    )


def short(name: object) -> str | None:
    """A name that a vendor sent, as any database can hold it."""
    if not isinstance(name, str):
        return None
    return name[:120].encode("utf-8", "replace").decode().replace("\0", "").strip() or None


def pieces(raw: Raw, path: tuple[str, ...]) -> int:
    *outer, name = path
    holder = raw
    for key in outer:
        holder = mapping(holder.get(key))
    return part(holder.get(name), MOST_TOKENS)


def billed_nanos(raw: Raw) -> int | None:
    """What was billed, in nano-dollars, where the vendor says so; None where it does not.

    OpenRouter's `cost` is its own share alone where the key is the founder's at the vendor's.
    """
    cost = raw.get("cost")
    total = cost.get("total_cost") if isinstance(cost, Mapping) else cost
    billed: Decimal | None = dollars(total)
    if raw.get("is_byok") is True:
        upstream = dollars(mapping(raw.get("cost_details")).get("upstream_inference_cost"))
        billed = (billed or Decimal()) + (upstream or Decimal())
    if billed is None:
        billed = dollars(raw.get("cost_in_usd_ticks"), per_dollar=TICKS_PER_DOLLAR)
    for other in (raw.get("estimated_cost"), mapping(raw.get("headers")).get(COST_HEADER)):
        billed = dollars(other) if billed is None else billed
    return None if billed is None else int((billed * NANOS_PER_DOLLAR).to_integral_value())


def dollars(figure: object, *, per_dollar: int = 1) -> Decimal | None:
    """An amount in dollars; None where it cannot be one."""
    if isinstance(figure, bool) or not isinstance(figure, int | float | str):
        return None
    try:
        amount = Decimal(str(figure)) / per_dollar
    except ArithmeticError:
        return None
    return amount if amount.is_finite() and 0 <= amount <= MOST_DOLLARS else None
