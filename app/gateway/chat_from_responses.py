"""A request in the format of responses as a chat completion. What has no counterpart is in docs/gateway.md."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.gateway.chat_from_messages import list_of, results_first, unknown
from app.providers.usage import mapping

Fields = dict[str, Any]
SAME = (
    "temperature",
    "top_p",
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
)
LONGEST_NAME = 64
"""Of a function, at either vendor."""

ONE_TEXT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
"""A custom tool takes free text: as a function, it has one field for it."""


def chat_from_responses(body: Mapping[str, Any], *, is_reasoning: bool) -> Fields:
    """The fields of a chat completion, without model, limit and stream."""
    said = body.get("input")
    items = [{"role": "user", "content": said}] if isinstance(said, str) else list_of(said, "input")
    instructions = body.get("instructions")
    messages: list[Fields] = [{"role": "system", "content": instructions}] if instructions else []
    for message in (one for item in map(mapping, items) for one in messages_of(item)):
        add(messages, message)
    chat: Fields = {"messages": results_first(messages)} | {
        name: body[name] for name in SAME if body.get(name) is not None
    }
    effort = mapping(body.get("reasoning")).get("effort")
    if effort and is_reasoning:
        chat["reasoning_effort"] = effort
    return chat | format_of(mapping(body.get("text"))) | tools_of(body)


def add(messages: list[Fields], message: Fields) -> None:
    """Calls of one turn stand in one message, with what was said beside them, before or after."""
    last = messages[-1] if messages else {}
    calls = [*last.get("tool_calls", ()), *message.get("tool_calls", ())]
    if calls and last.get("role") == message["role"] == "assistant":
        said = "\n\n".join(filter(None, (last["content"], message["content"])))
        messages[-1] = {**last, "content": said or None, "tool_calls": calls}
    else:
        messages.append(message)


def messages_of(item: Mapping[str, Any]) -> Iterator[Fields]:
    kind = item.get("type") or "message"
    if kind == "message":
        content = item.get("content")
        role = "system" if item.get("role") == "developer" else item.get("role")
        yield {"role": role, "content": content if isinstance(content, str) else parts_of(content, str(role))}
    elif kind in ("function_call", "custom_tool_call"):
        text = json.dumps({"input": item.get("input", "")}, ensure_ascii=False)
        arguments = (item.get("arguments") or "{}") if kind == "function_call" else text
        function = {"name": full_name(item), "arguments": arguments}
        call = {"id": item.get("call_id"), "type": "function", "function": function}
        yield {"role": "assistant", "content": None, "tool_calls": [call]}
    elif kind in ("function_call_output", "custom_tool_call_output"):
        yield from results_of(item)
    elif kind != "reasoning":
        raise unknown("input", kind)


def results_of(item: Mapping[str, Any]) -> Iterator[Fields]:
    """What a tool said, and as the user's what it showed, which no tool's message can carry."""
    output = item.get("output")
    if isinstance(output, Mapping):
        raise unknown("input", "an output that is an object")
    parts = [{"type": "text", "text": output}] if isinstance(output, str) else list(map(mapping, output or ()))
    shown = [part_of(part) for part in parts]
    yield {"role": "tool", "tool_call_id": item.get("call_id"), "content": texts_in(shown)}
    if images := [part for part in shown if part["type"] != "text"]:
        yield {"role": "user", "content": images}


def parts_of(content: Any, role: str) -> Any:
    """A list of parts; of an assistant and of instructions, text alone."""
    parts = [mapping(part) for part in content or ()]
    if role not in ("assistant", "system"):
        return [part_of(part) for part in parts]
    said = [{"type": "text", "text": part.get("refusal")} if part.get("refusal") else part_of(part) for part in parts]
    if other := [part["type"] for part in said if part["type"] != "text"]:
        raise unknown("input", f"{other[0]} where only text can be")
    return texts_in(said)


def texts_in(parts: Iterable[Fields]) -> str:
    return "".join(part["text"] for part in parts if part["type"] == "text")


def part_of(part: Mapping[str, Any]) -> Fields:
    match part.get("type"):
        case "input_image" if part.get("image_url"):
            detail = {"detail": part["detail"]} if part.get("detail") else {}
            return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
        case "input_file" if part.get("file_data"):
            named = {"filename": part.get("filename") or "document.pdf", "file_data": part["file_data"]}
            return {"type": "file", "file": named}
        case "input_text" | "output_text" | "text" | None:
            return {"type": "text", "text": str(part.get("text", ""))}
    raise unknown("input", part["type"])


def format_of(text: Mapping[str, Any]) -> Fields:
    wanted = mapping(text.get("format"))
    fields: Fields = {"verbosity": text["verbosity"]} if text.get("verbosity") else {}
    if wanted.get("type") == "json_object":
        fields["response_format"] = {"type": "json_object"}
    if wanted.get("type") == "json_schema":
        schema = {name: wanted[name] for name in ("name", "schema", "strict", "description") if name in wanted}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    return fields


def tools_of(body: Mapping[str, Any]) -> Fields:
    choice, named = body.get("tool_choice"), named_tools(body.get("tools"))
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        allowed = [full_name(mapping(tool)) for tool in choice.get("tools") or ()]
        choice, named = choice.get("mode"), (one for one in named if one[0] in allowed)
    tools = [function_of(name, tool) for name, tool, _namespace in named]
    if not tools:
        return {}
    if isinstance(choice, Mapping):
        choice = {"type": "function", "function": {"name": full_name(choice)}}
    told = {"tool_choice": choice, "parallel_tool_calls": body.get("parallel_tool_calls")}
    return {"tools": tools} | {name: value for name, value in told.items() if value is not None}


def named_tools(tools: Any, namespace: str | None = None) -> Iterator[tuple[Any, Mapping[str, Any], str | None]]:
    """Each tool with its name among all of them and its namespace, which a chat completion does not know."""
    for tool in map(mapping, tools or ()):
        if tool.get("type") == "namespace":
            yield from named_tools(tool.get("tools"), tool.get("name"))
        else:
            yield full_name({"namespace": namespace, **tool}), tool, namespace


def full_name(called: Mapping[str, Any]) -> Any:
    """The name of a tool, or of a call of it, with its namespace before it where it has one."""
    if not called.get("namespace"):
        return called.get("name")
    return f"{called['namespace']}__{called.get('name')}"[-LONGEST_NAME:]


def function_of(name: Any, tool: Mapping[str, Any]) -> Fields:
    kind = tool.get("type")
    if kind not in ("function", "custom"):
        raise unknown("tools", kind)
    schema = ONE_TEXT if kind == "custom" else tool.get("parameters") or {"type": "object"}
    names = ("description", "strict") if kind == "function" else ("description",)
    function = {"name": name, "parameters": schema} | {known: tool[known] for known in names if tool.get(known)}
    return {"type": "function", "function": function}
