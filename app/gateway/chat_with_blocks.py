"""Chat completions that hold Anthropic's blocks and tools, in their own form.

Cursor's agent sends such requests where a model's name has "claude" in it, whoever answers.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from app.gateway.chat_from_messages import (
    THOUGHTS,
    assistant_message,
    cache_mark,
    choice_of,
    part_of,
    result_of,
    results_first,
    tool_of,
)
from app.providers.usage import mapping

Fields = dict[str, Any]
BLOCKS = ("tool_use", "tool_result", "image", "document", *THOUGHTS)


def without_blocks(body: Mapping[str, Any]) -> Fields:
    """The request as a chat completion has it; unchanged where it has no block and no tool of Anthropic's."""
    messages = results_first(turn for message in body["messages"] for turn in turns_of(message))
    fields: Fields = {**body, "messages": messages}
    if body.get("tools"):
        fields["tools"] = [function_of(tool) if "input_schema" in tool else tool for tool in body["tools"]]
    return fields | choice_of(mapping(body.get("tool_choice")))


def function_of(tool: Fields) -> Fields:
    return tool_of(tool) | cache_mark(tool)


def turns_of(message: Fields) -> Iterator[Fields]:
    """Of one message the results of tools, each a message of its own, and then the rest."""
    parts = message.get("content")
    if not isinstance(parts, list) or not any(part.get("type") in BLOCKS for part in parts):
        yield message
    elif message.get("role") == "assistant":
        said = assistant_message(parts)
        calls = [*(message.get("tool_calls") or ()), *said.get("tool_calls", ())]
        thoughts = [part for part in parts if part.get("type") in THOUGHTS]
        own = {"tool_calls": calls, "thinking_blocks": thoughts}
        yield {**message, **last_mark(parts), **said, **{name: value for name, value in own.items() if value}}
    else:
        yield from shown_turns(message, parts)


def last_mark(parts: Any) -> Fields:
    """The last of their marks: they become one, and what stands before a mark is read again with it."""
    marks = [cache_mark(mapping(part)) for part in parts] if isinstance(parts, list) else []
    return next(filter(None, reversed(marks)), {})


def shown_turns(message: Fields, parts: list[Fields]) -> Iterator[Fields]:
    shown: list[Fields] = []
    for part in parts:
        if part.get("type") == "tool_result":
            text, images = result_of(part)
            result = {"role": "tool", "tool_call_id": part.get("tool_use_id"), "content": text}
            yield result | (cache_mark(part) or last_mark(part.get("content")))
            shown.extend(images)
        elif part.get("type") in BLOCKS:
            shown.extend(own | cache_mark(part) for own in part_of(part))
        else:
            shown.append(part)
    if shown:
        yield {**message, "content": shown}
