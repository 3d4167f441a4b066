"""A request in Anthropic's format as a chat completion. What has no counterpart is in docs/gateway.md."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import jiter

from app.gateway.answer_schema import is_strict
from app.models.metering.refusal import InvalidRequest
from app.providers.usage import mapping

Fields = dict[str, Any]
SAMPLING = ("temperature", "top_p")
LOW_BUDGET, MEDIUM_BUDGET = 2_048, 8_192
EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
KEPT, THOUGHTS = ("text", "tool_use"), ("thinking", "redacted_thinking")
"""What an assistant's turn may hold: without its thoughts it says the same."""


def chat_from_messages(body: Mapping[str, Any], *, is_reasoning: bool) -> Fields:
    """The fields of a chat completion, without model, limit and stream."""
    system = text_of(body.get("system"))
    said = (one for message in list_of(body.get("messages"), "messages") for one in chat_messages(message))
    messages: list[Fields] = [{"role": "system", "content": system}] if system else []
    chat: Fields = {"messages": messages + results_first(said)}
    chat |= {name: body[name] for name in SAMPLING if body.get(name) is not None and not is_reasoning}
    if stops := body.get("stop_sequences"):
        chat["stop"] = stops
    if user := mapping(body.get("metadata")).get("user_id"):
        chat["user"] = str(user)[:512]
    return chat | tools_of(body) | format_of(body) | (effort_of(body) if is_reasoning else {})


