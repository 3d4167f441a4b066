"""Answers in the format of responses: a provider's own events passed on, or made of chunks of a chat completion."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.gateway.chat_from_messages import read_json
from app.gateway.chat_from_responses import full_name, named_tools
from app.gateway.openai_chat import thought_in
from app.gateway.reported_usage import Event, Settled
from app.providers.usage import mapping

ENDS = ("response.completed", "response.incomplete")
ECHOED = (
    "instructions",
    "metadata",
    "parallel_tool_calls",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
)


class ResponsesWriter:
    """Passes events on under the model's name; the last one waits until the call is settled."""

    def __init__(self, model: str, call_id: int, body: Mapping[str, Any]) -> None:
        self._model = model
        self._made = MadeResponse(model, call_id, body)
        self._begun: Mapping[str, Any] = {}
        self._end: Event | None = None
        self._number = -1

    def feed(self, event: Event) -> Iterator[Event]:
        kind = str(event.get("type"))
        if "choices" in event:
            yield from map(self._numbered, self._made.feed(event))
        elif kind in ENDS:
            self._end = event
        elif kind.startswith("response."):
            self._begun = mapping(event.get("response")) or self._begun
            yield self._numbered(self._renamed(event))

    def fail(self, error: Event, beside: Event) -> Iterator[Event]:
        """The response as it began, failed: packages hold its end to the identity of its beginning. Then the error."""
        if self._begun:
            failed = {**self._begun, "status": "failed", "error": error}
            yield self._numbered(self._renamed({"type": "response.failed", "response": failed}))
        else:
            yield from map(self._numbered, self._made.fail(error))
        yield self._numbered({"type": "error", **error, "param": None, **beside})

    def close(self, settled: Settled) -> Iterator[Event]:
        if self._end is None:
            yield from map(self._numbered, self._made.close(settled))
            return
        response = dict(mapping(self._end.get("response")))
        reported = mapping(response.get("usage"))
        usage = reported if settled.usage.source == "reported" else settled.responses_usage
        response["usage"] = {**usage, **settled.cost}
        yield self._numbered(self._renamed({**self._end, "response": response}))

    def _renamed(self, event: Event) -> Event:
        response = event.get("response")
        return event | ({"response": {**response, "model": self._model}} if isinstance(response, Mapping) else {})

    def _numbered(self, event: Event) -> Event:
        self._number += 1
        return event | {"sequence_number": self._number}


