"""An effort asked for in OpenAI's formats, as each of Claude's models takes it; and Claude's efforts at others."""

from typing import Any

import pytest

from app.extensions import db
from app.gateway.claude_thinking import thinks_by_effort
from tests.gateway.conftest import HELLO, Program
from tests.support import people
from tests.support.provider_server import ProviderServer

NEW, OLD = "claude-sonnet-5-5", "claude-opus-4-5-20251101"
ADAPTIVE = {"type": "adaptive", "display": "summarized"}
LOOK = {"type": "function", "function": {"name": "look"}}
CLOSED = {"type": "object", "additionalProperties": False}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": CLOSED}}
FORMAT = {"type": "json_schema", "schema": CLOSED}
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (NEW, {"temperature": 0.2, "top_p": 0.5}, {}),
    (NEW, {"reasoning_effort": "high"}, {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}),
    (NEW, {"reasoning": {"effort": "high"}}, {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}),
    (NEW, {"reasoning_effort": "max"}, {"thinking": ADAPTIVE, "output_config": {"effort": "max"}}),
    (NEW, {"reasoning_effort": "none"}, {"output_config": {"effort": "low"}}),
    (NEW, {"reasoning_effort": "low", "tools": [LOOK], "tool_choice": "required"},
     {"output_config": {"effort": "low"}}),
    (NEW, {"reasoning_effort": "low", "response_format": SCHEMA},
     {"thinking": ADAPTIVE, "output_config": {"effort": "low", "format": FORMAT}}),
    (OLD, {"temperature": 0.2}, {"temperature": 0.2}),
    (OLD, {"reasoning_effort": "low"},
     {"thinking": {"type": "enabled", "budget_tokens": 2_048}, "temperature": 1}),
    (OLD, {"reasoning_effort": "max"},
     {"thinking": {"type": "enabled", "budget_tokens": 3_999}, "temperature": 1}),
]  # fmt: skip
ABOUT_IT = ("thinking", "output_config", "temperature", "top_p")


@pytest.mark.parametrize(("model", "asked", "sent"), CASES)
def test_an_effort_is_asked_of_each_model_in_the_way_that_it_takes(
    ada: Program, provider: ProviderServer, model: str, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    people.model("thinker", kind="anthropic", is_reasoning=True, upstream_name=model)
    db.session.commit()
    answer = ada.call("chat", model="thinker", max_tokens=4_000, **asked)
    assert answer.status_code == 200, answer.text
    body = provider.last["body"]
    assert {name: body[name] for name in ABOUT_IT if name in body} == sent


THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}
CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}


@pytest.mark.parametrize(("model", "thoughts", "thinks"), [(OLD, [], False), (OLD, [THOUGHT], True), (NEW, [], True)])
def test_claude_goes_on_from_a_call_without_its_thoughts(
    ada: Program, provider: ProviderServer, model: str, thoughts: list[Any], thinks: bool
) -> None:
    """A budget is refused then, and few clients send thoughts back; who decides by itself minds nothing."""
    people.model("thinker", kind="anthropic", is_reasoning=True, upstream_name=model)
    db.session.commit()
    called = {"role": "assistant", "tool_calls": [CALL], "thinking_blocks": thoughts}
    said = [*HELLO, called, {"role": "tool", "tool_call_id": "c", "content": "sunny"}]
    answer = ada.call("chat", model="thinker", max_tokens=4_000, messages=said, reasoning_effort="low", tools=[LOOK])
    assert answer.status_code == 200, answer.text
    assert ("thinking" in provider.last["body"]) is thinks


@pytest.mark.parametrize(("effort", "sent"), [("low", "low"), ("xhigh", "high"), ("max", "high")])
def test_an_effort_of_claudes_is_one_of_openais(ada: Program, provider: ProviderServer, effort: str, sent: str) -> None:
    people.model("thinker", is_reasoning=True)
    db.session.commit()
    fields = {"output_config": {"effort": effort}, "temperature": 0, "top_p": 0.9}
    assert ada.call("messages", model="thinker", **fields).status_code == 200
    body = provider.last["body"]
    assert {name: body[name] for name in ("reasoning_effort", *ABOUT_IT) if name in body} == {"reasoning_effort": sent}


def test_which_of_claudes_models_think_by_effort() -> None:
    new = "claude-opus-4-6 claude-sonnet-4.6 claude-opus-5 claude-fable-5-2 claude-mythos-preview us.claude-haiku-10-v1"
    old = (
        "claude-3-7-sonnet claude-opus-4-20250514 claude-opus-4-1 claude-sonnet-4-5 claude-haiku-4.5 claude-test glm-5"
    )
    assert [name for name in (*new.split(), *old.split()) if thinks_by_effort(name)] == new.split()
