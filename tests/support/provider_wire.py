"""What the local provider says: answers in OpenAI's and in Anthropic's wire format, whole or spoilt on request."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

Event = tuple[str, bytes]
"""What the event is for (head, text, tail), and its bytes on the wire."""

MARKER = re.compile(r"\[\[([a-z_]+(?:[=:][^\]]*)?)\]\]")

ABSURD: dict[str, Any] = {"absurd": 10**30, "negative": -7, "floats": 3.5, "strings": "many", "bools": True}
UNTOLD = {"no_input": ("prompt_tokens", "input_tokens"), "no_output": ("completion_tokens", "output_tokens")}
FINISHES = {
    "stop": ("stop", "end_turn"),
    "length": ("length", "max_tokens"),
    "filter": ("content_filter", "refusal"),
    "refusal": ("stop", "refusal"),
    "tool_calls": ("tool_calls", "tool_use"),
}


@dataclass(frozen=True, slots=True)
class Script:
    """How to answer one request; a marker such as `[[fault:cut after=3 delay=0.1]]` in the prompt sets any field."""

    fault: str = ""
    """hang_headers, drop, hang, cut, close, reset, garbage, bad_json, long_line, error_event, wrong_type, empty,
    no_done, linger (silent after the end), linger_early (after the finish reason), tool_calls;
    or the number of an HTTP error such as 429."""
    after: int = 3
    """Chunks of text before the fault."""
    times: int = 0
    """How many requests the fault spoils before all is well again; 0 = all."""
    retry_after: str = ""
    code: str = ""
    """The code in the body of an HTTP error."""
    refused: str = "\0"
    """A parameter that is not supported."""
    tokens: int = 20
    """Chunks of text, one token each."""
    text: str = ""
    """What to answer, in pieces of four characters, instead of numbered words."""
    delay: float = 0.0
    """Seconds between two chunks."""
    first_delay: float = 0.0
    """Seconds before the headers."""
    finish: str = "stop"
    usage: str = "normal"
    """normal, missing, no_input, no_output, twice, zero, null, absurd, negative, floats, strings, bools."""
    input_tokens: int = -1
    """Reported; -1 = counted from the body's size."""
    cached: int = 0
    reasoning: int = 0
    framing: str = "chunked"
    """chunked; or close: no framing, the end of the connection is the end of the answer, as in HTTP/1.0."""
    replay: str = ""
    """The name of a body given to `ProviderServer.bodies`, sent as it is."""
    pieces: int = 0
    """Size of the pieces that a replayed body is sent in; 0 = one piece."""

    def told(self, text: str) -> "Script":
        """This script with the markers found in `text`."""
        changes: dict[str, Any] = {}
        for marker in MARKER.findall(text):
            for word in marker.split(" "):
                key, _, value = word.replace(":", "=", 1).partition("=")
                changes[key] = value.replace("_", " ") if key == "text" else value
        return self.changed(changes)

    def changed(self, changes: dict[str, Any]) -> "Script":
        """This script with these fields, given as text or as what they are; unknown ones are passed over."""
        kinds: dict[str, Any] = {field.name: type(field.default) for field in fields(self)}
        return replace(self, **{key: kinds[key](value) for key, value in changes.items() if key in kinds})


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, in whichever of the two formats."""

    body: dict[str, Any]
    size: int

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def last_text(self) -> str:
        """The last message's text: markers in earlier ones have had their turn."""
        messages = self.body.get("messages") or [{}]
        content = messages[-1].get("content", "")
        return content if isinstance(content, str) else json.dumps(content)

    @property
    def max_tokens(self) -> int | None:
        return self.body.get("max_completion_tokens") or self.body.get("max_tokens")

    @property
    def first_tool(self) -> str:
        """The first that is offered."""
        tools = self.body.get("tools") or [{"name": "look"}]
        return str((tools[0].get("function") or tools[0])["name"])

    @property
    def wants_usage(self) -> bool:
        return bool((self.body.get("stream_options") or {}).get("include_usage"))


