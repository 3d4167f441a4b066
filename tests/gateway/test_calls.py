"""A call in each dialect, to a model of each vendor: text, usage, cost and receipt."""

from typing import Any

import pytest

from tests.gateway.conftest import ANTHROPIC_MODEL, OPENAI_MODEL, Program, events_of
from tests.support.provider_server import ProviderServer

DIALECTS = ("chat", "responses", "messages")
MODELS = (OPENAI_MODEL, ANTHROPIC_MODEL)


def text_of(dialect: str, body: dict[str, Any]) -> str:
    if dialect == "chat":
        return str(body["choices"][0]["message"]["content"])
    parts = body["content"] if dialect == "messages" else body["output"][-1]["content"]
    return "".join(part["text"] for part in parts if part["type"] in ("text", "output_text"))


def tokens_of(dialect: str, usage: dict[str, Any]) -> tuple[int, int]:
    names = ("prompt_tokens", "completion_tokens") if dialect == "chat" else ("input_tokens", "output_tokens")
    return usage[names[0]], usage[names[1]]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_whole_answer_has_text_usage_and_cost(
    ada: Program, provider: ProviderServer, dialect: str, model: str
) -> None:
    provider.configure(tokens=7)
    answer = ada.call(dialect, model=model)
    assert answer.status_code == 200, answer.text
    receipt = ada.receipt(answer)
    usage = answer.json["usage"]

    assert text_of(dialect, answer.json).split() == [f"word{n}" for n in range(7)], answer.text
    assert answer.json["model"] == model
    assert tokens_of(dialect, usage) == (receipt["input_tokens"], receipt["output_tokens"])
    assert receipt["operation"] == "gateway"
    assert receipt["source"] == "reported"
    assert usage["cost_nanos"] == receipt["cost_nanos"] > 0
    assert usage["call_id"] == answer.headers["X-Call-Id"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_has_text_usage_and_cost(
    ada: Program, provider: ProviderServer, dialect: str, model: str
) -> None:
    provider.configure(tokens=7, reasoning=2)
    answer = ada.call(dialect, model=model, stream=True)
    events = events_of(answer)
    assert ada.receipt(answer)["state"] == "settled"
    assert events


def test_the_demo_models_answer_in_every_dialect(ada: Program) -> None:
    for dialect in DIALECTS:
        answer = ada.call(dialect, "hello", model="demo-fast")
        assert answer.status_code == 200, answer.text
        assert "Tollgate" in text_of(dialect, answer.json)
        assert ada.receipt(answer)["cost_nanos"] == answer.json["usage"]["cost_nanos"]
