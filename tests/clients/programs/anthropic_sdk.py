"""Anthropic's package: whole, as streams, async, a loop with a tool, an image, counting."""

import asyncio
import base64
import json
import os
from typing import Any

from anthropic import Anthropic, AsyncAnthropic, beta_tool

MODEL, HELLO = os.environ["MODEL"], [{"role": "user", "content": "hello"}]
ASKED: Any = {"model": MODEL, "max_tokens": 500, "messages": HELLO}
client: Any = Anthropic()


def tell(name: str, said: Any) -> None:
    print(json.dumps({name: said}))  # noqa: T201


@beta_tool
def look(place: str) -> str:
    """What is there."""
    return f"{place} is sunny"


def image() -> None:
    data = base64.b64encode(bytes.fromhex(os.environ["PNG"])).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "what is it?"}]
    asked = ASKED | {"messages": [{"role": "user", "content": content}]}
    tell("image", client.messages.create(**asked).content[0].text)


async def waiting() -> None:
    async with AsyncAnthropic() as other, other.messages.stream(**ASKED) as stream:
        tell("async", await stream.get_final_text())


tell("whole", client.messages.create(**ASKED).content[0].text)
with client.messages.stream(**ASKED) as running:
    tell("stream", "".join(running.text_stream))
    tell("usage", running.get_final_message().usage.output_tokens)
tell("tool", client.beta.messages.tool_runner(**ASKED, tools=[look]).until_done().content[0].text)
tell("count", client.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens > 0)
image()
asyncio.run(waiting())
tell("models", MODEL in [model.id for model in client.models.list()])
