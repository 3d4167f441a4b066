"""A server of one tool, `look`, by the Model Context Protocol over standard input and output."""

import json
import sys
from typing import Any

LOOK = {
    "name": "look",
    "description": "Look",
    "inputSchema": {"type": "object", "properties": {"place": {"type": "string"}}},
}


def result_of(method: str, asked: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        named = {"serverInfo": {"name": "weather", "version": "1"}, "capabilities": {"tools": {}}}
        return {"protocolVersion": asked["protocolVersion"], **named}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": f"{asked['arguments']['place']} is sunny"}]}
    return {"tools": [LOOK]} if method == "tools/list" else {}


for line in sys.stdin:
    request = json.loads(line)
    if "id" in request:
        answer = result_of(request["method"], request.get("params") or {})
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": answer}), flush=True)  # noqa: T201