@dataclass(frozen=True, slots=True)
class Answer:
    """The pieces of text, how they end, and what they are said to have cost."""

    pieces: list[str]
    finish: str
    input_tokens: int

    @classmethod
    def made(cls, script: Script, request: Request) -> "Answer":
        pieces = [f"word{number} " for number in range(script.tokens)]
        if script.text:
            pieces = [script.text[start : start + 4] for start in range(0, len(script.text), 4)]
        if script.fault in ("empty", "tool_calls"):
            pieces = []
        finish = "tool_calls" if script.fault == "tool_calls" else script.finish
        if request.max_tokens is not None and len(pieces) > request.max_tokens:
            pieces, finish = pieces[: request.max_tokens], "length"
        counted = script.input_tokens if script.input_tokens >= 0 else max(1, request.size // 4)
        return cls(pieces, finish, counted)


def sse(payload: object, event: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(payload, separators=(',', ':'))}\n\n".encode()


def openai_usage(script: Script, answer: Answer) -> dict[str, Any] | None:
    if script.usage in ("missing", "null"):
        return None
    output = len(answer.pieces) + script.reasoning
    figures: dict[str, Any] = {"prompt_tokens": answer.input_tokens, "completion_tokens": output}
    if script.usage == "zero":
        figures = dict.fromkeys(figures, 0)
    if script.usage in ABSURD:
        figures = dict.fromkeys(figures, ABSURD[script.usage])
    figures |= {name: 0 for name in UNTOLD.get(script.usage, ()) if name in figures}
    figures["total_tokens"] = answer.input_tokens + output if script.usage == "normal" else 0
    figures["prompt_tokens_details"] = {"cached_tokens": script.cached}
    figures["completion_tokens_details"] = {"reasoning_tokens": script.reasoning}
    return figures


def anthropic_usage(script: Script, answer: Answer) -> dict[str, Any] | None:
    if script.usage in ("missing", "null"):
        return None
    figures: dict[str, Any] = {
        "input_tokens": answer.input_tokens - script.cached,
        "output_tokens": len(answer.pieces),
    }
    if script.usage == "zero":
        figures = dict.fromkeys(figures, 0)
    if script.usage in ABSURD:
        figures = dict.fromkeys(figures, ABSURD[script.usage])
    figures |= {name: 0 for name in UNTOLD.get(script.usage, ()) if name in figures}
    return figures | {"cache_read_input_tokens": script.cached, "cache_creation_input_tokens": 0}


def openai_events(script: Script, request: Request) -> Iterator[Event]:
    """The stream of `POST /v1/chat/completions`."""
    answer = Answer.made(script, request)
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": request.model}

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        return sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})

    yield "head", chunk({"role": "assistant", "content": "", "refusal": None})
    for number in range(script.reasoning):
        yield "reasoning", chunk({"reasoning_content": f"thought{number} "})
    if script.fault == "tool_calls":
        function = {"name": request.first_tool, "arguments": "{}"}
        call = {"index": 0, "id": "call_1", "type": "function", "function": function}
        yield "head", chunk({"tool_calls": [call]})
    field = "refusal" if answer.finish == "refusal" else "content"
    for piece in answer.pieces:
        yield "text", chunk({field: piece})
    yield "tail", chunk({}, FINISHES.get(answer.finish, (answer.finish,))[0])
    usage = openai_usage(script, answer)
    for _ in range({"missing": 0, "twice": 2}.get(script.usage, 1) if request.wants_usage else 0):
        yield "tail", sse({**head, "choices": [], "usage": usage})
    if script.fault != "no_done":
        yield "tail", b"data: [DONE]\n\n"


