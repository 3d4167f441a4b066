"""A call in each dialect, to a model of each vendor: text, usage, cost and receipt."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.providers import demo
from tests.gateway.conftest import ANTHROPIC_MODEL, HELLO, OPENAI_MODEL, Program, events_of
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


@pytest.mark.parametrize("dialect", DIALECTS)
def test_whole_or_as_a_stream_an_answer_has_text_usage_and_cost(
    ada: Program, provider: ProviderServer, dialect: str
) -> None:
    for model in MODELS:
        provider.configure(tokens=7)
        check_whole(ada, dialect, model)
        provider.configure(tokens=7, reasoning=2)
        answer = ada.call(dialect, model=model, stream=True)
        events = events_of(answer)
        assert ada.receipt(answer)["state"] == "settled"
        assert events


def check_whole(ada: Program, dialect: str, model: str) -> None:
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
    assert answer.json["id"].endswith((f"-{usage['call_id']}", f"_{usage['call_id']}"))


def test_a_stream_tells_what_is_nested_deeply(ada: Program, provider: ProviderServer) -> None:
    """It is echoed: an answer that could not be written would be paid for all the same."""
    metadata: dict[str, Any] = {}
    for _ in range(300):
        metadata = {"a": metadata}
    events = events_of(ada.call("responses", model=ANTHROPIC_MODEL, stream=True, metadata=metadata))
    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["metadata"] == metadata


def test_the_demo_models_answer_in_every_dialect(ada: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(demo.MODELS, "demo-fast", demo.DemoModel(pause=0.0))
    for dialect in DIALECTS:
        answer = ada.call(dialect, "hello", model="demo-fast")
        assert answer.status_code == 200, answer.text
        assert "Tollgate" in text_of(dialect, answer.json)
        assert ada.receipt(answer)["cost_nanos"] == answer.json["usage"]["cost_nanos"]


def test_tokens_are_counted_for_nothing(ada: Program, provider: ProviderServer) -> None:
    for model in MODELS:
        body = {"model": model, "messages": [{"role": "user", "content": "x" * 4000}]}
        answer = ada.client.post("/v1/messages/count_tokens", json=body, headers=ada.headers)
        assert 900 < answer.json["input_tokens"] < 1200, answer.text
        body = {"model": model, "input": "x" * 4000}
        answer = ada.post("/v1/responses/input_tokens", body)
        assert answer.json["object"] == "response.input_tokens"
        assert 900 < answer.json["input_tokens"] < 1200, answer.text
    assert (provider.count, ada.get("/api/balance").json["reserved_nanos"]) == (0, 0)


def test_models_are_listed_in_both_forms(ada: Program) -> None:
    ours, theirs = (
        ada.get("/v1/models").json,
        ada.get("/v1/models", **{"anthropic-version": "2023-06-01"}).json,
    )
    names = [model["id"] for model in ours["data"]]
    assert set(MODELS) <= set(names)
    assert [model["id"] for model in theirs["data"]] == names[: len(theirs["data"])]
    assert theirs["data"][0]["type"] == "model"
    assert ada.get(f"/v1/models/{OPENAI_MODEL}").json["object"] == "model"
    missing = ada.get("/v1/models/nothing")
    assert (missing.status_code, missing.json["error"]["type"]) == (404, "invalid_request_error")
    assert (missing.json["error"]["code"], "'nothing'" in missing.text) == ("model_not_found", True)
    for method, path in (("POST", "/v1/batches"), ("GET", "/v1/chat/completions")):
        told = ada.client.open(path, method=method, headers=ada.headers).json["error"]["message"]
        assert told == f"{method} {path} isn't part of this API."


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", ["function", "custom"])
def test_tools_of_a_namespace_go_there_and_back(ada: Program, provider: ProviderServer, model: str, kind: str) -> None:
    """As Codex groups the tools of a server: providers of other formats know only names."""
    tool = {"type": kind, "name": "look", "description": "Look"}
    space = {"type": "namespace", "name": "crm", "description": "Customers", "tools": [tool]}
    provider.configure(fault="tool_calls")
    asked = ada.call(
        "responses",
        model=model,
        tools=[space],
        tool_choice={"type": kind, "name": "look", "namespace": "crm"},
    )
    [called] = [item for item in asked.json["output"] if item["type"].endswith("_call")]
    assert (called["type"], called["name"], called["namespace"]) == (
        "function_call" if kind == "function" else "custom_tool_call",
        "look",
        "crm",
    )
    said = {"role": "user", "content": "hello"}
    result = {"type": f"{called['type']}_output", "call_id": called["call_id"], "output": "sunny"}
    provider.configure(fault="")
    assert ada.call("responses", model=model, tools=[space], input=[said, called, result]).status_code == 200
    assert "crm__look" in str(provider.last["body"]["messages"])


def test_images_of_tools_follow_all_their_results(ada: Program, provider: ProviderServer) -> None:
    """As Codex looks at a picture: between the results of one turn no provider takes anything else."""
    image = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}
    called = [{"type": "function_call", "call_id": name, "name": "look", "arguments": "{}"} for name in "ab"]
    outputs = ([{"type": "input_text", "text": "seen"}, image], "done")
    results = [
        {"type": "function_call_output", "call_id": name, "output": output}
        for name, output in zip("ab", outputs, strict=True)
    ]
    said = {"role": "user", "content": "hello"}
    answer = ada.call("responses", input=[said, *called, *results, said])
    assert answer.status_code == 200, answer.text
    sent = provider.last["body"]["messages"]
    assert [one["role"] for one in sent] == ["user", "assistant", "tool", "tool", "user", "user"]
    assert [sent[2]["content"], sent[3]["content"]] == ["seen", "done"]
    assert sent[4]["content"][0]["image_url"] == {"url": image["image_url"], "detail": "low"}


@pytest.mark.parametrize(
    ("dialect", "model"), [("chat", MODELS[1]), ("responses", MODELS[0]), ("responses", MODELS[1])]
)
@pytest.mark.parametrize(("mode", "sent"), [("auto", ("auto", "auto")), ("required", ("required", "any"))])
def test_a_choice_among_some_tools_is_one_among_those_that_are_left(
    ada: Program, provider: ProviderServer, dialect: str, model: str, mode: str, sent: tuple[str, str]
) -> None:
    names = [{"name": name} if dialect == "responses" else {"function": {"name": name}} for name in ("look", "go")]
    tools = [{"type": "function", **name} for name in names]
    allowed = {"mode": mode, "tools": tools[:1]}
    choice = allowed if dialect == "responses" else {"allowed_tools": allowed}
    answer = ada.call(dialect, model=model, tools=tools, tool_choice={"type": "allowed_tools", **choice})
    assert answer.status_code == 200, answer.text
    body = provider.last["body"]
    [left] = body["tools"]
    chosen = body["tool_choice"]
    assert (left.get("function", left)["name"], chosen if model == MODELS[0] else chosen["type"]) == (
        "look",
        sent[MODELS.index(model)],
    )


TURNS: list[tuple[str, str, list[Any], list[Any]]] = [
    ("chat", MODELS[1], [{"role": "system", "content": "Be brief."}],
     [{"role": "user", "content": "Be brief."}]),
    ("chat", MODELS[1], [{"role": "user", "content": [{"type": "text", "text": "\n"}, {"type": "text", "text": "hi"}]}],
     [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]),
    ("chat", MODELS[1], [
        {"role": "assistant", "tool_calls": [{"id": "functions.look:0", "function": {"name": "look"}}]},
        {"role": "tool", "tool_call_id": "functions.look:0", "content": ""}],
     [{"role": "assistant", "content": [{"type": "tool_use", "id": "functions_look_0", "name": "look", "input": {}}]},
      {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "functions_look_0", "content": []}]}]),
    *(("chat", MODELS[1], [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": f"data:{told};base64,/9j/4AAQ"}}]}],
     [{"role": "user", "content": [
         {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQ"}}]}],
    ) for told in ("image/png", "image/jpg", "image/jpeg")),
    ("responses", MODELS[0], [
        {"type": "function_call", "call_id": "a", "name": "look", "arguments": ""},
        {"role": "assistant", "content": "I look."}, {"role": "user", "content": "Well?"},
        {"type": "function_call_output", "call_id": "a", "output": "sunny"}],
     [{"role": "assistant", "content": "I look.", "tool_calls": [
         {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
      {"role": "tool", "tool_call_id": "a", "content": "sunny"}, {"role": "user", "content": "Well?"}]),
    ("messages", MODELS[0], [{"role": "user", "content": [
        {"type": "document", "source": {"type": "content", "content": "A page."}}]}],
     [{"role": "user", "content": "A page."}]),
    ("messages", MODELS[0], [{"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}]}],
     [{"role": "assistant", "content": ""}]),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "model", "said", "sent"), TURNS)
def test_a_turn_is_told_as_the_other_vendor_takes_it(
    ada: Program, provider: ProviderServer, dialect: str, model: str, said: list[Any], sent: list[Any]
) -> None:
    assert (
        ada.call(dialect, model=model, **{"input" if dialect == "responses" else "messages": said}).status_code == 200
    )
    assert provider.last["body"]["messages"] == sent


def test_how_tools_are_called_is_said_beside_tools_alone(ada: Program, provider: ProviderServer) -> None:
    """Beside none OpenAI refuses it."""
    for tools in ([], [{"type": "function", "name": "look"}]):
        asked = {"tools": tools, "tool_choice": "auto", "parallel_tool_calls": False}
        assert ada.call("responses", **asked).status_code == 200
        names = {"tools", "tool_choice", "parallel_tool_calls"} & provider.last["body"].keys()
        assert names == (asked.keys() if tools else set())


def test_what_became_of_the_context_is_told_with_the_end(ada: Program, provider: ProviderServer) -> None:
    edited = {"applied_edits": [{"type": "clear_tool_uses_20250919", "cleared_tool_uses": 2}]}
    usage = {"input_tokens": 9, "output_tokens": 2}
    sent: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "msg_1", "usage": usage}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage, "context_management": edited},
        {"type": "message_stop"},
    ]
    provider.bodies["edited"] = "".join(f"data: {json.dumps(event)}\n\n" for event in sent).encode()
    provider.configure(replay="edited")
    whole = ada.call("messages", model=ANTHROPIC_MODEL).json
    *_, end, _stop = events_of(ada.call("messages", model=ANTHROPIC_MODEL, stream=True))
    assert (whole["context_management"], end["context_management"]) == (edited, edited)
    assert (whole["type"], whole["usage"]["output_tokens"], end["type"]) == ("message", 2, "message_delta")


def test_a_conversation_is_made_short_at_a_price_with_a_limit(
    ada: Program, packages: Callable[..., Any], provider: ProviderServer
) -> None:
    """As Codex asks for it, of a provider that speaks responses. Nobody else can: that is refused and free."""
    short = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA"}
    whole = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "output": [short]}
    usage = {"input_tokens": 90, "output_tokens": 20, "total_tokens": 110}
    end = {"type": "response.completed", "response": {**whole, "usage": usage}}
    provider.bodies["short"] = f"data: {json.dumps(end)}\n\n".encode()
    provider.configure(replay="short")
    client = packages(ada.key)[0]
    told = client.responses.compact(model=OPENAI_MODEL, input=HELLO, instructions="Be brief.")
    assert (told.object, told.output[0].encrypted_content) == ("response.compaction", "gAAAA")
    assert told.usage.output_tokens == 20 < provider.last["body"]["max_output_tokens"]
    assert provider.last["body"]["input"] == [*HELLO, {"type": "compaction_trigger"}]
    assert told.usage.cost_nanos == 90 * 2_500 + 20 * 10_000
    refused = ada.post("/v1/responses/compact", {"model": ANTHROPIC_MODEL, "input": "hello"})
    assert (refused.status_code, "compaction_trigger" in refused.text) == (400, True)