def chat_messages(message: Any) -> Iterator[Fields]:
    """One message of Anthropic's: tool results stand as messages of their own, before what the user says."""
    message, content = mapping(message), mapping(message).get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list_of(content, "messages")
    if message.get("role") == "assistant":
        yield assistant_message(blocks)
        return
    shown: list[Fields] = []
    for block in map(mapping, blocks):
        if block.get("type") == "tool_result":
            text, images = result_of(block)
            yield {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": text}
            shown.extend(images)
        else:
            shown.extend(part_of(block))
    if shown:
        is_text = all(part["type"] == "text" for part in shown) and len(shown) == 1
        role = "system" if message.get("role") == "system" else "user"
        yield {"role": role, "content": shown[0]["text"] if is_text else shown}


def results_first(messages: Iterable[Fields]) -> list[Fields]:
    """Between two answers the results of tools, then the rest: OpenAI lets nothing stand between calls and results."""
    turns = groupby(messages, lambda message: message.get("role") == "assistant")
    return [one for _is_answer, turn in turns for one in sorted(turn, key=lambda one: one.get("role") != "tool")]


def assistant_message(blocks: list[Any]) -> Fields:
    said = [mapping(block) for block in blocks]
    if lost := [block.get("type") for block in said if block.get("type") not in (*KEPT, *THOUGHTS)]:
        raise unknown("messages", lost[0])
    text = "".join(str(block.get("text", "")) for block in said if block.get("type") == "text")
    calls = [call_of(block) for block in said if block.get("type") == "tool_use"]
    message: Fields = {"role": "assistant", "content": text or None if calls else text}
    return message | ({"tool_calls": calls} if calls else {})


def call_of(block: Mapping[str, Any]) -> Fields:
    arguments = json.dumps(block.get("input") or {}, ensure_ascii=False)
    function = {"name": block.get("name"), "arguments": arguments}
    return {"id": block.get("id"), "type": "function", "function": function}


def result_of(block: Mapping[str, Any]) -> tuple[str, list[Fields]]:
    """The text of a tool's result, and its images, which a tool message cannot carry."""
    content = block.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else [mapping(one) for one in content or ()]
    shown = [part for one in parts if one.get("type") != "tool_reference" for part in part_of(one)]
    text = "\n".join(part["text"] for part in shown if part["type"] == "text" and part["text"])
    images = [part for part in shown if part["type"] != "text"]
    return ("Error: " if block.get("is_error") else "") + text, images


def part_of(block: Mapping[str, Any]) -> Iterator[Fields]:
    """InvalidRequest where it is one that no chat completion can say."""
    kind, source = block.get("type"), mapping(block.get("source"))
    if kind == "text":
        yield {"type": "text", "text": str(block.get("text", ""))}
    elif kind == "image":
        yield {"type": "image_url", "image_url": {"url": source.get("url") or address_of(kind, source)}}
    elif kind == "document":
        yield from document_of(block, source)
    elif kind == "search_result":
        named = filter(None, (block.get("title"), block.get("source"), text_of(block.get("content"))))
        yield {"type": "text", "text": "\n".join(map(str, named))}
    else:
        raise unknown("messages", kind)


def document_of(block: Mapping[str, Any], source: Mapping[str, Any]) -> Iterator[Fields]:
    if source.get("type") == "text":
        yield {"type": "text", "text": str(source.get("data", ""))}
    elif source.get("type") == "content":
        held = source.get("content") or []
        parts = [{"type": "text", "text": held}] if isinstance(held, str) else list_of(held, "messages")
        for part in parts:
            yield from part_of(mapping(part))
    else:
        named = {"filename": str(block.get("title") or "document.pdf")}
        yield {"type": "file", "file": {**named, "file_data": address_of("document", source)}}


def address_of(kind: str, source: Mapping[str, Any]) -> str:
    """InvalidRequest where its bytes stand elsewhere."""
    if not source.get("data"):
        raise unknown("messages", f"a source of type {source.get('type')} for its {kind}")
    return f"data:{source.get('media_type')};base64,{source['data']}"


def cache_mark(part: Mapping[str, Any]) -> Fields:
    """The caller's mark that the prompt up to here will be read again, for providers who know it in any format."""
    mark = part.get("cache_control")
    return {"cache_control": mark} if isinstance(mark, Mapping) else {}


def unknown(field: str, kind: object) -> InvalidRequest:
    """What would be lost on the way is refused: an answer without it is worth nothing, and would be paid."""
    return InvalidRequest({field: [f"has {str(kind)[:60]}, which this model's provider does not know."]})


def tools_of(body: Mapping[str, Any]) -> Fields:
    tools = [tool_of(mapping(tool)) for tool in body.get("tools") or ()]
    if not tools:
        return {}
    return {"tools": tools} | choice_of(mapping(body.get("tool_choice")))


CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def choice_of(choice: Mapping[str, Any]) -> Fields:
    """Which tool may be called, or must be, and how many; nothing where that is not said in Anthropic's form."""
    one_by_one: Fields = {"parallel_tool_calls": False} if choice.get("disable_parallel_tool_use") else {}
    if choice.get("type") == "tool":
        return one_by_one | {"tool_choice": {"type": "function", "function": {"name": choice.get("name")}}}
    return one_by_one | ({"tool_choice": CHOICES[choice["type"]]} if choice.get("type") in CHOICES else {})


def tool_of(tool: Mapping[str, Any]) -> Fields:
    if tool.get("type") not in (None, "custom"):
        raise unknown("tools", tool["type"])
    function = {"name": tool.get("name"), "parameters": tool.get("input_schema") or {"type": "object"}}
    if tool.get("description"):
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


def format_of(body: Mapping[str, Any]) -> Fields:
    wanted = mapping(mapping(body.get("output_config")).get("format") or body.get("output_format"))
    if wanted.get("type") != "json_schema":
        return {}
    schema = {"name": "answer", "schema": wanted.get("schema"), "strict": is_strict(wanted.get("schema"))}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def effort_of(body: Mapping[str, Any]) -> Fields:
    thinking, effort = mapping(body.get("thinking")), str(mapping(body.get("output_config")).get("effort"))
    if effort in EFFORTS:
        return {"reasoning_effort": EFFORTS[effort]}
    budget = thinking.get("budget_tokens")
    if thinking.get("type") != "enabled" or not isinstance(budget, int):
        return {}
    level = "low" if budget <= LOW_BUDGET else "medium" if budget <= MEDIUM_BUDGET else "high"
    return {"reasoning_effort": level}


def text_of(content: Any) -> str:
    """A text, or the texts of a list of blocks."""
    if isinstance(content, str):
        return content
    blocks = map(mapping, content) if isinstance(content, list) else ()
    return "\n\n".join(str(block["text"]) for block in blocks if block.get("text"))


def read_json(text: str) -> Any:
    """What a text says. ValueError where it is no JSON that can be sent on: nested too deeply, NaN, infinite."""
    value = jiter.from_json(text.encode("utf-8", "replace"), allow_inf_nan=False)
    json.dumps(value, allow_nan=False)
    return value


def list_of(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRequest({field: ["must be a list."]})
    return value
