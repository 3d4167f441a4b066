"""Chunks of a chat completion as Anthropic's events."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.gateway.chat_from_messages import read_json
from app.gateway.openai_chat import thought_in
from app.gateway.reported_usage import Event
from app.providers.usage import mapping

STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "function_call": "tool_use"}
STOPS |= {"content_filter": "refusal"}


class MessageEventsFromChat:
    """Content is text, reasoning is thinking (unsigned), tool calls are blocks of their own.

    A block is told to its end before another begins: a call whose arguments come in turns with another's waits.
    """

    def __init__(self) -> None:
        self._kind: Any = None
        self._number = -1
        self._calls: dict[Any, int] = {}
        self._told: Any = None
        self._arguments: dict[Any, str] = {}
        self._waiting: dict[Any, list[Event]] = {}
        self._has_refused = False

    def feed(self, chunk: Event) -> Iterator[Event]:
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices:
            return
        choice = mapping(choices[0])
        delta = mapping(choice.get("delta"))
        if thought := thought_in(delta):
            yield self._of("thinking", {"type": "thinking_delta", "thinking": thought})
        for name in ("content", "refusal"):
            if text := delta.get(name):
                self._has_refused = self._has_refused or name == "refusal"
                yield self._of("text", {"type": "text_delta", "text": text})
        for call in delta.get("tool_calls") or ():
            yield from self._in_turn(mapping(call))
        if reason := choice.get("finish_reason"):
            yield from self.waited()
            reason = STOPS.get(str(reason), "end_turn")
            if reason == "end_turn":  # of calls too, where a vendor was told which tool to call
                reason = "refusal" if self._has_refused else "tool_use" if self._calls else reason
            yield {"type": "message_delta", "delta": {"stop_reason": reason}}

    def _of(self, kind: str, delta: Event) -> Event:
        if kind != self._kind:
            self._kind = kind
            self._number += 1
        return {"type": "content_block_delta", "index": self._number, "delta": delta}

    def _in_turn(self, call: Mapping[str, Any]) -> Iterator[Event]:
        key, events = call.get("index"), list(self._call(call))
        if key != self._told and (self._waiting or not self._is_whole(self._told)):
            self._waiting.setdefault(key, []).extend(events)
        else:
            self._told = key
            yield from events
        while self._waiting and self._is_whole(self._told):
            self._told = next(iter(self._waiting))
            yield from self._waiting.pop(self._told)

    def _is_whole(self, key: Any) -> bool:
        """Whether nothing more can come of that call."""
        try:
            return key not in self._arguments or read_json(self._arguments[key]) is not None
        except ValueError:
            return False

    def waited(self) -> Iterator[Event]:
        """What still waits, once nothing more comes."""
        for events in self._waiting.values():
            yield from events
        self._waiting = {}

    def _call(self, call: Mapping[str, Any]) -> Iterator[Event]:
        function = mapping(call.get("function"))
        key = call.get("index")
        if key not in self._calls:
            self._number += 1
            self._calls[key], self._kind, self._arguments[key] = self._number, ("tool", key), ""
            block = {"type": "tool_use", "id": call.get("id") or f"toolu_{self._number}"}
            block |= {"name": function.get("name") or "", "input": {}}
            yield {"type": "content_block_start", "index": self._number, "content_block": block}
        if function.get("arguments"):
            self._arguments[key] += function["arguments"]
            delta = {"type": "input_json_delta", "partial_json": function["arguments"]}
            yield {"type": "content_block_delta", "index": self._calls[key], "delta": delta}
