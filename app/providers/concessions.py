"""What a host's refusals teach: fields that it does not read, models that don't think beside tools, lost signatures."""

import re
from collections.abc import Iterator
from typing import Any

from app.providers.base import Prompt, WirePrompt
from app.providers.usage import mapping

UNKNOWN_FIELD = re.compile(r"unsupported|unrecognized|unknown|extra|not (supported|permitted|allowed)", re.IGNORECASE)
NEEDLESS = (
    "user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
    "verbosity",
)  # fmt: skip
"""Fields without which the answer is the same, or nearly."""

NO_EFFORT = re.compile(r"tools with reasoning_effort are not supported", re.IGNORECASE)
"""OpenAI's models from GPT-5.4 on, in chat completions: they think beside tools in responses alone."""

NO_SIGNATURE = re.compile(r"missing a `?thought_signature", re.IGNORECASE)
UNKNOWN_THOUGHT = {"google": {"thought_signature": "skip_thought_signature_validator"}}
"""What Google has sent with a call whose signature is lost: Gemini from 3 on refuses calls without one."""


class Concessions:
    """Of one address, for all of its calls in this process."""

    def __init__(self) -> None:
        self._unread, self._thoughtless, self._signed = set[str](), set[str](), set[str]()

    def learn(self, told: str, prompt: Prompt) -> bool:
        """Whether a refusal says something new, so that the same request may pass now."""
        known = len(self._unread), len(self._thoughtless), len(self._signed)
        if UNKNOWN_FIELD.search(told) and isinstance(prompt, WirePrompt):
            self._unread |= {
                name for name in NEEDLESS if name in prompt.body and re.search(f"['\"`]{name}['\"`]", told)
            }
        if NO_EFFORT.search(told):
            self._thoughtless |= {prompt.model}
        if NO_SIGNATURE.search(told):
            self._signed |= {prompt.model}
        return known != (len(self._unread), len(self._thoughtless), len(self._signed))

    def applied(self, body: dict[str, Any], prompt: Prompt) -> dict[str, Any]:
        """The request without what would be refused. An effort stays where it was asked for in this very format."""
        body = {name: value for name, value in body.items() if name not in self._unread}
        is_asked = body.get("reasoning_effort") is not None and not prompt.messages
        if prompt.model in self._thoughtless and body.get("tools") and not is_asked:
            body["reasoning_effort"] = "none"
        if prompt.model in self._signed:
            body["messages"] = list(signed(body["messages"]))
        return body


def signed(messages: list[Any]) -> Iterator[Any]:
    """The first of a turn's calls bears the signature of them all."""
    for message in messages:
        calls = mapping(message).get("tool_calls") or ()
        if not calls or any(mapping(call).get("extra_content") for call in calls):
            yield message
            continue
        first = {**mapping(calls[0]), "extra_content": UNKNOWN_THOUGHT}
        yield {**message, "tool_calls": [first, *calls[1:]]}
