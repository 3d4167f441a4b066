"""A chat completion's request in Anthropic's format. What has no counterpart is in docs/gateway.md."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.gateway.answer_schema import claude_schema
from app.gateway.chat_from_messages import cache_mark, list_of, read_json, unknown
from app.gateway.claude_thinking import thinking_of, thinks_by_effort
from app.gateway.input_bound import decoded, is_text
from app.gateway.openai_chat import without_index
from app.models.metering.refusal import InvalidRequest
from app.providers.usage import mapping

Fields = dict[str, Any]
JSON_ONLY = "Answer with one JSON object and nothing else."
INSTRUCTIONS = ("system", "developer")
IMAGES = {"/9j/": "image/jpeg", "iVBORw": "image/png", "R0lGOD": "image/gif", "UklGR": "image/webp"}
"""By how they begin in base64: Anthropic refuses one that goes by another type, OpenAI looks for itself."""

UNREADABLE = ("logprobs", "top_logprobs", "functions", "function_call")
"""What the caller would look for in the answer, and what Anthropic cannot give."""


def messages_from_chat(body: Mapping[str, Any], name: str, *, is_reasoning: bool) -> Fields:
    """The fields of Anthropic's request, without limit and stream; `name` is what its provider calls the model."""
    for field in UNREADABLE:
        if body.get(field):
            raise InvalidRequest({field: ["is not known to this model's provider."]})
    body = with_allowed_tools(body)
    sent = [mapping(message) for message in list_of(body.get("messages"), "messages")]
    system = [block for message in sent if message.get("role") in INSTRUCTIONS for block in blocks_in(message)]
    fields: Fields = {"messages": merged(turn for message in sent for turn in blocks_by_role(message))}
    fields |= (
        cache_mark(body) | ({} if thinks_by_effort(name) else sampling_of(body)) | ending_of(body) | tools_of(body)
    )
    fields |= thinking_of(body, name) if is_reasoning else {}
    if not fields["messages"] and system:
        fields["messages"], system = [{"role": "user", "content": system_of(system)}], []
    wanted = mapping(body.get("response_format"))
    kind, schema = wanted.get("type"), mapping(wanted.get("json_schema")).get("schema")
    known = claude_schema(schema) if kind == "json_schema" else None
    if known is not None:
        told = {"format": {"type": "json_schema", "schema": known}}
        fields["output_config"] = fields.get("output_config", {}) | told
    elif kind in ("json_object", "json_schema"):
        like = f" Its schema: {json.dumps(schema, ensure_ascii=False)}" if schema else ""
        system.append({"type": "text", "text": JSON_ONLY + like})
    return fields | ({"system": system_of(system)} if system else {})


def system_of(blocks: list[Fields]) -> str | list[Fields]:
    """One text, or blocks where one of them is marked. Anthropic reads text alone there."""
    if other := [block["type"] for block in blocks if block["type"] != "text"]:
        raise unknown("messages", f"{other[0]} in its instructions")
    is_marked = any("cache_control" in block for block in blocks)
    return blocks if is_marked else "\n\n".join(block["text"] for block in blocks)


def sampling_of(body: Mapping[str, Any]) -> Fields:
    fields: Fields = {}
    if isinstance(body.get("temperature"), int | float):
        fields["temperature"] = min(1, body["temperature"])
    elif body.get("top_p") is not None:
        fields["top_p"] = body["top_p"]
    return fields


