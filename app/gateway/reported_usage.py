"""What a dialect reports at the end of a call: tokens as the vendor would count them, and the cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.models.base import credits_string
from app.providers.base import TokenUsage

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settled:
    """A call that ended well. `reported` is the provider's own usage in the dialect that it speaks; empty: none."""

    call_id: int
    cost_nanos: int
    usage: TokenUsage
    finish_reason: str | None = None
    reported: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cost(self) -> Event:
        """What no vendor reports."""
        cost = {"cost_nanos": self.cost_nanos, "cost_credits": credits_string(self.cost_nanos)}
        return cost | {"call_id": str(self.call_id)}

    @property
    def chat_usage(self) -> Event:
        usage = self.usage
        written = usage.cache_write_5m + usage.cache_write_1h
        return {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output,
            "total_tokens": usage.input_tokens + usage.output,
            "prompt_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": written},
        }

    @property
    def messages_usage(self) -> Event:
        usage = self.usage
        reasoning = min(reasoning_in(usage.raw), usage.output)
        return {
            "input_tokens": usage.uncached_input,
            "cache_read_input_tokens": usage.cache_read,
            "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
            "output_tokens": usage.output,
        } | ({"output_tokens_details": {"thinking_tokens": reasoning}} if reasoning else {})

    @property
    def responses_usage(self) -> Event:
        usage = self.usage
        written = usage.cache_write_5m + usage.cache_write_1h
        reasoning = reasoning_in(usage.raw)
        return {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": written},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": min(reasoning, usage.output)},
            "total_tokens": usage.input_tokens + usage.output,
        }


def reasoning_in(raw: Mapping[str, Any]) -> int:
    """The tokens of reasoning that a vendor tells apart; 0 where it does not."""
    names = ("completion_tokens_details", "output_tokens_details")
    details: Mapping[str, Any] = next((raw[name] for name in names if isinstance(raw.get(name), Mapping)), {})
    figure = details.get("reasoning_tokens", details.get("thinking_tokens"))
    return figure if isinstance(figure, int) and figure > 0 else 0
