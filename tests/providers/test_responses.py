"""Responses of OpenAI's own hosts, where nothing is stored; and who does not speak them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import openai
import pytest

from app.providers.base import Prompt, PromptMessage, WirePrompt
from app.providers.openai import OpenAIProvider
from tests.support.provider_server import ProviderServer
from tests.support.replies import PATIENT, outcome_of

SEALED = "reasoning.encrypted_content"
HELLO = {"role": "user", "content": "hello"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "look", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "a", "output": "sunny"}


@pytest.fixture
def vendor(server: ProviderServer) -> Iterator[OpenAIProvider]:
    """One that speaks responses, as if it were OpenAI's."""
    end = {"type": "response.completed", "response": {"usage": {"input_tokens": 9, "output_tokens": 2}}}
    server.bodies["end"] = f"data: {json.dumps(end)}\n\n".encode()
    server.configure(replay="end")
    made = OpenAIProvider(base_url=server.openai_url, api_key="k", patience=PATIENT)
    made.is_openai = True
    yield made
    made.client.close()


def asking(body: dict[str, Any], *, is_reasoning: bool = True) -> WirePrompt:
    instead = WirePrompt("m", (), 9, dialect="chat", body={"messages": [HELLO]})
    return WirePrompt("m", (), 9, is_reasoning, dialect="responses", body=body, instead=instead)


@pytest.mark.parametrize(
    ("is_openai", "is_reasoning", "asked", "sent"),
    [
        (True, True, {}, [SEALED]),
        (True, True, {"include": ["other", SEALED]}, ["other", SEALED]),
        (True, False, {}, None),
        (False, True, {}, None),
    ],
)
def test_thoughts_go_with_the_answer_sealed(
    vendor: OpenAIProvider,
    server: ProviderServer,
    is_openai: bool,
    is_reasoning: bool,
    asked: dict[str, Any],
    sent: list[str] | None,
) -> None:
    """Agents send back what they were given: without its seal OpenAI looks for a thought that it never stored."""
    vendor.is_openai = is_openai
    outcome_of(vendor.stream(asking({"input": "hi"} | asked, is_reasoning=is_reasoning)))
    assert server.last["body"].get("include") == sent


def test_a_model_without_thoughts_is_asked_again(
    vendor: OpenAIProvider, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, told = vendor.post, {"message": "Encrypted content is not supported with this model.", "param": "include"}

    def post(prompt: Prompt, path: str, body: dict[str, Any]) -> httpx2.Response:
        if SEALED not in body.get("include", ()):
            return send(prompt, path, body)
        response = httpx2.Response(400, request=httpx2.Request("POST", server.url))
        raise openai.BadRequestError("no", response=response, body=told)

    monkeypatch.setattr(vendor, "post", post)
    assert outcome_of(vendor.stream(asking({"input": "hi"}))).usage.output == 2
    assert outcome_of(vendor.stream(asking({"input": "hi", "include": [SEALED]}))).reason == "rejected"


SEEN = {"reasoning": {"effort": "low", "summary": "auto"}}
FOREIGN = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}


@pytest.mark.parametrize(
    ("told", "body", "sent"),
    [
        ({"param": "reasoning.summary", "code": "unsupported_value"}, SEEN, {"reasoning": {"effort": "low"}}),
        ({"param": None, "code": "invalid_encrypted_content"}, {"input": [HELLO, FOREIGN]}, {"input": [HELLO]}),
    ],
)
def test_thoughts_that_cannot_be_told_are_left_out(
    vendor: OpenAIProvider,
    server: ProviderServer,
    monkeypatch: pytest.MonkeyPatch,
    told: dict[str, Any],
    body: dict[str, Any],
    sent: dict[str, Any],
) -> None:
    """OpenAI shows them to verified organisations alone, and reads those that it sealed for the same one."""
    send, body = vendor.post, {"input": "hi"} | body

    def post(prompt: Prompt, path: str, asked: dict[str, Any]) -> httpx2.Response:
        if not asked.items() >= body.items():
            return send(prompt, path, asked)
        response = httpx2.Response(400, request=httpx2.Request("POST", server.url))
        raise openai.BadRequestError("no", response=response, body={"message": "no", **told})

    monkeypatch.setattr(vendor, "post", post)
    translated = replace(asking(body), messages=(PromptMessage("user", "hi"),))
    assert outcome_of(vendor.stream(translated)).usage.output == 2
    assert server.last["body"].items() >= sent.items()


@pytest.mark.parametrize("seal", [None, "gAAA"])
def test_thoughts_without_a_seal_are_left_out(vendor: OpenAIProvider, server: ProviderServer, seal: str | None) -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal}
    items = [HELLO, thought, CALL, RESULT]
    outcome_of(vendor.stream(asking({"input": items})))
    bare = {name: value for name, value in CALL.items() if name != "id"}
    assert server.last["body"]["input"] == (items if seal else [HELLO, bare, RESULT])


@pytest.mark.parametrize(
    ("field", "code", "path"),
    [
        ("input", None, "/v1/responses"),
        (None, "DeploymentNotFound", "/v1/responses"),
        (None, None, "/v1/chat/completions"),
    ],
)
def test_an_item_that_is_not_found_says_that_responses_are_spoken(
    vendor: OpenAIProvider,
    server: ProviderServer,
    monkeypatch: pytest.MonkeyPatch,
    field: str | None,
    code: str | None,
    path: str,
) -> None:
    """One caller's unknown item had all others asked in chat completions from then on."""
    send, told = vendor.post, {"message": "Item with id 'rs_1' not found.", "param": field, "code": code}

    def post(prompt: Prompt, path: str, body: dict[str, Any]) -> httpx2.Response:
        if body.get("input") != "lost":
            return send(prompt, path, body)
        response = httpx2.Response(404, request=httpx2.Request("POST", server.url))
        raise openai.NotFoundError("no", response=response, body=told)

    monkeypatch.setattr(vendor, "post", post)
    outcome_of(vendor.stream(asking({"input": "lost"})))
    outcome_of(vendor.stream(asking({"input": "hi"})))
    assert server.last["path"] == path
