"""Anthropic's events as chunks of a chat completion."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.gateway.openai_chat import FINISHES
from app.gateway.reported_usage import Event
from app.providers.usage import mapping


class ChatFromMessageEvents:
    """Text is content, thinking `reasoning_content`, with `thinking_blocks` once it is signed; tools are tool calls."""

    def __init__(self) -> None:
        self._calls: dict[int, int] = {}
        self._arguments: dict[int, bool] = {}
        self._whole: set[int] = set()
        """Calls whose arguments came with their beginning."""

        self._thoughts: dict[int, Event] = {}
        self._told_thoughts = 0

    def feed(self, event: Event) -> Iterator[Event]:
        index = event.get("index") if isinstance(event.get("index"), int) else 0
        match event.get("type"):
            case "message_start":
                yield chunk({"role": "assistant", "content": ""})
            case "content_block_start":
                yield from self._start(int(index or 0), mapping(event.get("content_block")))
            case "content_block_delta":
                yield from self._delta(int(index or 0), mapping(event.get("delta")))
            case "content_block_stop":
                yield from self._stop(int(index or 0))
            case "message_delta":
                if reason := mapping(event.get("delta")).get("stop_reason"):
                    yield chunk({}, FINISHES.get(str(reason), "stop"))

    def _start(self, index: int, block: Mapping[str, Any]) -> Iterator[Event]:
        kind = block.get("type")
        if kind == "text" and block.get("text"):
            yield chunk({"content": str(block["text"])})
        elif kind == "redacted_thinking":
            yield self._thought(block)
        elif kind == "thinking":
            thought = str(block.get("thinking") or "")
            self._thoughts[index] = {"type": "thinking", "thinking": thought, "signature": block.get("signature")}
            if thought:
                yield chunk({"reasoning_content": thought})
        elif kind == "tool_use":
            number = self._calls[index] = len(self._calls)
            arguments = json.dumps(block["input"], ensure_ascii=False) if block.get("input") else ""
            self._arguments[index] = bool(arguments)
            if arguments:
                self._whole.add(index)
            function = {"name": block.get("name"), "arguments": arguments}
            call = {"index": number, "id": block.get("id"), "type": "function", "function": function}
            yield chunk({"tool_calls": [call]})

    def _delta(self, index: int, delta: Mapping[str, Any]) -> Iterator[Event]:
        match delta.get("type"):
            case "text_delta" if isinstance(delta.get("text"), str):
                yield chunk({"content": delta["text"]})
            case "thinking_delta" if isinstance(delta.get("thinking"), str):
                thought = self._thoughts.setdefault(index, {"type": "thinking", "thinking": ""})
                thought["thinking"] += delta["thinking"]
                yield chunk({"reasoning_content": delta["thinking"]})
            case "signature_delta":
                self._thoughts.setdefault(index, {"type": "thinking", "thinking": ""})["signature"] = delta.get(
                    "signature"
                )
            case "input_json_delta" if index in self._calls.keys() - self._whole and delta.get("partial_json"):
                self._arguments[index] = True
                function = {"arguments": str(delta["partial_json"])}
                yield chunk({"tool_calls": [{"index": self._calls[index], "function": function}]})

    def _thought(self, block: Mapping[str, Any]) -> Event:
        """A block with its number: OpenAI's package puts no list together whose items have none."""
        self._told_thoughts += 1
        return chunk({"thinking_blocks": [{"index": self._told_thoughts - 1, **block}]})

    def _stop(self, index: int) -> Iterator[Event]:
        thought = self._thoughts.pop(index, None)
        if thought and thought.get("signature"):
            yield self._thought(thought)
        if index in self._calls and not self._arguments[index]:
            yield chunk({"tool_calls": [{"index": self._calls[index], "function": {"arguments": "{}"}}]})


def chunk(delta: Event, finish: str | None = None) -> Event:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
