#!/bin/sh
# anthropic 2.11.0: `beta.messages.tool_runner` sends a field `thread` that its caller never named, so a server that speaks the
# Messages API and refuses fields it does not know gets no tool loop. A 400 alone is raised; only one whose error has
# details.error_code "thread_unsupported_request" has the runner ask again, once, without the field.
# Needs Python and a package index. Fails once the runner begins without it, or takes any 400 for an answer.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet anthropic==2.11.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import anthropic

print("anthropic", anthropic.__version__)
asked, details = [], {}


class Messages(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked.append("thread" in body)
        if "thread" in body:
            error = {"type": "invalid_request_error", "message": "thread: not known here", **details}
            status, answer = 400, {"type": "error", "error": error}
        else:
            usage = {"input_tokens": 1, "output_tokens": 1}
            status, answer = 200, {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "usage": usage,
                                   "content": [{"type": "text", "text": "done"}], "stop_reason": "end_turn"}
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_words):
        pass


server = HTTPServer(("127.0.0.1", 0), Messages)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{server.server_port}", api_key="k", max_retries=0)


@anthropic.beta_tool
def price(of: str) -> str:
    """The price of a thing."""
    return "1"


def outcome():
    asked.clear()
    asks = [{"role": "user", "content": "hello"}]
    runner = client.beta.messages.tool_runner(model="m", max_tokens=10, messages=asks, tools=[price])
    try:
        return runner.until_done().content[0].text
    except anthropic.APIStatusError as error:
        return f"{type(error).__name__} {error.status_code}"


alone, asked_alone = outcome(), list(asked)
print("a 400 alone:", alone, "| thread in each request:", asked_alone)
details["details"] = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
told, asked_told = outcome(), list(asked)
print("a 400 with details:", told, "| thread in each request:", asked_told)
assert (alone, asked_alone) == ("BadRequestError 400", [True]), alone
assert (told, asked_told) == ("done", [True, False]), told
PYTHON
