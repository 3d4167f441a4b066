"""OpenAI's package: whole, as streams, async, a loop with a tool, an image, responses, embeddings."""

import asyncio
import base64
import json
import os
from typing import Any

from openai import AsyncOpenAI, OpenAI

MODEL, HELLO = os.environ["MODEL"], [{"role": "user", "content": "hello"}]
LOOK = {
    "name": "look",
    "description": "What is there",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
}
client: Any = OpenAI()


def tell(name: str, said: Any) -> None:
    print(json.dumps({name: said}))  # noqa: T201


def chat() -> None:
    whole = client.chat.completions.create(model=MODEL, messages=HELLO)
    tell("whole", whole.choices[0].message.content)
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = [*client.chat.completions.create(model=MODEL, messages=HELLO, **asked)]
    tell("stream", "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))
    tell("cost", chunks[-1].usage.cost_nanos > 0)


def tool_loop() -> None:
    tools, messages = [{"type": "function", "function": LOOK}], [*HELLO]
    first = client.chat.completions.create(model=MODEL, messages=messages, tools=tools)
    [call] = first.choices[0].message.tool_calls
    place = json.loads(call.function.arguments)["place"]
    result = {"role": "tool", "tool_call_id": call.id, "content": f"{place} is sunny"}
    last = client.chat.completions.create(
        model=MODEL, messages=[*messages, first.choices[0].message, result], tools=tools
    )
    tell("tool", last.choices[0].message.content)


def response_loop() -> None:
    tools = [{"type": "function", "strict": False, **LOOK}]
    with client.responses.stream(model=MODEL, input="hello", tools=tools, store=False) as stream:
        first = stream.until_done().get_final_response()
    [call] = [item for item in first.output if item.type == "function_call"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "Rome is warm"}
    said: list[Any] = [*HELLO, *first.output, result]
    tell("response", client.responses.create(model=MODEL, input=said, tools=tools, store=False).output_text)


def image() -> None:
    pixel = base64.b64encode(bytes.fromhex(os.environ["PNG"])).decode()
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{pixel}"}}
    messages: Any = [{"role": "user", "content": [part, {"type": "text", "text": "what is it?"}]}]
    tell("image", client.chat.completions.create(model=MODEL, messages=messages).choices[0].message.content)


def vectors() -> None:
    made = client.embeddings.create(model=os.environ["EMBEDDER"], input=["one", "two"])
    tell("vectors", [len(item.embedding) for item in made.data])


async def waiting() -> None:
    async with AsyncOpenAI() as other:
        told: Any = await other.chat.completions.create(model=MODEL, messages=HELLO, stream=True)  # type: ignore[call-overload]
        tell("async", "".join([chunk.choices[0].delta.content or "" async for chunk in told]))


chat()
tool_loop()
response_loop()
image()
vectors()
asyncio.run(waiting())
tell("models", MODEL in [model.id for model in client.models.list()])
