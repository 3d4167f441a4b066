"""The bare proxies: a Flask route in front of the same provider, without any metering.

`sdk` iterates the openai SDK's chunks; `raw` passes the lines on; both under gunicorn's gthread as Tollgate is.
"""

import os
from collections.abc import Iterator
from typing import Any

import openai
from flask import Flask, Response, request

app = Flask(__name__)
client = openai.OpenAI(base_url=os.environ["OPENAI_BASE_URL"], api_key="sk-bench")


def options() -> dict[str, Any]:
    sent = request.get_json()
    wanted = {"model": sent["model"], "messages": sent["messages"], "max_tokens": 4096}
    return wanted | {"stream": True, "stream_options": {"include_usage": True}}


@app.post("/sdk")
def sdk() -> Response:
    chunks = client.chat.completions.create(**options())

    def events() -> Iterator[str]:
        for chunk in chunks:
            yield f"data: {chunk.model_dump_json()}\n\n"
        yield "data: [DONE]\n\n"

    return Response(events(), content_type="text/event-stream")


@app.post("/raw")
def raw() -> Response:
    manager = client.chat.completions.with_streaming_response.create(**options())

    def events() -> Iterator[str]:
        with manager as answer:
            for line in answer.iter_lines():
                if line:
                    yield f"{line}\n\n"

    return Response(events(), content_type="text/event-stream")
