"""OpenAI's Agents SDK: a loop with a tool, the same as a stream, and a later turn of the same conversation."""

import asyncio
import json
import os
from typing import Any

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI


def tell(name: str, said: Any) -> None:
    print(json.dumps({name: said}))  # noqa: T201


@function_tool
def look(place: str) -> str:
    """What is there."""
    return f"{place} is sunny"


async def use(name: str, model: Any) -> None:
    agent = Agent(name="Guide", instructions="Be brief.", model=model, tools=[look])
    first = await Runner.run(agent, "hello")
    tell(name, first.final_output)
    running = Runner.run_streamed(agent, "hello")
    async for _event in running.stream_events():
        pass
    tell(f"{name} stream", running.final_output)
    said: Any = [*first.to_input_list(), {"role": "user", "content": "and now?"}]
    tell(f"{name} later", (await Runner.run(agent, said)).final_output)


async def main() -> None:
    client, model = AsyncOpenAI(), os.environ["MODEL"]
    await use("chat", OpenAIChatCompletionsModel(model=model, openai_client=client))
    await use("responses", OpenAIResponsesModel(model=model, openai_client=client))


set_tracing_disabled(True)
asyncio.run(main())
