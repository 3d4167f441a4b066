"""How a provider is asked where its row says more than its address: tier, limit's name, running figures."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from app.providers.anthropic import AnthropicProvider
from app.providers.base import Prompt, ProviderOptions, WirePrompt
from app.providers.concessions import Concessions
from app.providers.openai import OpenAIProvider
from tests.support.provider_server import ProviderServer
from tests.support.replies import PATIENT, asking, outcome_of

Opened = Callable[..., OpenAIProvider]


@pytest.fixture
def opened(server: ProviderServer) -> Iterator[Opened]:
    """A provider with these options, closed afterwards."""
    made = []

    def of(**options: object) -> OpenAIProvider:
        asked = ProviderOptions(**options)  # type: ignore[arg-type]
        made.append(OpenAIProvider(base_url=server.openai_url, api_key="k", patience=PATIENT, options=asked))
        return made[-1]

    yield of
    for provider in made:
        with closing(provider.client):
            pass


def test_the_tier_is_asked_for_and_left_out_where_it_is_refused(opened: Opened, server: ProviderServer) -> None:
    vendor = opened(service_tier="default")
    outcome_of(vendor.stream(asking("hi")))
    assert server.last["body"]["service_tier"] == "default"

    server.configure(refused="service_tier", tokens=1)
    assert outcome_of(vendor.stream(asking("hi"))).text == "word0 "
    assert "service_tier" not in server.last["body"]


def test_responses_are_asked_for_at_the_tier_too(opened: Opened, server: ProviderServer) -> None:
    end = {"type": "response.completed", "response": {"usage": {"input_tokens": 9, "output_tokens": 2}}}
    server.bodies["end"] = f"data: {json.dumps(end)}\n\n".encode()
    server.configure(replay="end")
    prompt = WirePrompt("m", (), 9, dialect="responses", body={"input": "hi"})
    vendor = opened(service_tier="flex")
    assert outcome_of(vendor.stream(prompt)).usage.output == 2
    assert server.last["body"]["service_tier"] == "flex"

    server.configure(refused="service_tier")
    assert outcome_of(vendor.stream(prompt)).usage.output == 2
    assert "service_tier" not in server.last["body"]


def test_more_output_than_asked_has_the_limit_sent_by_both_names(opened: Opened, server: ProviderServer) -> None:
    vendor = opened()
    server.bodies["deaf"] = (
        b'data: {"choices":[{"delta":{"content":"word "},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":9,"completion_tokens":50,"total_tokens":59}}\n\ndata: [DONE]\n\n'
    )
    outcome_of(vendor.stream(asking("[[replay=deaf]]", most=6)))
    assert "max_completion_tokens" not in server.last["body"]

    outcome_of(vendor.stream(asking("hi", most=6)))
    assert (server.last["body"]["max_tokens"], server.last["body"]["max_completion_tokens"]) == (6, 6)


@pytest.mark.parametrize("output", [1, 6, 8])
def test_an_ordinary_end_at_the_limit_teaches_nothing(opened: Opened, server: ProviderServer, output: int) -> None:
    vendor = opened()
    server.bodies["ends"] = (
        b'data: {"choices":[{"delta":{"content":"word "},"finish_reason":"length"}],'
        b'"usage":{"prompt_tokens":9,"completion_tokens":%d}}\n\ndata: [DONE]\n\n' % output
    )
    outcome_of(vendor.stream(asking("[[replay=ends]]", most=6)))

    assert vendor.limit_name("m") == "max_tokens"


def test_a_server_that_refuses_both_names_gets_one(opened: Opened, server: ProviderServer) -> None:
    vendor = opened(limit_name="both")
    server.configure(refused="max_tokens", tokens=1)

    assert outcome_of(vendor.stream(asking("hi", most=9))).text == "word0 "
    assert "max_tokens" not in server.last["body"]
    assert server.last["body"]["max_completion_tokens"] == 9


@pytest.mark.parametrize("is_running", [True, False])
def test_running_figures_make_stop_exact(opened: Opened, server: ProviderServer, is_running: bool) -> None:
    """What llama.cpp sends with `timings_per_token`: a count with each piece."""
    vendor = opened(reports_running=is_running)
    pieces = [
        f'data: {{"choices":[{{"delta":{{"content":"w{number} "}}}}],'
        f'"timings":{{"cache_n":3,"prompt_n":5,"predicted_n":{number}}}}}\n\n'
        for number in range(1, 200)
    ]
    server.bodies["running"] = "".join(pieces).encode()
    reply = vendor.stream(asking("[[replay=running pieces=60 delay=0.01]]"))
    told = ""
    for text in reply:
        told += text
        if len(told.split()) >= 4:
            reply.close()

    assert len(told.split()) < 199
    assert server.last["body"].get("timings_per_token") == (True if is_running else None)
    usage = reply.usage
    figures = (usage.source, usage.uncached_input, usage.cache_read, usage.output)
    assert figures == (("reported", 5, 3, len(told.split())) if is_running else ("none", 0, 0, 0))


def test_a_server_that_refuses_stream_options_is_asked_without(opened: Opened, server: ProviderServer) -> None:
    vendor = opened(reports_running=True)
    server.configure(refused="stream_options", tokens=1)

    texts = [outcome_of(vendor.stream(asking("hi"))).text for _ in range(2)]

    assert (texts, server.count) == (["word0 ", "word0 "], 3)
    assert "stream_options" not in server.last["body"]


def test_fields_that_the_answer_does_not_need_are_left_out_where_they_are_refused(
    opened: Opened, server: ProviderServer
) -> None:
    """Mistral takes no `user`, which Claude Code sends with each request."""
    vendor = opened()
    server.configure(refused="user", tokens=1)
    prompt = WirePrompt("m", (), 9, body={"messages": [], "user": "ada", "metadata": {"a": "b"}})

    texts = [outcome_of(vendor.stream(prompt)).text for _ in range(2)]

    assert (texts, server.count) == (["word0 ", "word0 "], 3)
    assert ("user" in server.last["body"], server.last["body"]["metadata"]) == (False, {"a": "b"})


TURNS: list[dict[str, Any]] = [
    {"role": "user"},
    {"role": "assistant", "tool_calls": [{"id": name, "function": {"name": "look"}} for name in "ab"]},
    {"role": "tool"},
]
SIGNED = {"extra_content": {"google": {"thought_signature": "skip_thought_signature_validator"}}}
LOST = [
    ("Function call is missing a thought_signature in functionCall parts. See the docs.",
     {"tool_calls": [TURNS[1]["tool_calls"][0] | SIGNED, TURNS[1]["tool_calls"][1]]},
     {"tool_calls": [{"extra_content": {"google": {"thought_signature": "own"}}}, {}]}),
    ("The `reasoning_content` in the thinking mode must be passed back to the API.",
     {"reasoning_content": " "}, {"reasoning_content": "own"}),
    ("Missing `reasoning_content` field in the assistant message at message index 1.",
     {"reasoning_content": " "}, {"reasoning_content": "own"}),
    ("Unable to submit request because function call `look` in the 2. content block is missing a `thought_signature`.",
     {"tool_calls": [TURNS[1]["tool_calls"][0] | SIGNED, TURNS[1]["tool_calls"][1]]},
     {"tool_calls": [{"extra_content": {"google": {"thought_signature": "own"}}}, {}]}),
    ("thinking is enabled but reasoning_content is missing in assistant tool call message at index 1",
     {"reasoning_content": " "}, {"reasoning_content": "own"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("thinking", "sent"), [({"type": "enabled", "budget_tokens": 5}, {"type": "disabled"}), ({"type": "adaptive"},) * 2]
)
def test_thoughts_of_another_model_are_left_out_where_they_are_refused(
    server: ProviderServer, monkeypatch: pytest.MonkeyPatch, thinking: dict[str, Any], sent: dict[str, Any]
) -> None:
    """As where somebody goes on with another model in Claude Code."""
    vendor = AnthropicProvider(base_url=server.url, api_key="k", patience=PATIENT)
    send = vendor.client.post

    def post(path: str, *, body: dict[str, Any], **options: Any) -> httpx2.Response:
        if "hm" not in str(body):
            return send(path, body=body, **options)
        told = {"error": {"message": "messages.1.content.0: Invalid `signature` in `thinking` block"}}
        response = httpx2.Response(400, request=httpx2.Request("POST", server.url))
        raise anthropic.BadRequestError("no", response=response, body=told)

    monkeypatch.setattr(vendor.client, "post", post)
    thoughts = [{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "redacted_thinking", "data": "hm"}]
    call, hello = {"type": "tool_use", "id": "a"}, {"role": "user", "content": "hello"}
    turns = [hello, {"role": "assistant", "content": thoughts}, {"role": "assistant", "content": [*thoughts, call]}]
    body = {"messages": turns, "thinking": thinking}
    with closing(vendor.client):
        outcome_of(vendor.stream(WirePrompt("m", (), 9, dialect="messages", body=body)))
    assert server.last["body"]["messages"] == [hello, {"role": "assistant", "content": [call]}]
    assert server.last["body"]["thinking"] == sent


def test_an_answer_stands_between_results_and_the_user_for_who_asks_for_it() -> None:
    """Mistral, of what Claude Code says beside the results of its tools."""
    said: list[dict[str, Any]] = [{"role": "tool"}, {"role": "tool"}, {"role": "user"}, {"role": "user"}]
    prompt, concessions = WirePrompt("m", (), 9, body={"messages": said}), Concessions()
    told = {"object": "error", "message": "Unexpected role 'user' after role 'tool'", "code": "3230"}
    assert concessions.applied({"messages": said}, prompt)["messages"] == said
    assert concessions.learn(str(told), told, prompt)
    roles = [message["role"] for message in concessions.applied({"messages": said}, prompt)["messages"]]
    assert roles == ["tool", "tool", "assistant", "user", "user"]


def test_a_refusal_that_repeats_what_was_sent_teaches_nothing() -> None:
    prompt, concessions = WirePrompt("m", (), 9, body={"messages": []}), Concessions()
    said = ["Function tools with reasoning_effort are not supported", *(told for told, _mended, _kept in LOST)]
    for told in said:
        repeated = f"Invalid value: '{told}'"
        assert not concessions.learn(repeated, {"message": repeated}, prompt)
        assert concessions.learn(told, [{"error": {"message": told}}], replace(prompt, model=told))


@pytest.mark.parametrize(("told", "mended", "kept"), LOST)
def test_what_clients_lose_between_turns_is_made_up_for_who_asks_for_it(
    opened: Opened,
    server: ProviderServer,
    monkeypatch: pytest.MonkeyPatch,
    told: str,
    mended: dict[str, Any],
    kept: dict[str, Any],
) -> None:
    """Gemini refuses to go on from calls without their signature, DeepSeek and Kimi from answers without thoughts."""
    vendor = opened()
    send = vendor.post

    def post(prompt: Prompt, path: str, body: dict[str, Any]) -> httpx2.Response:
        if body["messages"][1] in (TURNS[1] | mended, TURNS[1] | kept):
            return send(prompt, path, body)
        request = httpx2.Request("POST", server.url)
        raise openai.BadRequestError("no", response=httpx2.Response(400, request=request), body=[{"error": told}])

    monkeypatch.setattr(vendor, "post", post)
    for own, sent in (({}, mended), (kept, kept)):
        body = {"messages": [TURNS[0], TURNS[1] | own, TURNS[2]]}
        assert outcome_of(vendor.stream(WirePrompt("m", (), 9, body=body))).finish_reason == "length"
        assert server.last["body"]["messages"] == [TURNS[0], TURNS[1] | sent, TURNS[2]]


@pytest.mark.parametrize("asked", [None, "high"])
def test_a_model_that_thinks_beside_no_tools_calls_them_without_thinking(
    opened: Opened, server: ProviderServer, monkeypatch: pytest.MonkeyPatch, asked: str | None
) -> None:
    """OpenAI's newer ones in this format. Whoever asked for an effort in it is told instead."""
    vendor = opened()
    send = vendor.post

    def post(prompt: Prompt, path: str, body: dict[str, Any]) -> httpx2.Response:
        if body.get("reasoning_effort") == "none" or "tools" not in body:
            return send(prompt, path, body)
        request = httpx2.Request("POST", server.url)
        told = {"message": "Function tools with reasoning_effort are not supported for m in /v1/chat/completions."}
        raise openai.BadRequestError("no", response=httpx2.Response(400, request=request), body=told)

    monkeypatch.setattr(vendor, "post", post)
    server.configure(tokens=1)
    body = {"messages": [], "tools": [{}], **({"reasoning_effort": asked} if asked else {})}
    for said, fails in (((), asked is not None), (asking("hi").messages, False)):
        outcome = outcome_of(vendor.stream(WirePrompt("m", said, 9, body=body)))
        assert (outcome.error is not None) is fails
    assert server.last["body"]["reasoning_effort"] == "none"
    outcome_of(vendor.stream(WirePrompt("m", (), 9, body={"messages": []})))
    assert "reasoning_effort" not in server.last["body"]


@pytest.mark.parametrize(
    ("usage", "tier"),
    [
        ({"service_tier": "standard"}, "standard"),
        ({"service_tier": "standard", "speed": "standard", "inference_geo": "global"}, "standard"),
        ({"service_tier": "standard", "inference_geo": "not_available"}, "standard"),
        ({"service_tier": "standard", "inference_geo": "us"}, "us"),
        ({"service_tier": "priority", "speed": "fast", "inference_geo": "us"}, "fast"),
    ],
)
def test_speed_and_place_are_tiers_of_their_own(server: ProviderServer, usage: dict[str, Any], tier: str) -> None:
    """Both raise each price of Anthropic's, whatever the service tier."""
    events = (
        {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1, **usage}}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    )
    server.bodies["tier"] = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
    vendor = AnthropicProvider(base_url=server.url, api_key="k")
    reply = vendor.stream(asking("[[replay=tier]]"))
    outcome_of(reply)
    vendor.client.close()

    assert reply.evidence.service_tier == tier
