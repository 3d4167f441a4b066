"""Why a call cost what it did: the part of its receipt that cost the most. Pure, from the receipt's own figures."""

from dataclasses import dataclass

from app.models.catalog.rates import INPUT_BUCKETS, Rates, half_up
from app.models.catalog.worth import BPS
from app.models.metering.usage import BUCKETS, Usage
from app.providers.base import TokenUsage

CACHED_FIRST = *INPUT_BUCKETS[1:], INPUT_BUCKETS[0]
"""What was said before stands at the beginning of a prompt, which is what a cache holds."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """`part` is "earlier" (the conversation before, sent again), "input" or "output"; of its tokens and its cost.

    `new_chat_nanos` is what the last message alone, with as long an answer, would have cost, where that is less.
    """

    part: str
    percent: int
    tokens: int
    new_chat_nanos: int | None = None


def explain(call: Usage) -> Explanation | None:
    """None where nothing was paid, or pieces cost the most: the receipt says how many."""
    rates = call.rates
    if not call.paid_nanos or not isinstance(rates, Rates):
        return None
    usage = TokenUsage(*(getattr(call, bucket) for bucket in BUCKETS))
    earlier = usage.input_tokens * call.earlier_bps // BPS
    tokens = {"earlier": earlier, "input": usage.input_tokens - earlier, "output": usage.output}
    costs = costs_of(usage, rates, earlier)
    part = max(costs, key=lambda name: costs[name])
    whole = max(1, sum(costs.values()))
    if part == "pieces":
        return None
    percent = (200 * costs[part] + whole) // (2 * whole)
    alone = cost_alone(call, usage, rates, tokens["input"]) if part == "earlier" else None
    return Explanation(part, percent, tokens[part], alone)


def costs_of(usage: TokenUsage, rates: Rates, earlier: int) -> dict[str, int]:
    """What each part cost, in millionths of a nano."""
    prices, again, left = rates.prices_for(usage.input_tokens), 0, earlier
    for bucket in CACHED_FIRST:
        taken = min(left, getattr(usage, bucket))
        again, left = again + taken * (prices[bucket] or 0), left - taken
    whole, output = rates.millionths_of(usage), usage.output * (prices["output"] or 0)
    pieces = (rates.cost_of(usage) - half_up(whole)) * 1_000_000
    return {"earlier": again, "input": whole - output - again, "output": output, "pieces": pieces}


def cost_alone(call: Usage, usage: TokenUsage, rates: Rates, fresh: int) -> int | None:
    """Nothing of it was in a cache. None where it would not have been less, and where the answer goes on."""
    alone = TokenUsage(uncached_input=fresh, output=usage.output, searches=usage.searches, images=usage.images)
    nanos = rates.cost_of(alone)
    return nanos if nanos < call.paid_nanos and call.continues_id is None else None
