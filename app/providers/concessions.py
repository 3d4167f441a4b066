"""What a host's refusals teach: fields that it does not read, models that don't think beside tools, lost signatures."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from app.providers.base import Prompt, WirePrompt
from app.providers.errors import told_in
from app.providers.usage import mapping

UNKNOWN_FIELD = re.compile(r"unsupported|unrecognized|unknown|extra|not (supported|permitted|allowed)", re.IGNORECASE)
NEEDLESS = (
    "user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
    "verbosity",
)  # fmt: skip
"""Fields without which the answer is the same, or nearly."""

NO_EFFORT = re.compile(r"Function tools with reasoning_effort are not supported")
"""OpenAI's models from GPT-5.4 on, in chat completions: they think beside tools in responses alone."""

NO_SIGNATURE = re.compile(
    r"(Unable to submit request because f|F)unction call .{0,200}is missing a `?thought_signature", re.DOTALL
)
LOST_SIGNATURE = {"google": {"thought_signature": "skip_thought_signature_validator"}}
"""What Google has sent with a call whose signature is lost: Gemini from 3 on refuses calls without one."""

NO_THOUGHTS = re.compile(
    r"(The|Missing|thinking is enabled but|preserved thinking \S+ requires) `?reasoning_content`? "
    r"(in the thinking mode must|field in|is missing|on every)"
)
LOST_THOUGHTS = " "
"""DeepSeek and Kimi refuse to go on from answers without their thinking, which other formats lose. Nothing is none."""

NO_ANSWER = re.compile(r"Unexpected role 'user' after role 'tool'")
"""Mistral wants an answer after the results of tools, which others go on from with what the user says beside them."""

ANSWER = {"role": "assistant", "content": "OK."}
OF_MODELS = (NO_EFFORT, NO_SIGNATURE, NO_THOUGHTS, NO_ANSWER)
"""How a refusal begins: behind that it may repeat what somebody sent, who is to teach nothing."""


class Concessions:
    """Of one address, for all of its calls in this process."""

    def __init__(self) -> None:
        self._unread = set[str]()
        self._models: dict[re.Pattern[str], set[str]] = {known: set() for known in OF_MODELS}

    def learn(self, told: str, body: object, prompt: Prompt) -> bool:
        """Whether a refusal says something new, so that the same request may pass now."""
        said, fields = str(told_in(body).get("message")), set[str]()
        if UNKNOWN_FIELD.search(told) and isinstance(prompt, WirePrompt):
            fields = {name for name in NEEDLESS if name in prompt.body and re.search(f"['\"`]{name}['\"`]", told)}
        fresh = [models for known, models in self._models.items() if prompt.model not in models and known.match(said)]
        for models in fresh:
            models.add(prompt.model)
        is_new = bool(fresh or fields - self._unread)
        self._unread |= fields
        return is_new

    def applied(self, body: dict[str, Any], prompt: Prompt) -> dict[str, Any]:
        """The request without what would be refused. An effort stays where it was asked for in this very format."""
        body = {name: value for name, value in body.items() if name not in self._unread}
        is_asked = body.get("reasoning_effort") is not None and not prompt.messages
        if prompt.model in self._models[NO_EFFORT] and body.get("tools") and not is_asked:
            body["reasoning_effort"] = "none"
        if prompt.model in self._models[NO_SIGNATURE]:
            body["messages"] = list(map(signed, body["messages"]))
        if prompt.model in self._models[NO_THOUGHTS]:
            body["messages"] = list(map(thoughtful, body["messages"]))
        if prompt.model in self._models[NO_ANSWER]:
            body["messages"] = list(answered(body["messages"]))
        return body


def signed(message: dict[str, Any]) -> dict[str, Any]:
    """The first of a turn's calls bears the signature of them all."""
    calls = message.get("tool_calls") or ()
    if not calls or any(mapping(call).get("extra_content") for call in calls):
        return message
    return {**message, "tool_calls": [{**mapping(calls[0]), "extra_content": LOST_SIGNATURE}, *calls[1:]]}


def answered(messages: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each message, with an answer between the results of tools and what the user says."""
    before = None
    for message in messages:
        if (before, message.get("role")) == ("tool", "user"):
            yield ANSWER
        before = message.get("role")
        yield message


def thoughtful(message: dict[str, Any]) -> dict[str, Any]:
    if message.get("role") != "assistant":
        return message
    return {**message, "reasoning_content": message.get("reasoning_content") or LOST_THOUGHTS}
