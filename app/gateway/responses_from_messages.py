"""A request in Anthropic's format as one for responses, where OpenAI's models think beside tools. docs/gateway.md."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.gateway import chat_from_messages as chat
from app.gateway.message_events_from_response import seal_in
from app.providers.usage import mapping

Fields = dict[str, Any]


def responses_from_messages(body: Mapping[str, Any]) -> Fields:
    """The fields of a response, without model, limit and stream. Of models that think, so nothing is sampled."""
    said = map(mapping, chat.list_of(body.get("messages"), "messages"))
    fields: Fields = {"input": [item for message in said for item in items_of(message)]}
    if system := chat.text_of(body.get("system")):
        fields["instructions"] = system
    if user := mapping(body.get("metadata")).get("user_id"):
        fields["user"] = str(user)[:512]
    return fields | tools_of(body) | format_of(body) | thinking_of(body)


def items_of(message: Mapping[str, Any]) -> Iterator[Fields]:
    """One message of Anthropic's, in its order: what is said, and between it thoughts, calls and results."""
    role, content = message.get("role"), message.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else chat.list_of(content, "messages")
    said: list[Fields] = []
    for block in map(mapping, blocks):
        if block.get("type") in OWN_ITEMS:
            yield from spoken(role, said)
            yield from OWN_ITEMS[block["type"]](block)
            said = []
        else:
            said.extend(chat.part_of(block))
    yield from spoken(role, said)


def spoken(role: Any, parts: list[Fields]) -> Iterator[Fields]:
    if parts and role == "assistant":
        yield {"role": role, "content": "".join(str(part.get("text", "")) for part in parts)}
    elif parts:
        yield {"role": role, "content": list(map(input_part, parts))}


def input_part(part: Mapping[str, Any]) -> Fields:
    """A part of a chat completion as one of a response."""
    if part["type"] == "image_url":
        return {"type": "input_image", "image_url": part["image_url"]["url"]}
    if part["type"] == "file":
        return {"type": "input_file", **part["file"]}
    return {"type": "input_text", "text": part["text"]}


def call_of(block: Mapping[str, Any]) -> Iterator[Fields]:
    yield {"type": "function_call", "call_id": block.get("id"), **chat.call_of(block)["function"]}


def result_of(block: Mapping[str, Any]) -> Iterator[Fields]:
    text, shown = chat.result_of(block)
    parts = map(input_part, ({"type": "text", "text": text}, *shown))
    yield {
        "type": "function_call_output",
        "call_id": block.get("tool_use_id"),
        "output": list(parts) if shown else text,
    }


def thought_of(block: Mapping[str, Any]) -> Iterator[Fields]:
    """A thought of OpenAI's, which its signature holds sealed; another model's is nothing to it."""
    if seal := seal_in(block.get("signature")):
        text = block.get("thinking")
        yield {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}] if text else [], **seal}


OWN_ITEMS = {
    "tool_use": call_of,
    "tool_result": result_of,
    "thinking": thought_of,
    "redacted_thinking": thought_of,
}


def tools_of(body: Mapping[str, Any]) -> Fields:
    """Functions lie flat here, and count as strict unless that is denied."""
    fields = chat.tools_of(body)
    if not fields:
        return {}
    fields["tools"] = [{"type": "function", "strict": False, **tool["function"]} for tool in fields["tools"]]
    if isinstance(choice := fields.get("tool_choice"), Mapping):
        fields["tool_choice"] = {"type": "function", **choice["function"]}
    return fields


def format_of(body: Mapping[str, Any]) -> Fields:
    wanted = mapping(chat.format_of(body).get("response_format"))
    return {"text": {"format": {"type": "json_schema", **wanted["json_schema"]}}} if wanted else {}


def thinking_of(body: Mapping[str, Any]) -> Fields:
    """The effort, and what is to be seen of the thoughts."""
    effort = chat.effort_of(body).get("reasoning_effort")
    thinking = mapping(body.get("thinking"))
    is_shown = thinking.get("type") in ("enabled", "adaptive") and thinking.get("display") != "omitted"
    told = ({"effort": effort} if effort else {}) | ({"summary": "auto"} if is_shown else {})
    return {"reasoning": told} if told else {}