class MadeResponse:
    """A response out of a chat completion's chunks: reasoning, one message, and calls of functions, each an item."""

    def __init__(self, model: str, call_id: int, body: Mapping[str, Any]) -> None:
        self._frame: Event = {name: body[name] for name in ECHOED if name in body} | {
            "id": f"resp_{call_id}", "object": "response", "created_at": int(time.time()), "model": model,
            "error": None, "incomplete_details": None, "parallel_tool_calls": body.get("parallel_tool_calls", True),
            "tool_choice": body.get("tool_choice") or "auto", "tools": body.get("tools") or [],
        }  # fmt: skip
        self._tools = {name: (tool, space) for name, tool, space in named_tools(self._frame["tools"])}
        self._call_id = call_id
        self._items: list[Event] = []
        self._calls: dict[Any, int] = {}
        self._open: int | None = None
        self._kind = ""
        self._has_started = False
        self._finish: str | None = None
        self._cut: int | None = None

    def feed(self, chunk: Event) -> Iterator[Event]:
        yield from self._start()
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices:
            return
        choice = mapping(choices[0])
        delta = mapping(choice.get("delta"))
        if thought := thought_in(delta):
            yield from self._text("reasoning", thought)
        for name, kind in (("content", "message"), ("refusal", "refusal")):
            if text := delta.get(name):
                yield from self._text(kind, text)
        for call in delta.get("tool_calls") or ():
            yield from self._call(mapping(call))
        self._finish = str(choice.get("finish_reason") or self._finish or "") or None

    def close(self, settled: Settled) -> Iterator[Event]:
        yield from self._start()
        reason = {
            "length": "max_output_tokens",
            "content_filter": "content_filter",
            "filter": "content_filter",
        }.get(self._finish or settled.finish_reason or "stop")
        self._cut = len(self._items) - 1 if reason else None
        yield from self._end_item()
        for number in self._calls.values():
            yield from self._end_call(number)
        status = "incomplete" if reason else "completed"
        usage = {**settled.responses_usage, **settled.cost}
        response = self._response(status) | {"usage": usage}
        if reason:
            response["incomplete_details"] = {"reason": reason}
        yield {"type": f"response.{status}", "response": response}

    def fail(self, error: Event) -> Iterator[Event]:
        yield from self._start()
        yield {"type": "response.failed", "response": self._response("failed") | {"error": error}}

    def _response(self, status: str) -> Event:
        return {**self._frame, "status": status, "output": [dict(item) for item in self._items]}

    def _start(self) -> Iterator[Event]:
        if not self._has_started:
            self._has_started = True
            for name in ("created", "in_progress"):
                yield {"type": f"response.{name}", "response": self._response("in_progress")}

    def _begin_item(self, item: Event) -> Iterator[Event]:
        yield from self._end_item()
        self._open = len(self._items)
        self._items.append(item)
        yield {"type": "response.output_item.added", "output_index": self._open, "item": dict(item)}

    def _text(self, kind: str, text: str) -> Iterator[Event]:
        holder, part = ("summary" if kind == "reasoning" else "content"), PARTS[kind]
        if self._open is None or self._kind != kind:
            identity = f"{'rs' if kind == 'reasoning' else 'msg'}_{self._call_id}_{len(self._items)}"
            named = {"type": "reasoning"} if kind == "reasoning" else MESSAGE
            item: Event = {"id": identity, **named, holder: []}
            yield from self._begin_item(item)
            self._kind = kind
            yield self._of(PART_ADDED[kind], part=dict(part))
            item[holder] = [dict(part)]
        shown = self._items[self._open or 0][holder][0]
        shown[TEXTS[kind]] += text
        logprobs: Event = {"logprobs": []} if kind == "message" else {}
        yield self._of(DELTA[kind], delta=text, **logprobs)

    def _of(self, kind: str, **fields: Any) -> Event:
        """An event of the open item."""
        place = {"summary_index": 0} if "summary" in kind else {"content_index": 0}
        named = {"item_id": self._items[self._open or 0]["id"], "output_index": self._open}
        return {"type": kind, **named, **place, **fields}

    def _call(self, call: Mapping[str, Any]) -> Iterator[Event]:
        function = mapping(call.get("function"))
        key = call.get("index")
        if key not in self._calls:
            self._calls[key] = len(self._items)
            identity = f"fc_{self._call_id}_{len(self._items)}"
            item = {
                "id": identity,
                "type": "function_call",
                "status": "in_progress",
                **self._named(function.get("name")),
            }
            call_id = call.get("id") or f"call_{len(self._items)}"
            yield from self._begin_item(item | {"call_id": call_id, "arguments": ""})
            self._open = None
        item = self._items[self._calls[key]]
        if (text := function.get("arguments")) and isinstance(text, str):
            item["arguments"] += text
            named = {"item_id": item["id"], "output_index": self._calls[key]}
            yield {"type": "response.function_call_arguments.delta", "delta": text, **named}

    def _named(self, name: Any) -> Event:
        """A tool's name as its caller gave it."""
        tool, namespace = self._tools.get(name, ({}, None))
        return {"name": tool.get("name") or name} | ({"namespace": namespace} if namespace else {})

    def _end_item(self) -> Iterator[Event]:
        """End the open text; calls are open to the end, since their arguments may come in turns."""
        if self._open is None:
            return
        item, kind = self._items[self._open], self._kind
        part = item["summary" if kind == "reasoning" else "content"][0]
        yield self._of(DONE[kind], **{TEXTS[kind]: part[TEXTS[kind]]})
        yield self._of(PART_DONE[kind], part=dict(part))
        yield self._done(self._open)
        self._open = None

    def _end_call(self, number: int) -> Iterator[Event]:
        item = self._items[number]
        told = {name: item[name] for name in ("arguments", "name")}
        named = {"item_id": item["id"], "output_index": number}
        yield {"type": "response.function_call_arguments.done", **named, **told}
        tool, _namespace = self._tools.get(full_name(item), ({}, None))
        if tool.get("type") == "custom":
            self._items[number] = as_custom(item)
        yield self._done(number)

    def _done(self, number: int) -> Event:
        item = self._items[number]
        item["status"] = "incomplete" if number == self._cut else "completed"
        return {"type": "response.output_item.done", "output_index": number, "item": dict(item)}


MESSAGE = {"type": "message", "role": "assistant", "status": "in_progress"}
PARTS: dict[str, Event] = {
    "message": {"type": "output_text", "text": "", "annotations": []},
    "refusal": {"type": "refusal", "refusal": ""},
    "reasoning": {"type": "summary_text", "text": ""},
}
TEXTS = {"message": "text", "refusal": "refusal", "reasoning": "text"}
SUMMARY = "response.reasoning_summary"
PART_ADDED = dict.fromkeys(PARTS, "response.content_part.added") | {"reasoning": f"{SUMMARY}_part.added"}
PART_DONE = dict.fromkeys(PARTS, "response.content_part.done") | {"reasoning": f"{SUMMARY}_part.done"}
NAMES = {"message": "response.output_text", "refusal": "response.refusal", "reasoning": f"{SUMMARY}_text"}
DELTA, DONE = ({kind: f"{name}.{end}" for kind, name in NAMES.items()} for end in ("delta", "done"))


def as_custom(item: Event) -> Event:
    """The call of a custom tool, which the model was given as a function with one field."""
    try:
        text = mapping(read_json(item["arguments"] or "{}")).get("input", "")
    except ValueError:
        text = item["arguments"]
    kept: Event = {name: item[name] for name in ("id", "call_id", "name", "namespace") if name in item}
    return {**kept, "type": "custom_tool_call", "input": str(text)}


def whole_response(events: Iterable[Event]) -> Event:
    """The last event carries the whole response."""
    return dict([*events][-1]["response"])
