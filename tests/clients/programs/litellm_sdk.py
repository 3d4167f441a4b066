"""LiteLLM's package, through both of its routes: OpenAI's and Anthropic's."""

import json
import os
from typing import Any

import litellm

MODEL = os.environ["MODEL"]
HELLO: Any = [{"role": "user", "content": "hello"}]
PLACE = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
TOOLS = [{"type": "function", "function": {"name": "look", "description": "What is there", "parameters": PLACE}}]


def tell(name: str, said: Any) -> None:
    print(json.dumps({name: said}))  # noqa: T201


for route in ("openai", "anthropic"):
    name = f"{route}/{MODEL}"
    whole: Any = litellm.completion(model=name, messages=HELLO, max_tokens=500)
    tell(f"{route} whole", whole.choices[0].message.content)
    chunks: Any = litellm.completion(model=name, messages=HELLO, max_tokens=500, stream=True)
    tell(f"{route} stream", "".join(chunk.choices[0].delta.content or "" for chunk in chunks))
    first: Any = litellm.completion(model=name, messages=HELLO, tools=TOOLS, max_tokens=500)
    [call] = first.choices[0].message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": "Rome is sunny"}
    said = [*HELLO, first.choices[0].message, result]
    last: Any = litellm.completion(model=name, messages=said, tools=TOOLS, max_tokens=500)
    tell(f"{route} tool", last.choices[0].message.content)
