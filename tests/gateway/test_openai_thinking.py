"""OpenAI's thinking models asked in Anthropic's format: as responses, where they think beside tools."""

import json
from base64 import b64encode
from typing import Any

import pytest

from app.extensions import db
from tests.gateway.conftest import Program, events_of
from tests.gateway.test_wild_streams import message
from tests.support import people
from tests.support.pictures import png
from tests.support.provider_server import ProviderServer

EFFORT = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
LOOK = {"name": "look", "input_schema": {"type": "object"}}
FLAT = {"type": "function", "strict": False, "name": "look", "parameters": {"type": "object"}}
THOUGHT: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": []}
SEALED = THOUGHT | {"encrypted_content": "gAAA:B"}
CALL = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": '{"at": 1}'}
USAGE = {"input_tokens": 900, "input_tokens_details": {"cached_tokens": 600}, "output_tokens": 50,
         "output_tokens_details": {"reasoning_tokens": 30}, "total_tokens": 950}  # fmt: skip
SUMMARY = "response.reasoning_summary"
EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}},
    {"type": "response.output_item.added", "output_index": 0, "item": THOUGHT},
    {"type": f"{SUMMARY}_part.added", "output_index": 0, "summary_index": 0, "part": {"type": "summary_text"}},
    {"type": f"{SUMMARY}_text.delta", "output_index": 0, "summary_index": 0, "delta": "hm"},
    {"type": f"{SUMMARY}_part.added", "output_index": 0, "summary_index": 1, "part": {"type": "summary_text"}},
    {"type": f"{SUMMARY}_text.delta", "output_index": 0, "summary_index": 1, "delta": "well"},
    {"type": "response.output_item.done", "output_index": 0, "item": SEALED},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "I look."},
    {"type": "response.output_item.added", "output_index": 2, "item": {**CALL, "arguments": ""}},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"at": 1'},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": "}"},
    {"type": "response.function_call_arguments.delta", "output_index": [9], "delta": "no one's"},
    {"type": "response.output_item.done", "output_index": 2, "item": CALL},
    {"type": "response.output_item.added", "output_index": 3, "item": {**CALL, "call_id": "call_2", "arguments": ""}},
    {"type": "response.output_item.done", "output_index": 3, "item": {**CALL, "call_id": "call_2"}},
    {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "usage": USAGE}},
]


@pytest.fixture
def thinker(ada: Program, provider: ProviderServer, monkeypatch: pytest.MonkeyPatch) -> Program:
    """ada, with a thinking model at what counts as OpenAI's own address."""
    people.model("thinker", is_reasoning=True, takes_images=True)
    db.session.commit()
    monkeypatch.setattr("app.providers.openai.OWN_HOSTS", ("127.0.0.1",))
    provider.bodies["answer"] = "".join(f"data: {json.dumps(event)}\n\n" for event in EVENTS).encode()
    provider.configure(replay="answer")
    return ada


ASKED: dict[str, Any] = {"model": "thinker", "tools": [LOOK], "system": "Be brief.", **EFFORT}
SIGNATURE = "openai:rs_1:gAAA:B"
SAID = [
    {"type": "thinking", "thinking": "hm\n\nwell", "signature": SIGNATURE},
    {"type": "text", "text": "I look."},
    *({"type": "tool_use", "id": name, "name": "look", "input": {"at": 1}} for name in ("call_1", "call_2")),
]


def test_a_thinking_model_thinks_beside_tools(thinker: Program, provider: ProviderServer) -> None:
    """In chat completions it does not."""
    whole = thinker.call("messages", **ASKED)
    sent, usage = provider.last["body"], whole.json["usage"]
    assert (sent["tools"], sent["reasoning"]) == ([FLAT], {"effort": "high", "summary": "auto"})
    assert (sent["store"], sent["instructions"]) == (False, "Be brief.")
    assert (whole.json["content"], whole.json["stop_reason"]) == (SAID, "tool_use")
    counted = {name: usage[name] for name in ("input_tokens", "cache_read_input_tokens", "output_tokens")}
    assert counted == {"input_tokens": 300, "cache_read_input_tokens": 600, "output_tokens": 50}
    assert usage["output_tokens_details"] == {"thinking_tokens": 30}
    assert usage["cost_nanos"] == thinker.receipt(whole)["cost_nanos"] > 0

    stream = events_of(thinker.call("messages", stream=True, **ASKED))
    assert message(stream) == ("I look.", [("look", {"at": 1})] * 2)
    assert SIGNATURE in [event["delta"].get("signature") for event in stream if "delta" in event]


def test_its_thoughts_come_back_with_the_next_turn(thinker: Program, provider: ProviderServer) -> None:
    """Those of another model stay away. What is said, shown and called stands in its order."""
    shown = {"type": "base64", "media_type": "image/png", "data": b64encode(png(8, 8)).decode()}
    results = [{"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "image", "source": shown}]},
               {"type": "tool_result", "tool_use_id": "call_2", "content": "sunny"},
               {"type": "text", "text": "go on"}]  # fmt: skip
    foreign = {"type": "thinking", "thinking": "hm", "signature": "EsAB:x"}
    turns = [{"role": "assistant", "content": [foreign, *SAID]}, {"role": "user", "content": results}]
    body = {"max_tokens": 300, "messages": [{"role": "user", "content": "hello"}, *turns], **ASKED}
    assert thinker.post("/v1/messages", body).status_code == 200

    _hello, *rest = provider.last["body"]["input"]
    seal = SEALED | {"summary": [{"type": "summary_text", "text": "hm\n\nwell"}]}
    assert rest[:2] == [seal, {"role": "assistant", "content": "I look."}]
    assert rest[2:4] == [CALL, {**CALL, "call_id": "call_2"}]
    assert [part["type"] for part in rest[4]["output"]] == ["input_text", "input_image"]
    assert rest[5:] == [{"type": "function_call_output", "call_id": "call_2", "output": "sunny"},
                        {"role": "user", "content": [{"type": "input_text", "text": "go on"}]}]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "is_own"), [({"stop_sequences": ["x"]}, True), ({}, False), ({"model": "gpt-test"}, True)]
)
def test_others_are_asked_for_chat_completions(
    thinker: Program,
    provider: ProviderServer,
    monkeypatch: pytest.MonkeyPatch,
    fields: dict[str, Any],
    is_own: bool,
) -> None:
    """Who speaks responses at all may do it poorly; and responses know no words to stop at."""
    if not is_own:
        monkeypatch.setattr("app.providers.openai.OWN_HOSTS", ("api.openai.com",))
    provider.configure(replay="")
    assert thinker.call("messages", **{"model": "thinker", **fields}).status_code == 200
    assert provider.last["path"] == "/v1/chat/completions"
