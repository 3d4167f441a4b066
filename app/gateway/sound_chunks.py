"""Chunks of a chat completion as its format has them, whatever a vendor sends in their place."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.gateway.openai_chat import merge
from app.gateway.reported_usage import Event
from app.providers.openai_choices import choice_in, is_thought, text_alone, text_of, thinking_of
from app.providers.usage import mapping

LONGEST_NUMBER = 10


class SoundChunks:
    """One choice each, its text a string. Its tool calls have numbers of their own: some vendors number none, or each
    as the first. A call is told once its name is known: the other formats open it with that. One that came without
    arguments has none by name, `{}`.
    """

    def __init__(self) -> None:
        self._ids: list[str | None] = []
        self._latest: dict[int | None, int] = {}
        self._names: dict[int, str] = {}
        self._unnamed: dict[int, Event] = {}
        self._with_arguments: set[int] = set()

    def feed(self, chunk: Event) -> Event:
        if text_alone(chunk) and "tool_calls" not in chunk["choices"][0]["delta"]:
            return chunk
        chunk = first_answer(chunk)
        if not isinstance(chunk.get("choices"), list) or not chunk["choices"]:
            return chunk
        choice = chunk["choices"][0]
        delta = dict(mapping(choice.get("delta")))
        if thought := thinking_of({"content": delta.get("content")}):
            delta["reasoning_content"] = thought
        for name in ("content", "refusal"):
            if delta.get(name) is not None:
                delta[name] = text_of(delta[name])
        calls = list(self._calls(maps_in(delta.pop("tool_calls", None))))
        if choice.get("finish_reason"):
            calls.extend(self._unnamed.values())
            self._unnamed = {}
            bare = self._names.keys() - self._with_arguments
            calls.extend({"index": number, "function": {"arguments": "{}"}} for number in sorted(bare))
        if calls:
            delta["tool_calls"] = calls
        if "thinking_blocks" in delta:
            delta["thinking_blocks"] = maps_in(delta["thinking_blocks"])
        return {**chunk, "choices": [{**choice, "delta": delta}]}

    def _calls(self, calls: list[Event]) -> Iterator[Event]:
        for call in calls:
            function = {name: string_of(value) for name, value in mapping(call.get("function")).items()}
            number = self._number_of(call, is_named=bool(function.get("name")))
            if number is None:
                continue
            name = function.pop("name", None)
            if function.get("arguments"):
                self._with_arguments.add(number)
            if name and name != self._names.get(number):  # some repeat it with each piece
                self._names[number] = function["name"] = name
            told = {**call, "index": number, **({"function": function} if "function" in call else {})}
            told = merge(self._unnamed.pop(number, {}), told)
            if number in self._names or not is_function(told):
                yield told
            else:
                self._unnamed[number] = told

    def _number_of(self, call: Event, *, is_named: bool) -> int | None:
        """A named call under another id is another, whatever its number. None for what belongs to no call."""
        index, identity = str(call.get("index")), string_of(call.get("id")) or None
        key = int(index) if index.isdecimal() and len(index) < LONGEST_NUMBER else None
        if key is None and identity is not None and identity in self._ids:
            return self._ids.index(identity)
        known = self._latest.get(key)
        is_other = key is None if identity is None else known is not None and self._ids[known] not in (None, identity)
        if known is not None and not (is_named and is_other):
            return known
        if key is None and identity is None and not is_named:
            return None
        self._latest[key] = len(self._ids)
        self._ids.append(identity)
        return self._latest[key]


def first_answer(chunk: Event) -> Event:
    """The chunk with its first choice alone, whatever the vendor counts; what is marked as a thought is no text."""
    if not isinstance(chunk.get("choices"), list):
        return chunk
    choice = choice_in(chunk)
    delta = mapping(choice.get("delta"))
    if is_thought(delta):
        said = {name: value for name, value in delta.items() if name not in ("content", "extra_content")}
        choice = {**choice, "delta": {**said, "reasoning_content": delta.get("content")}}
    return {**chunk, "choices": [choice] if choice else []}


def is_function(call: Event) -> bool:
    return call.get("type") in (None, "function") and "custom" not in call


def maps_in(items: Any) -> list[Event]:
    return [dict(item) for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def string_of(value: Any) -> str | None:
    """Some send arguments as an object."""
    return value if isinstance(value, str | None) else json.dumps(value, ensure_ascii=False)
