"""Requests of an outsider: a wrong type anywhere is told by its field, whatever the provider speaks; never a 500."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from app.gateway.prompts import GatewayRequest
from app.models.catalog.ai_model import AIModel
from app.models.catalog.provider_account import ProviderAccount
from app.models.metering.refusal import InvalidRequest, Refusal
from tests.conftest import IS_LONG
from tests.gateway.conftest import ANTHROPIC_MODEL, OPENAI_MODEL, PATHS, Program
from tests.support import Database
from tests.support.people import CREDIT
from tests.support.provider_server import ProviderServer

PNG, PDF = "iVBORw0KGgo=", "JVBERg=="
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
LOOK = {"name": "look", "description": "d", "parameters": SCHEMA}
BASE64 = {"type": "base64", "media_type": "image/png", "data": PNG}
SAMPLING: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "metadata": {"a": "b"}, "stream": False}
OPENAI = SAMPLING | {
    "user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "explicit"}, "service_tier": "auto", "store": False, "parallel_tool_calls": False,
    "stream_options": {"include_usage": True}, "top_logprobs": 0, "reasoning": {"effort": "low"},
}  # fmt: skip
BLOCKS: list[dict[str, Any]] = [
    {"role": "user", "content": [
        {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "image", "source": BASE64},
        {"type": "document", "title": "t", "source": BASE64 | {"data": PDF}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "abc"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}},
    ]},
    {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"a": 1}},
    ]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": [
        {"type": "text", "text": "x"}, {"type": "image", "source": BASE64},
    ]}]},
]  # fmt: skip
WHOLE: dict[str, dict[str, Any]] = {
    "chat": OPENAI | {
        "model": "m", "max_tokens": 300, "max_completion_tokens": 300, "n": 1, "modalities": ["text"],
        "messages": [
            {"role": "system", "content": "s"}, {"role": "developer", "content": [{"type": "text", "text": "d"}]},
            {"role": "user", "name": "u", "content": [
                {"type": "text", "text": "hi"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
            ]},
            {"role": "assistant", "content": "x", "refusal": "r", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}},
            ], "thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "r"}]},
            {"role": "assistant", "refusal": "r"},
            {"role": "assistant", "content": [
                {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}},
                {"type": "refusal", "refusal": "r"},
            ]},
            *BLOCKS,
        ],
        "tools": [{"type": "function", "function": LOOK}, {"name": "cut", "input_schema": SCHEMA}],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "stop": ["x"], "seed": 1, "frequency_penalty": 0, "presence_penalty": 0, "logit_bias": {"5": 1},
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
        "reasoning_effort": "low", "verbosity": "low", "top_k": 1, "min_p": 0.1, "repetition_penalty": 1,
        "thinking": {"type": "enabled"}, "chat_template_kwargs": {"a": 1},
        "cache_control": {"type": "ephemeral"}, "enable_thinking": False, "thinking_budget": 0,
        "include_reasoning": True,
    },
    "responses": OPENAI | {
        "model": "m", "max_output_tokens": 300, "background": False,
        "input": [
            {"role": "user", "content": "a"},
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "x"}]},
            {"type": "message", "role": "user", "content": [
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
            ]},
            {"type": "reasoning", "id": "r", "summary": []},
            {"type": "function_call", "call_id": "c", "name": "look", "namespace": "ns", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "x"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "cut", "input": "{}"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "x"}]},
            {"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": "x"}, {"type": "refusal", "refusal": "r"},
            ]},
        ],
        "tools": [
            {"type": "function", "strict": False, **LOOK}, {"type": "custom", "name": "cut", "description": "d"},
            {"type": "namespace", "name": "ns", "description": "d", "tools": [{"type": "function", **LOOK}]},
        ],
        "tool_choice": {"type": "function", "name": "look"}, "instructions": "i", "include": ["a"],
        "text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}, "verbosity": "low"},
        "truncation": "auto", "max_tool_calls": 4, "client_metadata": {"a": "b"},
    },
    "messages": SAMPLING | {
        "model": "m", "max_tokens": 300, "top_k": 5, "stop_sequences": ["x"], "cache_control": {"type": "ephemeral"},
        "messages": BLOCKS,
        "system": [{"type": "text", "text": "s"}], "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [{"name": "look", "description": "d", "input_schema": SCHEMA, "type": "custom"}],
        "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
        "service_tier": "auto", "speed": "standard", "inference_geo": "global", "mcp_servers": [],
        "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
    },
}  # fmt: skip
ALLOWED = {"mode": "auto", "tools": [{"type": "function", "function": {"name": "look"}}]}
OTHERWISE: dict[str, list[dict[str, Any]]] = {
    "chat": [{"tool_choice": {"type": "allowed_tools", "allowed_tools": ALLOWED}}],
    "responses": [
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]}},
        {"tools": [{"type": "shell", "environment": {"type": "local"}}]},
        {"input": [{"type": "additional_tools", "role": "developer", "tools": [{"type": "shell", "environment": {}}]}]},
    ],
    "messages": [
        {"messages": [{"role": "user", "content": [{"type": "tool_addition", "tool": {"definition": LOOK}}]}]}
    ],
}
"""Fields that have another form as well."""

WRONG: list[Any] = [
    None, True, -1, 1.5, 10**30, "", "wrong", "\0", "data:,", [], {}, [None], ["a"], [[]], {"a": 1}, {"type": 5},
    [{"type": {}}],
]  # fmt: skip
Path = tuple[int | str, ...]


def paths(node: Any, at: Path = ()) -> Iterator[Path]:
    """The way to everything that stands in it."""
    items: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*at, key)
        yield from paths(value, (*at, key))


def changed(node: Any, at: Path, value: Any) -> Any:
    """A copy in which that stands there."""
    if not at:
        return value
    inner = changed(node[at[0]], at[1:], value)
    return {**node, at[0]: inner} if isinstance(node, dict) else [*node[: at[0]], inner, *node[at[0] + 1 :]]


def fields_told(dialect: str, body: dict[str, Any], model: AIModel) -> set[str]:
    """Which fields a request is refused for; none where it may go to the provider."""
    try:
        GatewayRequest.read(dialect, body).prompt_for(model)
    except InvalidRequest as invalid:
        return set(invalid.errors)
    except Refusal as refusal:
        return {refusal.details["param"]} if refusal.code == "field_not_priced" else {refusal.code}
    return set()


@pytest.mark.parametrize(("dialect", "form"), [*zip(WHOLE, WHOLE, strict=True), ("chat", "responses")])
def test_a_wrong_type_anywhere_is_told_by_its_field(app: Flask, session: Database, dialect: str, form: str) -> None:
    """Each value at each place, for one kind of provider or the other; with `LONG=1` for both."""
    shown = {"takes_images": True, "is_reasoning": True, "max_output_tokens": 4096}
    kinds = [ProviderAccount(kind=kind, name="p") for kind in ("openai", "anthropic")]
    models = [AIModel(name="m", provider=kind, **shown) for kind in kinds]
    turns, whole = itertools.cycle([models] if IS_LONG else [models[:1], models[1:]]), WHOLE[form]

    def told_at(body: dict[str, Any], at: Path) -> list[set[str]]:
        wrong = [(changed(body, at, value), next(turns)) for value in WRONG]
        return [set().union(*(fields_told(dialect, sent, model) for model in asked)) for sent, asked in wrong]

    with app.test_request_context(PATHS[dialect], method="POST"):
        assert [fields_told(dialect, whole, model) for model in models] == [set(), set()]
        told = {at: told_at(whole, at) for at in paths(whole)}
        for fields in OTHERWISE.get(form, ()) if dialect == form else ():
            told |= {at: told_at(whole | fields, at) for at in paths(fields)}
    elsewhere = {
        "data:,",
        "document",
        "source",
        "file_id",
        "item_reference",
        "container_upload",
        "input_audio",
        "audio",
        "images",
        "tools",
    }
    for at, answers in told.items():
        assert set().union(*answers) <= {str(at[0])} | elsewhere, at
        assert len(at) > 1 or sum(map(bool, answers)) >= 7, at


NO_OBJECTS = [
    b'{"model": "gpt-test", "temperature": NaN}', b'{"model": "gpt-test", "metadata": {"a": 1e999}}', b"", b"[]",
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b"[" * 100_000, b'{"seed": ' + b"9" * 5_000 + b"}", b'{"model": "\xff"}',
]  # fmt: skip
NAMES: list[tuple[str, dict[str, Any]]] = [
    ("model", {"model": "gpt\0test"}), ("model", {"model": ["gpt-test"]}), ("?", {"\ud800": 1}),
    ("stream", {"stream": 1}),
]  # fmt: skip


def test_what_is_no_request_is_told_in_the_form_of_the_dialect(ada: Program, provider: ProviderServer) -> None:
    for dialect, path in PATHS.items():
        answers = [("body", ada.client.post(path, data=raw, headers=ada.headers)) for raw in NO_OBJECTS]
        answers += [(field, ada.call(dialect, **fields)) for field, fields in NAMES]
        for field, answer in answers:
            error = answer.json["error"]
            assert (answer.status_code, error["type"]) == (400, "invalid_request_error"), answer.text
            assert field in error["message"]
            assert error.get("param", field) == field
    assert provider.count == 0


def test_half_a_character_and_a_nul_are_no_failure(ada: Program, provider: ProviderServer) -> None:
    for dialect in PATHS:
        for text in ("a\ud800b", "a\0b", "\U0001f600" * 2_000):
            assert ada.call(dialect, text).status_code == 200
    assert ada.client.post(PATHS["chat"], data=b"x" * 40_000_000, headers=ada.headers).status_code == 413


@pytest.mark.parametrize("model", [OPENAI_MODEL, ANTHROPIC_MODEL])
def test_what_the_provider_refuses_is_told_by_the_field_that_it_names(
    ada: Program, provider: ProviderServer, model: str
) -> None:
    provider.configure(refused="temperature")
    for dialect in PATHS:
        answer = ada.call(dialect, model=model, temperature=0.5)
        assert (answer.status_code, answer.json["error"]["code"]) == (400, "invalid_request")
        assert answer.json["error"]["message"].startswith("temperature: ")
    provider.configure(refused="\0")
    answer = ada.call("responses", input=[{"type": "shell_call", "action": {}}])
    assert (answer.status_code, "support something" in answer.text) == (400, True)
    assert ada.get("/api/balance").json["credits_nanos"] == 1000 * CREDIT
