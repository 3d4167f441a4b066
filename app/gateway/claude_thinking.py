"""How Claude is asked to think: by an effort; older models, and others who speak its format, by a budget of tokens."""

import re
from collections.abc import Mapping
from typing import Any

from app.providers.usage import mapping

Fields = dict[str, Any]
BUDGETS = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 32_768, "max": 65_536}
EFFORTS = {"none": "low", "minimal": "low"} | {name: name for name in ("low", "medium", "high", "xhigh", "max")}
BY_EFFORT = re.compile(r"claude-(mythos-preview|[a-z]+-(4[-.][6-9]\b|[5-9]\b|[1-9]\d\b))")
"""Those that decide by themselves how long to think: they refuse a budget, and a temperature or `top_p`."""


def thinks_by_effort(name: str) -> bool:
    return BY_EFFORT.search(name) is not None


def thinking_of(body: Mapping[str, Any], name: str) -> Fields:
    """The effort that is asked for as OpenAI or OpenRouter has it; thinking and a forced tool exclude each other."""
    asked = str(body.get("reasoning_effort") or mapping(body.get("reasoning")).get("effort"))
    is_forced = body.get("tool_choice") not in (None, "auto", "none")
    if thinks_by_effort(name):
        effort: Fields = {"output_config": {"effort": EFFORTS[asked]}} if asked in EFFORTS else {}
        thinks = effort and asked != "none" and not is_forced
        return effort | ({"thinking": {"type": "adaptive", "display": "summarized"}} if thinks else {})
    if is_forced or asked not in BUDGETS or lacks_thoughts(body):
        return {}
    return {"thinking": {"type": "enabled", "budget_tokens": BUDGETS[asked]}, "temperature": 1}


def lacks_thoughts(body: Mapping[str, Any]) -> bool:
    """Whether the latest calls come without the thoughts before them: Claude goes on from those without thinking."""
    answers = [message for message in body["messages"] if message.get("role") == "assistant"]
    return bool(answers and answers[-1].get("tool_calls") and not answers[-1].get("thinking_blocks"))
