"""What Cursor's agent sends for a chat completion: Anthropic's blocks, or a response's input. And cache marks."""

from typing import Any

import pytest

from tests.gateway.conftest import ANTHROPIC_MODEL, HELLO, OPENAI_MODEL, Program, events_of
from tests.support.provider_server import ProviderServer

PIXEL = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
SHOWN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
AGENT: list[dict[str, Any]] = [
    *HELLO,
    {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "I look", "signature": "s"}, {"type": "text", "text": "Looking."},
        {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a.py"}},
        {"type": "tool_use", "id": "t2", "name": "read", "input": {"path": "b.png"}},
    ]},
    {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "image", "source": PIXEL}]},
    ]},
    {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "t1", "content": "print(42)"},
        {"type": "text", "text": "What does it print?"},
    ]},
]  # fmt: skip
TOOLS = {
    "tools": [{"name": "read", "description": "Reads a file", "input_schema": SCHEMA}],
    "tool_choice": {"type": "tool", "name": "read", "disable_parallel_tool_use": True},
}
MARK = {"type": "ephemeral", "ttl": "1h"}


def test_an_agents_blocks_are_calls_and_results_of_a_chat_completion(ada: Program, provider: ProviderServer) -> None:
    answer = ada.call("chat", model=OPENAI_MODEL, messages=AGENT, **TOOLS)
    assert answer.status_code == 200, answer.text
    body = provider.last["body"]
    said, *results, shown, asked = body["messages"][1:]
    assert (said["content"], said["thinking_blocks"][0]["thinking"]) == ("Looking.", "I look")
    assert [(call["id"], call["function"]["name"]) for call in said["tool_calls"]] == [("t1", "read"), ("t2", "read")]
    assert [(one["role"], one["tool_call_id"], one["content"]) for one in results] == [
        ("tool", "t2", ""),
        ("tool", "t1", "print(42)"),
    ], "no image stands between a call and its results"
    assert (shown["content"], asked["content"]) == ([SHOWN], [AGENT[3]["content"][1]])
    assert body["tools"][0]["function"]["parameters"] == SCHEMA
    assert body["tool_choice"] == {"type": "function", "function": {"name": "read"}}
    assert body["parallel_tool_calls"] is False


def test_a_file_of_text_reaches_anthropic_as_a_text(ada: Program, provider: ProviderServer) -> None:
    """In base64 it takes PDFs alone."""
    for file_data, status in (("data:text/csv;base64,YSxiCg==", 200), ("data:text/csv;base64,UEsDBAD/", 400)):
        file = {"filename": "a.csv", "file_data": file_data}
        in_chat = [{"role": "user", "content": [{"type": "file", "file": file}]}]
        in_responses = [{"role": "user", "content": [{"type": "input_file", **file}]}]
        assert ada.call("chat", model=ANTHROPIC_MODEL, messages=in_chat).status_code == status
        assert ada.call("responses", model=ANTHROPIC_MODEL, input=in_responses).status_code == status
    for request in provider.requests:
        [block] = request["body"]["messages"][0]["content"]
        assert block["source"] == {"type": "text", "media_type": "text/plain", "data": "a,b\n"}
    assert len(provider.requests) == 2


def test_an_agents_blocks_reach_anthropic_as_they_were(ada: Program, provider: ProviderServer) -> None:
    assert ada.call("chat", model=ANTHROPIC_MODEL, messages=AGENT, **TOOLS).status_code == 200
    body = provider.last["body"]
    assert body["messages"][1] == AGENT[1]
    kinds = [block["type"] for block in body["messages"][2]["content"]]
    assert kinds == ["tool_result", "tool_result", "image", "text"]
    assert (body["tools"], body["tool_choice"]) == (TOOLS["tools"], TOOLS["tool_choice"])


@pytest.mark.parametrize("model", [OPENAI_MODEL, ANTHROPIC_MODEL])
def test_a_request_in_the_form_of_responses_is_answered_as_a_chat_completion(
    ada: Program, provider: ProviderServer, model: str
) -> None:
    """Where a model's name has no "claude" in it."""
    asked = {
        "model": model,
        "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "medium", "summary": "auto"},
        "text": {"verbosity": "low"},
        "tools": [{"type": "function", "name": "read", "parameters": SCHEMA}],
        "max_output_tokens": 400,
        "store": False,
        "stream_options": {"include_usage": True},
    }
    provider.configure(tokens=2)
    [*chunks, last] = events_of(ada.post("/v1/chat/completions", {**asked, "stream": True}))
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "word0 word1 "
    assert last["usage"]["cost_nanos"] > 0
    body = provider.last["body"]
    assert (body["max_tokens"], "read" in str(body["tools"])) == (400, True)
    whole = ada.post("/v1/chat/completions", asked)
    assert whole.json["choices"][0]["message"]["content"] == "word0 word1 ", whole.text


PLACES = "system text said use turn call message result block inner tool request"


@pytest.mark.parametrize("place", PLACES.split())
def test_what_is_marked_to_be_read_again_is_so_at_anthropic(ada: Program, provider: ProviderServer, place: str) -> None:
    """In a chat completion, wherever the packages of others set the mark."""

    def at(*places: str) -> dict[str, Any]:
        return {"cache_control": MARK} if place in places else {}

    called = {"id": "t1", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    inner = [{"type": "text", "text": "x", **at("inner")}]
    messages = [
        {
            "role": "system",
            "content": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "So.", **at("system")}],
        },
        {"role": "user", "content": [{"type": "text", "text": "hello", **at("text")}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Looking.", **at("said")},
                {"type": "tool_use", "id": "t2", "name": "read", "input": {}, **at("use")},
            ],
        },
        {"role": "assistant", "tool_calls": [called | at("call")], **at("turn")},
        {"role": "tool", "tool_call_id": "t1", "content": [{"type": "text", "text": "done", **at("result")}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t2", "content": inner, **at("block")}]},
        {"role": "user", "content": "And now?", **at("message")},
    ]
    tool = {"type": "function", "function": {"name": "read", "parameters": {"required": ["path"]}}, **at("tool")}
    answer = ada.call("chat", model=ANTHROPIC_MODEL, messages=messages, tools=[tool], **at("request"))
    assert answer.status_code == 200, answer.text
    body = provider.last["body"]
    first, used, last = body["messages"]
    marked = {
        "system": body["system"][-1],
        "text": first["content"][0],
        "said use": used["content"][1],
        "turn call": used["content"][2],
        "result": last["content"][0],
        "block inner": last["content"][1],
        "message": last["content"][2],
        "tool": body["tools"][0],
        "request": body,
    }
    [name] = [key for key, one in marked.items() if "cache_control" in one]
    assert (place in name.split(), marked[name]["cache_control"]) == (True, MARK)
    assert isinstance(body["system"], list) == (place == "system")
    assert body["tools"][0]["input_schema"] == {"type": "object", "required": ["path"]}