def anthropic_events(script: Script, request: Request) -> Iterator[Event]:
    """The stream of `POST /v1/messages`."""
    answer = Answer.made(script, request)
    usage = anthropic_usage(script, answer)
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": request.model, "content": []}
    first = None if usage is None else {**usage, "output_tokens": 1}
    yield "head", sse({"type": "message_start", "message": {**message, "usage": first}}, "message_start")
    yield "head", sse({"type": "ping"}, "ping")
    for number in range(script.reasoning):
        delta = {"type": "thinking_delta", "thinking": f"thought{number} "}
        event = {"type": "content_block_delta", "index": 0, "delta": delta}
        yield "reasoning", sse(event, "content_block_delta")
    if script.fault == "tool_calls":
        yield from (("head", event) for event in anthropic_tool_call(request.first_tool))
    for piece in answer.pieces:
        delta = {"type": "text_delta", "text": piece}
        yield "text", sse({"type": "content_block_delta", "index": 1, "delta": delta}, "content_block_delta")
    reason = FINISHES.get(answer.finish, ("", answer.finish))[1]
    end = {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}}
    for _ in range(2 if script.usage == "twice" else 1):
        yield "tail", sse(end if usage is None else {**end, "usage": usage}, "message_delta")
    if script.fault != "no_done":
        yield "tail", sse({"type": "message_stop"}, "message_stop")


def anthropic_tool_call(name: str) -> Iterator[bytes]:
    block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
    yield sse({"type": "content_block_start", "index": 1, "content_block": block}, "content_block_start")
    yield sse({"type": "content_block_stop", "index": 1}, "content_block_stop")


def whole_openai_answer(script: Script, request: Request) -> dict[str, Any]:
    """The answer of `POST /v1/chat/completions` where no stream was asked for."""
    answer = Answer.made(script, request)
    message = {"role": "assistant", "content": "".join(answer.pieces)}
    reason = FINISHES.get(answer.finish, (answer.finish,))[0]
    choice = {"index": 0, "message": message, "finish_reason": reason}
    kind = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": request.model}
    return {**kind, "choices": [choice], "usage": openai_usage(script, answer)}


def whole_anthropic_answer(script: Script, request: Request) -> dict[str, Any]:
    """The answer of `POST /v1/messages` where no stream was asked for."""
    answer = Answer.made(script, request)
    content = [{"type": "text", "text": "".join(answer.pieces)}]
    reason = FINISHES.get(answer.finish, ("", answer.finish))[1]
    kind = {"id": "msg_1", "type": "message", "role": "assistant", "model": request.model}
    return {**kind, "content": content, "stop_reason": reason, "usage": anthropic_usage(script, answer)}


def spoilt_event(fault: str, *, is_anthropic: bool) -> bytes:
    """The bytes that a fault puts into the middle of a stream."""
    if fault == "garbage":
        return bytes(range(256)) * 4 + b"\n\n"
    if fault == "bad_json":
        return b'data: {"choices": [{]}\n\n'
    if fault == "long_line":
        return b'data: {"choices": "' + b"x" * 10_000_000 + b'"}\n\n'
    if is_anthropic:
        return sse({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error")
    return sse({"error": {"message": "The server had an error", "type": "server_error", "code": None}})


def unsupported(name: str) -> dict[str, Any]:
    """OpenAI's answer to a parameter that a model does not know."""
    text = f"Unsupported parameter: '{name}' is not supported with this model."
    kind = {"type": "invalid_request_error", "code": "unsupported_parameter"}
    return {"error": {"message": text, "param": name, **kind}}


def error_body(status: int, code: str, *, is_anthropic: bool) -> dict[str, Any]:
    """What each vendor's API answers with an HTTP error; it repeats the key, as real ones do in part."""
    text = f"Stand-in error {status}: something about sk-secret-key"
    if is_anthropic:
        kinds = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}
        return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": text}}
    return {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": code or None}}


LAST_CHUNK = b"0\r\n\r\n"


def start_of_stream(framing: str) -> tuple[bytes, Callable[[bytes], bytes]]:
    """The head of an event stream, and what puts a piece of its body into its frame."""
    version, ends = ("1.1", "transfer-encoding: chunked") if framing == "chunked" else ("1.0", "connection: close")
    head = f"HTTP/{version} 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n{ends}\r\n\r\n"
    return head.encode(), chunked if framing == "chunked" else bytes


def chunked(piece: bytes) -> bytes:
    """A piece of a body in HTTP's chunked coding."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)
