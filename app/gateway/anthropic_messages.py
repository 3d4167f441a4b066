"""Answers in Anthropic's format: events in order, each block opened and closed, or one whole message."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.gateway.chat_from_messages import read_json
from app.gateway.reported_usage import Event, Settled
from app.providers.usage import mapping

OPENED_BY = {
    "text_delta": {"type": "text", "text": ""},
    "citations_delta": {"type": "text", "text": ""},
    "thinking_delta": {"type": "thinking", "thinking": "", "signature": ""},
    "signature_delta": {"type": "thinking", "thinking": "", "signature": ""},
}
OF_END = ("type", "delta", "usage")
"""What every last event has; some tell beside it what became of the request (`context_management`)."""

STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "filter": "refusal"}


class MessagesWriter:
    """Passes events on; closing events wait until the call is settled, so that its receipt is there before them."""

    def __init__(self, model: str, call_id: int) -> None:
        self.reported: Event = {}
        self._model, self._call_id = model, call_id
        self._has_started = False
        self._numbers: dict[str, int] = {}
        self._open: int | None = None
        self._count = 0
        self._kind: Any = None
        self._end: Event = {"stop_reason": None, "stop_sequence": None}
        self._beside: Event = {}

    def feed(self, event: Event) -> Iterator[Event]:
        kind = event.get("type")
        if kind == "message_start":
            yield self._start(mapping(event.get("message")))
        elif kind in ("content_block_start", "content_block_delta", "content_block_stop"):
            yield from self._block(event)
        elif kind == "message_delta":
            self._take_usage(event.get("usage"))
            given = {name: value for name, value in mapping(event.get("delta")).items() if value is not None}
            self._end |= given
            self._beside |= {name: value for name, value in event.items() if name not in OF_END and value is not None}
        elif kind == "ping":
            yield {"type": "ping"}

    def _start(self, message: Mapping[str, Any]) -> Event:
        self._has_started = True
        self._take_usage(message.get("usage"))
        usage = {"input_tokens": 0, "output_tokens": 0} | self.reported
        known = {name: value for name, value in message.items() if value is not None}
        shown = {"stop_reason": None, "stop_sequence": None, **known}
        fixed = {
            "id": f"msg_{self._call_id}",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "usage": usage,
        }
        return {"type": "message_start", "message": shown | fixed}

    def _block(self, event: Event) -> Iterator[Event]:
        if not self._has_started:
            yield self._start({})
        kind, key = event["type"], str(event.get("index"))
        if kind == "content_block_delta" and not is_text(mapping(event.get("delta"))):
            return
        if kind == "content_block_stop":
            if self._open is not None and self._numbers.get(key) == self._open:
                yield from self._close()
            return
        opened = OPENED_BY.get(str(mapping(event.get("delta")).get("type")))
        is_of_other_kind = opened is not None and opened["type"] != self._kind
        if key not in self._numbers or kind == "content_block_start" or is_of_other_kind:
            block = mapping(event.get("content_block")) or opened
            if not block:
                return
            yield from self._begin(key, block)
        if kind == "content_block_delta":
            yield {**event, "index": self._numbers[key]}

    def _begin(self, key: str, block: Mapping[str, Any]) -> Iterator[Event]:
        yield from self._close()
        self._open = self._numbers[key] = self._count
        self._count, self._kind = self._count + 1, block.get("type")
        yield {"type": "content_block_start", "index": self._open, "content_block": block}

    def _close(self) -> Iterator[Event]:
        if self._open is not None:
            yield {"type": "content_block_stop", "index": self._open}
            self._open = None

    def _take_usage(self, usage: Any) -> None:
        """Figures are cumulative."""
        self.reported |= {name: value for name, value in mapping(usage).items() if value is not None}

    def close(self, settled: Settled) -> Iterator[Event]:
        if not self._has_started:
            yield self._start({})
        yield from self._close()
        reported = self.reported if settled.usage.source == "reported" else {}
        usage = {**reported, **settled.messages_usage}
        reason = settled.finish_reason or "stop"
        stop = self._end["stop_reason"] or STOPS.get(reason, reason)
        end = {**self._end, "stop_reason": stop}
        yield {**self._beside, "type": "message_delta", "delta": end, "usage": {**usage, **settled.cost}}
        yield {"type": "message_stop"}


def unfolded(events: Iterable[Event]) -> Iterator[Event]:
    """Events as a stream has them: a message that came whole, from who sends none, is several."""
    for event in events:
        if event.get("type") == "message" and isinstance(event.get("content"), list):
            yield from events_of(event)
        else:
            yield event


def events_of(event: Event) -> Iterator[Event]:
    """Those of a whole message."""
    yield {"type": "message_start", "message": event}
    for number, block in enumerate(map(mapping, event["content"])):
        yield {"type": "content_block_start", "index": number, "content_block": block}
        yield {"type": "content_block_stop", "index": number}
    end = {name: event.get(name) for name in ("stop_reason", "stop_sequence")}
    yield {"type": "message_delta", "delta": end, "usage": event.get("usage")}


def is_text(delta: Mapping[str, Any]) -> bool:
    """A delta whose text is none would break the package that adds it up."""
    return all(isinstance(delta.get(name, ""), str) for name in ("text", "thinking", "partial_json"))


def whole_message(events: Iterable[Event]) -> Event:
    """One message out of all of its events."""
    message: Event = {}
    blocks: list[Event] = []
    arguments: dict[int, str] = {}
    for event in events:
        match event["type"]:
            case "message_start":
                message = dict(event["message"])
            case "content_block_start":
                blocks.append(dict(event["content_block"]))
            case "content_block_delta":
                add_delta(blocks[event["index"]], mapping(event["delta"]), arguments, event["index"])
            case "message_delta":
                message |= event["delta"] | {name: value for name, value in event.items() if name not in OF_END}
                message["usage"] = {**message["usage"], **event["usage"]}
    for index, text in arguments.items():
        blocks[index]["input"] = parsed(text)
    return {**message, "content": blocks}


def add_delta(block: Event, delta: Mapping[str, Any], arguments: dict[int, str], index: int) -> None:
    match delta.get("type"):
        case "text_delta":
            block["text"] = str(block.get("text") or "") + str(delta.get("text") or "")
        case "thinking_delta":
            block["thinking"] = str(block.get("thinking") or "") + str(delta.get("thinking") or "")
        case "signature_delta":
            block["signature"] = delta.get("signature")
        case "citations_delta":
            known = block.get("citations")
            block["citations"] = [*(known if isinstance(known, list) else ()), delta.get("citation")]
        case "input_json_delta":
            arguments[index] = arguments.get(index, "") + str(delta.get("partial_json") or "")


def parsed(text: str) -> Any:
    """The input of a tool; a text that is no JSON, of an answer that was cut by its limit, stands under a name."""
    try:
        return read_json(text or "{}")
    except ValueError:
        return {"partial_json": text}
