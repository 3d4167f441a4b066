"""Answers as chat completions: chunks as they come, usage with its cost at the end, or one whole completion."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.gateway.reported_usage import Event, Settled
from app.providers.openai_choices import THINKING
from app.providers.usage import mapping

FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "filter": "content_filter",
}
"""Of Anthropic's stop reasons, and of our own."""


class ChatWriter:
    """Passes chunks on in their form; the model goes by its name here, the answer by its call's.

    Ollama draws ids from a thousand numbers, and LangGraph takes two messages of one id for one.
    """

    def __init__(self, model: str, call_id: int, *, wants_usage: bool) -> None:
        self.wants_usage = wants_usage
        self.reported: Event = {}
        self._has_finished = False
        self._frame = {
            "id": f"chatcmpl-{call_id}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }

    def feed(self, chunk: Event) -> Iterator[Event]:
        self._take_usage(chunk)
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
            return
        choice = choice_of(choices[0])
        self._has_finished = self._has_finished or choice["finish_reason"] is not None
        kept = {name: value for name, value in chunk.items() if name not in ("usage", "x_groq")}
        yield {**kept, **self._frame, "choices": [choice]}

    def _take_usage(self, chunk: Event) -> None:
        if isinstance(usage := chunk.get("usage"), dict):
            self.reported = usage

    def close(self, settled: Settled) -> Iterator[Event]:
        if not self._has_finished:
            reason = settled.finish_reason or "stop"
            end = {"index": 0, "delta": {}, "finish_reason": FINISHES.get(reason, reason)}
            yield {**self._frame, "choices": [end]}
        if self.wants_usage:
            yield {**self._frame, "choices": [], "usage": usage_of(self.reported, settled)}


def usage_of(reported: Mapping[str, Any], settled: Settled) -> Event:
    """The tokens that were charged; of a report that was believed the other figures too."""
    told = reported if settled.usage.source == "reported" else {}
    details = told.get("prompt_tokens_details")
    kept = {"prompt_tokens_details": details} if isinstance(details, Mapping) and details else {}
    return {**told, **settled.chat_usage, **kept, **settled.cost}


def choice_of(choice: Mapping[str, Any]) -> Event:
    kept = {name: value for name, value in choice.items() if name != "usage"}
    finish = choice.get("finish_reason") or None
    delta = mapping(choice.get("delta"))
    return {**kept, "index": choice.get("index") or 0, "delta": delta, "finish_reason": finish}


def whole_completion(chunks: Iterable[Event]) -> Event:
    """One completion out of all of its chunks."""
    message: Event = {"role": "assistant", "content": None, "refusal": None}
    whole: Event = {}
    end: Event = {"index": 0, "finish_reason": "stop", "logprobs": None}
    for chunk in chunks:
        whole = {**chunk, **{name: value for name, value in whole.items() if name != "usage"}}
        for choice in chunk["choices"]:
            merge(message, mapping(choice.get("delta")))
            end["finish_reason"] = choice.get("finish_reason") or end["finish_reason"]
            if isinstance(choice.get("logprobs"), Mapping):
                end["logprobs"] = merge(dict(end["logprobs"] or {}), choice["logprobs"])
    for name in ("tool_calls", "thinking_blocks"):
        message[name] = [without_index(item) for item in message.get(name) or ()] or None
    shown = {name: value for name, value in message.items() if name in ("content", "refusal") or value}
    return {**whole, "object": "chat.completion", "choices": [{**end, "message": shown}]}


def thought_in(delta: Mapping[str, Any]) -> str:
    """The thinking in a delta, by any vendor's name for it."""
    return next((delta[name] for name in THINKING if isinstance(delta.get(name), str) and delta[name]), "")


def without_index(item: Mapping[str, Any]) -> Event:
    return {name: value for name, value in item.items() if name != "index"}


LABELS = ("role", "type", "id", "format")
"""Texts that come whole, each time again: OpenRouter's `format` stands in every piece of a thought."""


def merge(whole: Event, delta: Mapping[str, Any]) -> Event:
    """Add a delta: texts are joined, numbered items of lists found by their number, other lists made longer."""
    for name, value in delta.items():
        known = whole.get(name)
        if known is None or name in (*LABELS, "index"):
            whole[name] = [] if isinstance(value, list) else value if value is not None else known
        if isinstance(value, list) and isinstance(whole[name], list):
            merge_list(whole[name], value)
        elif isinstance(known, str) and isinstance(value, str) and name not in LABELS:
            whole[name] = known + value
        elif isinstance(known, Mapping) and isinstance(value, Mapping):
            whole[name] = merge(dict(known), value)
    return whole


def merge_list(known: list[Any], items: list[Any]) -> None:
    for item in items:
        number = item.get("index") if isinstance(item, Mapping) else None
        same = [
            place for place, other in enumerate(known) if number is not None and mapping(other).get("index") == number
        ]
        if same:
            known[same[0]] = merge(dict(known[same[0]]), item)
        else:
            known.append(item)
