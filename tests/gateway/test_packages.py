"""The vendors' own Python packages, unchanged but for address and key, against running processes."""

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import anthropic
import openai
import pytest

from app.models.metering.usage import Usage
from tests.gateway.conftest import ANTHROPIC_MODEL, OPENAI_MODEL
from tests.support import Database, people
from tests.support.people import CREDIT
from tests.support.pictures import png
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp

MODELS = (OPENAI_MODEL, ANTHROPIC_MODEL)
HELLO = [{"role": "user", "content": "hello"}]
LOOK = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}


class Packages:
    """Both vendors' clients with one key."""

    def __init__(self, url: str, key: str, **options: Any) -> None:
        self.openai: Any = openai.OpenAI(base_url=f"{url}/v1", api_key=key, **options)
        self.anthropic: Any = anthropic.Anthropic(base_url=url, api_key=key, **options)
        self.async_openai = partial(openai.AsyncOpenAI, base_url=f"{url}/v1", api_key=key, **options)
        self.async_anthropic = partial(anthropic.AsyncAnthropic, base_url=url, api_key=key, **options)


def in_a_thread(waiting: Coroutine[Any, Any, Any]) -> Any:
    """Run it to its end apart from this thread, where a browser's tests may have left a loop that runs."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, waiting).result()


@pytest.fixture
def served(start_app: Callable[..., RunningApp], session: Database) -> tuple[Packages, Database]:
    """ada's clients in front of a running web process."""
    people.model(OPENAI_MODEL, takes_images=True)
    people.model(ANTHROPIC_MODEL, kind="anthropic", takes_images=True)
    key = people.api_key(people.person("ada", credits=1000 * CREDIT))
    web = start_app("web")
    return Packages(web.url, key), session


def newest_call(session: Database) -> Usage:
    session.rollback()
    return session.query(Usage).order_by(Usage.id.desc()).first()


def test_whole_answers_streams_tools_and_images_go_there_and_back(
    served: tuple[Packages, Any], provider: ProviderServer
) -> None:
    packages, session = served
    provider.configure(text="Straße 東京 🙂", reasoning=2)
    for model in MODELS:
        check_openai(packages.openai, session, model)
        check_responses(packages.openai, session, model)
        check_anthropic(packages.anthropic, session, model)
        in_a_thread(check_async(packages, model))
    provider.reset()
    provider.configure(fault="tool_calls")
    for model in MODELS:
        use_tools(packages, model)
    provider.configure(fault="", tokens=3)
    for model in MODELS:
        show_an_image(packages, model)


def check_openai(client: Any, session: Any, model: str) -> None:
    whole = client.chat.completions.create(model=model, messages=HELLO)
    assert whole.choices[0].message.content == "Straße 東京 🙂"
    assert whole.usage.cost_nanos == newest_call(session).paid_nanos > 0
    usage_asked = {"include_usage": True}
    chunks = [*client.chat.completions.create(model=model, messages=HELLO, stream=True, stream_options=usage_asked)]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "Straße 東京 🙂"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.cost_nanos == newest_call(session).paid_nanos
    assert chunks[-1].usage.call_id == str(newest_call(session).id)
    assert chunks[-1].usage.completion_tokens == newest_call(session).output
    silent = [*client.chat.completions.create(model=model, messages=HELLO, stream=True)]
    assert all(chunk.choices and chunk.usage is None for chunk in silent)


def check_responses(client: Any, session: Any, model: str) -> None:
    whole = client.responses.create(model=model, input="hello")
    assert (whole.output_text, whole.status) == ("Straße 東京 🙂", "completed")
    assert whole.usage.cost_nanos == newest_call(session).paid_nanos > 0
    with client.responses.stream(model=model, input="hello") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert text == final.output_text == "Straße 東京 🙂"
    assert final.usage.output_tokens == newest_call(session).output


def check_anthropic(client: Any, session: Any, model: str) -> None:
    whole = client.messages.create(model=model, max_tokens=300, messages=HELLO)
    assert (whole.content[-1].text, whole.stop_reason) == ("Straße 東京 🙂", "end_turn")
    assert whole.usage.output_tokens == newest_call(session).output
    with client.messages.stream(model=model, max_tokens=300, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    call = newest_call(session)
    assert text == final.content[-1].text == "Straße 東京 🙂"
    assert final.content[0].type == "thinking"
    assert stream.response.headers["x-call-id"] == str(call.id)
    assert (final.usage.input_tokens, final.usage.output_tokens) == (call.uncached_input, call.output)


async def check_async(packages: Packages, model: str) -> None:
    async with packages.async_openai() as client:
        whole = await client.chat.completions.create(model=model, messages=HELLO)
        assert whole.choices[0].message.content == "Straße 東京 🙂"
    async with (
        packages.async_anthropic() as other,
        other.messages.stream(model=model, max_tokens=300, messages=HELLO) as stream,
    ):
        assert (await stream.get_final_message()).content[-1].text == "Straße 東京 🙂"


def use_tools(packages: Packages, model: str) -> None:
    function = {"name": "look", "parameters": LOOK}
    tools = [{"type": "function", "function": function}]
    first = packages.openai.chat.completions.create(model=model, messages=HELLO, tools=tools)
    [call] = first.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("look", {})
    assert first.choices[0].finish_reason == "tool_calls"
    answered = packages.openai.responses.create(
        model=model, input="hello", tools=[{"type": "function", **function, "strict": False}]
    )
    assert [item.name for item in answered.output if item.type == "function_call"] == ["look"]
    said = packages.anthropic.messages.create(
        model=model, max_tokens=300, messages=HELLO, tools=[{"name": "look", "input_schema": LOOK}]
    )
    assert said.stop_reason == "tool_use"
    assert [(block.name, block.input) for block in said.content if block.type == "tool_use"] == [("look", {})]


def show_an_image(packages: Packages, model: str) -> None:
    data = base64.b64encode(png(64, 64)).decode()
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    messages: Any = [{"role": "user", "content": [part, {"type": "text", "text": "what is it?"}]}]
    assert packages.openai.chat.completions.create(model=model, messages=messages).choices[0].message.content
    source = {"type": "base64", "media_type": "image/png", "data": data}
    blocks: Any = [{"type": "image", "source": source}, {"type": "text", "text": "what is it?"}]
    said = packages.anthropic.messages.create(
        model=model, max_tokens=300, messages=[{"role": "user", "content": blocks}]
    )
    assert said.content[0].text