def ending_of(body: Mapping[str, Any]) -> Fields:
    """Where to stop, and for whom the answer is."""
    fields: Fields = {}
    if stop := body.get("stop"):
        fields["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if user := body.get("safety_identifier") or body.get("user"):
        fields["metadata"] = {"user_id": str(user)[:256]}
    return fields


def merged(said: Iterator[tuple[str, list[Fields]]]) -> list[Fields]:
    """The results of several tools stand in one message, together with what the user says next."""
    messages: list[Fields] = []
    for role, blocks in said:
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"].extend(blocks)
        elif blocks:
            messages.append({"role": role, "content": blocks})
    return messages


def blocks_by_role(message: Mapping[str, Any]) -> Iterator[tuple[str, list[Fields]]]:
    role = message.get("role")
    if role == "function" or message.get("function_call"):
        raise unknown("messages", "a call of a function in the old form")
    if role == "tool":
        yield "user", [tool_result_of(message)]
    elif role == "assistant":
        yield "assistant", assistant_blocks(message)
    elif role not in INSTRUCTIONS:
        yield "user", blocks_in(message)


def tool_result_of(message: Mapping[str, Any]) -> Fields:
    """Anthropic takes the mark of a result beside its content."""
    content = blocks_in(message)
    marks = [block.pop("cache_control") for block in content if "cache_control" in block]
    result = {"type": "tool_result", "tool_use_id": id_of(message.get("tool_call_id")), "content": content}
    return result | ({"cache_control": marks[-1]} if marks else cache_mark(message))


def assistant_blocks(message: Mapping[str, Any]) -> list[Fields]:
    thoughts = [without_index(mapping(block)) for block in message.get("thinking_blocks") or ()]
    if message.get("audio"):
        raise unknown("messages", "the audio of an earlier answer")
    calls = [mapping(call) for call in message.get("tool_calls") or ()]
    said = parts_in(message) + [use_of(call) | cache_mark(call) for call in calls]
    return thoughts + marked(said, message)


def use_of(call: Mapping[str, Any]) -> Fields:
    if call.get("type") == "custom":
        raise unknown("messages", "a call of a custom tool")
    function = mapping(call.get("function"))
    try:
        arguments = read_json(function.get("arguments") or "{}")
    except ValueError:
        arguments = {"arguments": function.get("arguments")}
    own = arguments if isinstance(arguments, dict) else {"arguments": arguments}
    return {"type": "tool_use", "id": id_of(call.get("id")), "name": function.get("name"), "input": own}


def id_of(call_id: Any) -> Any:
    """Anthropic takes letters, digits, dashes; others write `functions.look:0`."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", call_id) if isinstance(call_id, str) else call_id


def blocks_in(message: Mapping[str, Any]) -> list[Fields]:
    """What a message says, as blocks; a mark of the whole message is one of its last."""
    return marked(parts_in(message), message)


def parts_in(message: Mapping[str, Any]) -> list[Fields]:
    """Anthropic takes no empty text."""
    content = message.get("content") or message.get("refusal") or ()
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [block | cache_mark(mapping(part)) for part in parts if (block := block_of(mapping(part)))]


def marked(blocks: list[Fields], message: Mapping[str, Any]) -> list[Fields]:
    if blocks:
        blocks[-1] |= cache_mark(message)
    return blocks


def block_of(part: Mapping[str, Any]) -> Fields | None:
    match part.get("type"):
        case "text" | "refusal":
            text = part.get("text") or part.get("refusal")
            return {"type": "text", "text": text} if text and text.strip() else None
        case "image_url":
            address = part.get("image_url")
            return {"type": "image", "source": source_of(address if isinstance(address, str) else url_in(address))}
        case "file":
            file = mapping(part.get("file"))
            source = as_text(source_of(str(file.get("file_data") or "")))
            return {"type": "document", "source": source, "title": str(file.get("filename", "document"))}
        case "thinking" | "redacted_thinking" | "reasoning":
            return None
    raise unknown("messages", part.get("type"))


def url_in(image: Any) -> str:
    return str(mapping(image).get("url") or "")


def source_of(address: str) -> Fields:
    if not address:
        raise unknown("messages", "a file or an image without its content")
    if not address.startswith("data:"):
        return {"type": "url", "url": address}
    head, _, data = address.removeprefix("data:").partition(",")
    told = head.partition(";")[0]
    kind = next((kind for start, kind in IMAGES.items() if data.startswith(start)), told)
    return {"type": "base64", "media_type": kind if told.startswith("image/") else told, "data": data}


def as_text(source: Fields) -> Fields:
    """Of documents Anthropic takes only PDFs in base64; a text stands there as it is."""
    if source["type"] != "base64" or source["media_type"] == "application/pdf":
        return source
    document = decoded(source["data"])
    if not is_text(document):
        raise unknown("messages", f"a file of type {source['media_type']}")
    return {"type": "text", "media_type": "text/plain", "data": document.decode()}


def with_allowed_tools(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A choice among some of the tools is one among all of those that are left."""
    choice = mapping(body.get("tool_choice"))
    if choice.get("type") != "allowed_tools":
        return body
    allowed = mapping(choice.get("allowed_tools"))
    names = [name_of(tool) for tool in allowed.get("tools") or ()]
    left = [tool for tool in body.get("tools") or () if name_of(tool) in names]
    return {**body, "tools": left, "tool_choice": allowed.get("mode")}


def name_of(tool: Any) -> Any:
    return mapping(mapping(tool).get("function")).get("name")


def tools_of(body: Mapping[str, Any]) -> Fields:
    tools = [tool_of(mapping(tool)) for tool in body.get("tools") or ()]
    if not tools:
        return {}
    choice: Any = body.get("tool_choice")
    kinds: dict[Any, Fields] = {kind: {"type": name} for kind, name in CHOICES.items()}
    if isinstance(choice, Mapping):
        chosen: Fields = {"type": "tool", "name": name_of(choice)}
    else:
        chosen = dict(kinds.get(choice, {"type": "auto"}))
    if body.get("parallel_tool_calls") is False and chosen["type"] != "none":
        chosen["disable_parallel_tool_use"] = True
    return {"tools": tools, "tool_choice": chosen}


CHOICES = {"auto": "auto", "required": "any", "none": "none"}


def tool_of(tool: Mapping[str, Any]) -> Fields:
    if tool.get("type") != "function":
        raise InvalidRequest({"tools": ["has a tool that is no function, which this model's provider does not know."]})
    function = mapping(tool.get("function"))
    schema = {"type": "object", **mapping(function.get("parameters"))}
    fields = {"name": function.get("name"), "input_schema": schema}
    fields |= cache_mark(tool) or cache_mark(function)
    return fields | ({"description": function["description"]} if function.get("description") else {})
