"""A local painter that speaks OpenAI's images endpoint and Google's generateContent, with faults on request.

`answers` are taken one after another, then each request is answered well: "ok", "some:2" (so many of those that were
asked for), "address", "filtered", "none", "broken" (bytes that are no image), "no_usage", "500", "429", "cut",
"hang". While `may_answer` is cleared it draws.
"""

import base64
import contextlib
import json
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any, Self

from PIL import Image

TOKENS_AN_IMAGE = 1000
PROMPT_TOKENS = 20


def png(number: int = 0, side: int = 16) -> bytes:
    kept = BytesIO()
    Image.new("RGB", (side, side), (number * 40 % 255, 80, 120)).save(kept, "PNG")
    return kept.getvalue()


class ImageServer:
    """Serves on loopback from threads of its own; `openai_url` has `/v1`, `url` has nothing."""

    def __init__(self, *answers: str, delay: float = 0.0) -> None:
        self.answers = deque(answers)
        self.delay = delay
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.requests: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, request: dict[str, Any]) -> str:
        with self.lock:
            self.requests.append(request)
            return self.answers.popleft() if self.answers else "ok"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked = {"path": self.path, "headers": dict(self.headers), "body": body}
                answer = server.take(asked)
                time.sleep(server.delay)
                server.may_answer.wait(60)
                if answer == "cut":
                    self.close_connection = True
                    return
                if answer == "hang":
                    time.sleep(30)
                is_google = self.path.endswith(":generateContent")
                status, sent = (google if is_google else openai)(answer, body)
                content = json.dumps(sent).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def made(answer: str, asked: int) -> int:
    return int(answer.removeprefix("some:")) if answer.startswith("some:") else asked


def encoded(answer: str, number: int = 0) -> str:
    return base64.b64encode(b"no image" if answer == "broken" else png(number)).decode()


def openai(answer: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """As the images endpoint answers."""
    if answer == "filtered":
        error = {"message": "Your request was rejected by the safety system.", "code": "moderation_blocked"}
        return 400, {"error": error | {"type": "image_generation_user_error", "param": None}}
    if answer in ("500", "429"):
        return int(answer), {"error": {"message": "no", "type": "server_error", "code": None}}
    count = 0 if answer == "none" else made(answer, body["n"])
    data = [{"b64_json": encoded(answer, number)} for number in range(count)]
    if answer == "address":
        data = [{"url": "https://images.example/1.png"} for _ in range(count)]
    given = {"text_tokens": PROMPT_TOKENS, "image_tokens": 0}
    output = TOKENS_AN_IMAGE * count
    usage = {
        "input_tokens": PROMPT_TOKENS,
        "input_tokens_details": given,
        "output_tokens": output,
        "output_tokens_details": {"image_tokens": output, "text_tokens": 0},
        "total_tokens": PROMPT_TOKENS + output,
    }
    whole = {"created": 1, "data": data, "output_format": "png"}
    return 200, whole if answer == "no_usage" else whole | {"usage": usage}


def google(answer: str, _body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """As generateContent answers."""
    if answer in ("500", "429"):
        return int(answer), {"error": {"code": int(answer), "message": "no", "status": "UNAVAILABLE"}}
    told: dict[str, Any] = {"promptTokenCount": PROMPT_TOKENS, "totalTokenCount": PROMPT_TOKENS}
    told["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": PROMPT_TOKENS}]
    if answer == "filtered":
        return 200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": told}
    if answer in ("none", "IMAGE_SAFETY"):
        reason = "NO_IMAGE" if answer == "none" else answer
        return 200, {"candidates": [{"finishReason": reason, "index": 0}], "usageMetadata": told}
    thought = {"thought": True, "inlineData": {"mimeType": "image/png", "data": encoded("ok", 5)}}
    image = {"inlineData": {"mimeType": "image/png", "data": encoded(answer)}}
    if answer == "address":
        image = {"fileData": {"mimeType": "image/png", "fileUri": "https://images.example/1.png"}}
    parts = [thought, {"text": "Here it is."}, image]
    details = [{"modality": "IMAGE", "tokenCount": TOKENS_AN_IMAGE}]
    told |= {"candidatesTokenCount": TOKENS_AN_IMAGE + 30, "thoughtsTokenCount": 70}
    whole = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}]}
    if answer == "no_usage":
        return 200, whole
    return 200, whole | {"usageMetadata": told | {"candidatesTokensDetails": details}}
