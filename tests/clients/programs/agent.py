"""A provider on loopback that asks for one tool, then tells what the tool said: `agent.py PORT`.

It speaks chat completions and messages, as a stream or whole, and keeps no state: a conversation whose last message
is a tool's result is answered with a text that ends in that result. Where no tool is offered, it only answers.
"""

import json
import re
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMAND = "echo made by a tool > made.txt && cat made.txt"
ARGUMENTS: dict[str, dict[str, Any]] = {
    "look": {"place": "Rome"},
    "mcp__weather__look": {"place": "Rome"},
    "Bash": {"command": COMMAND, "description": "Make a file"},
    "bash": {"command": COMMAND, "description": "Make a file"},
    "exec_command": {"cmd": COMMAND},
    "shell_command": {"command": COMMAND},
    "shell": {"command": ["bash", "-c", COMMAND]},
}
"""What each tool is asked, by its name."""

FILE = re.compile(r"(\S+) shall say: (.+)")
"""A file that is asked for where no tool could write it: the answer shows the whole of it."""

Json = dict[str, Any]


def text_in(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text") or text_in(part.get("content"))) for part in parts)


def result_in(message: Json) -> str | None:
    """What a tool said, where this message is its result."""
    if message.get("role") == "tool":
        return text_in(message["content"])
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    results = [part for part in parts if part.get("type") == "tool_result"]
    return text_in(results[-1].get("content")) if results else None


def answer_to(body: Json) -> tuple[str, str | None]:
    """The text, and the name of the tool that is asked for."""
    results = [result for message in body["messages"] if (result := result_in(message)) is not None]
    if results:
        return f"The tool said: {results[-1]}", None
    names = {(tool.get("function") or tool).get("name") for tool in body.get("tools") or ()}
    tool = next((name for name in ARGUMENTS if name in names), None)
    said = [text_in(message.get("content")) for message in body["messages"] if message["role"] == "user"]
    if asked := FILE.search(said[-1]):
        return f"{asked[1]}\n```\n{asked[2]}\n```\n", None
    return ("I look. " if tool else "Hello from the agent."), tool


def chat_chunks(body: Json) -> Iterator[Json]:
    text, tool = answer_to(body)
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    yield chunk(head, {"role": "assistant", "content": text})
    if tool:
        arguments = json.dumps(ARGUMENTS[tool])
        first, rest = arguments[:5], arguments[5:]
        opened = {"id": "call_1", "type": "function", "function": {"name": tool, "arguments": first}}
        yield chunk(head, {"tool_calls": [{"index": 0, **opened}]})
        yield chunk(head, {"tool_calls": [{"index": 0, "function": {"arguments": rest}}]})
    yield chunk(head, {}, "tool_calls" if tool else "stop")
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    yield {**head, "choices": [], "usage": usage}


def chunk(head: Json, delta: Json, finish: str | None = None) -> Json:
    return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def message_events(body: Json) -> Iterator[Json]:
    text, tool = answer_to(body)
    usage = {"input_tokens": 100, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": []}
    yield {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    yield {"type": "content_block_stop", "index": 0}
    if tool:
        block = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": {}}
        told = {"type": "input_json_delta", "partial_json": json.dumps(ARGUMENTS[tool])}
        yield {"type": "content_block_start", "index": 1, "content_block": block}
        yield {"type": "content_block_delta", "index": 1, "delta": told}
        yield {"type": "content_block_stop", "index": 1}
    end = {"stop_reason": "tool_use" if tool else "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": 20}}
    yield {"type": "message_stop"}


class Agent(BaseHTTPRequestHandler):
    """Each request is answered by itself."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
        if self.path.endswith("/messages"):
            self.send_stream(f"event: {event['type']}\n{data(event)}" for event in message_events(body))
        elif self.path.endswith("/chat/completions"):
            self.send_stream([*map(data, chat_chunks(body)), "data: [DONE]\n\n"])
        else:
            self.send(404, json.dumps({"error": {"message": f"no {self.path} here"}}), "application/json")

    def do_GET(self) -> None:
        self.send(200, "{}", "application/json")

    def send_stream(self, events: Any) -> None:
        self.send(200, "".join(events), "text/event-stream")

    def send(self, status: int, text: str, kind: str) -> None:
        whole = text.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is told of requests."""


def data(event: Json) -> str:
    return f"data: {json.dumps(event)}\n\n"


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Agent).serve_forever()
