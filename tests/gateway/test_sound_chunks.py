"""Answers that are not as their format has them: told soundly in every dialect, and charged for what was told."""

import json
from typing import Any

import pytest

from app.extensions import db
from app.gateway.chat_from_message_events import ChatFromMessageEvents
from app.gateway.message_events_from_chat import MessageEventsFromChat
from app.gateway.openai_chat import whole_completion
from app.gateway.sound_chunks import SoundChunks
from app.generation.wire_call import unseen_text
from app.models.metering.usage import Usage
from tests.gateway.conftest import ANTHROPIC_MODEL, OPENAI_MODEL, PATHS, Program, events_of
from tests.gateway.test_wild_streams import told_by_package
from tests.support import Database
from tests.support.provider_server import ProviderServer

Calls = list[tuple[str, str]]


def chunk(**delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def called(name: str, arguments: Any = None, **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **fields}


def more(arguments: str, **fields: Any) -> dict[str, Any]:
    return {"function": {"arguments": arguments}, **fields}


ONE = [("f", "{}")]
TWO = [("f", "{}"), ("g", "{}")]


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        ([called("f", "{", index=0, id="a"), more("}", index=0)], [("f", "{}")]),
        ([called("f", "{}", index=0, id="a"), called("g", "{}", index=0, id="b")], TWO),
        ([called("f", "{}", id="a"), called("g", "{}", id="b")], TWO),
        ([called("f", "{}"), called("g", "{}")], TWO),
        ([called("f", "{", id="a"), called("g", "{", id="b"), more("}", id="a"), more("}", id="b")], TWO),
        ([called("f", "{", index="0"), called("f", "}", index="0", id="late")], [("f", "{}")]),
        ([called("f", "{", index=0, id="a"), more("}", index=0, id="new each time")], [("f", "{}")]),
        ([called("f", {"x": 1}, index=[0], id="a")], [("f", '{"x": 1}')]),
        (["f", None, {}, called("f", "{}", index=10**30)], [("f", "{}")]),
        ([{"index": 0, "id": "a"}, more("{", index=0), called("f", "}", index=0), called("f", "", index=0)], ONE),
    ],
    ids=["OpenAI's", "Gemini's", "Ollama's", "bare", "by id", "text as number", "ids", "object", "none", "late"],
)
def test_calls_are_told_apart_however_they_are_numbered(calls: list[Any], told: Calls) -> None:
    sound = SoundChunks()
    whole = whole_completion([sound.feed(chunk(tool_calls=[call])) for call in calls])
    functions = [call["function"] for call in whole["choices"][0]["message"]["tool_calls"]]
    assert [(function["name"], function["arguments"]) for function in functions] == told


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("name", ["f", None])
def test_a_call_begins_with_its_name_however_late_that_comes(
    ada: Program, provider: ProviderServer, dialect: str, name: str | None
) -> None:
    """One that never gets a name is told all the same, at the end."""
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 9}}
    pieces = [more('{"x":', index=0, id="a"), more("1}", index=0), {"index": 0, "function": {"name": name}}]
    sent = [*(chunk(tool_calls=[piece]) for piece in pieces), end]
    provider.bodies["late"] = "\n\n".join([*(f"data: {json.dumps(one)}" for one in sent), ""]).encode()
    provider.configure(replay="late")
    told = events_of(ada.call(dialect, model=OPENAI_MODEL, stream=True))
    _text, [(told_name, arguments)] = told_by_package(dialect, told)
    assert (told_name or None, arguments) == (name, {"x": 1})


def test_a_call_without_a_name_is_told_once_where_the_end_comes_twice() -> None:
    sound, end = SoundChunks(), {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    sound.feed(chunk(tool_calls=[more("{}", index=0)]))
    assert [len(sound.feed(end)["choices"][0]["delta"].get("tool_calls", ())) for _ in range(2)] == [1, 0]


def test_the_item_that_the_limit_cuts_off_is_not_completed(ada: Program, provider: ProviderServer) -> None:
    """What is done of an answer can be used; a call of half its arguments cannot."""
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}], "usage": {"prompt_tokens": 9}}
    calls = [called("f", "{}", index=0, id="a"), called("f", '{"x', index=1, id="b")]
    sent = [chunk(content="I look."), *(chunk(tool_calls=[call]) for call in calls), end]
    provider.bodies["cut"] = "\n\n".join([*(f"data: {json.dumps(one)}" for one in sent), ""]).encode()
    provider.configure(replay="cut")
    response = ada.call("responses", model=OPENAI_MODEL).json
    assert [item["status"] for item in response["output"]] == ["completed", "completed", "incomplete"]
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


def test_what_is_written_for_a_tool_is_output_where_nothing_is_reported() -> None:
    custom = {"type": "custom", "custom": {"name": "f", "input": "two"}}
    delta = {"tool_calls": [called("f", "one"), custom, "x"], "function_call": {"arguments": "three"}}
    assert sorted(unseen_text(chunk(**delta))) == ["one", "three", "two"]


def test_a_call_of_a_custom_tool_stays_one() -> None:
    sent = chunk(tool_calls=[{"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}])
    assert SoundChunks().feed(sent) == sent


NO_JSON = ["{", "[" * 5_000, '{"x": NaN}', '{"x": 1e999}', "9" * 5_000]
ODD: list[dict[str, Any]] = [
    {"tool_calls": [called("f", text, id=f"odd {n}")]} for n, text in enumerate(NO_JSON)
] + [
    {"tool_calls": [called("f", "{}", index=[1])]}, {"tool_calls": ["x", None]}, {"tool_calls": {"0": 1}},
    {"reasoning": "a"}, {"reasoning": ["b"]}, {"annotations": {"a": 1}}, {"annotations": [{"index": 0}]},
    {"annotations": ["s"]}, {"annotations": [{"index": 0}]}, {"audio": {"id": "x"}}, {"audio": ["z"]},
    {"thinking_blocks": ["a", {"index": 0, "thinking": "t"}]}, {"thinking_blocks": 7}, {"refusal": {"a": 1}},
    {"content": True}, {"content": {"type": "text", "text": "!"}},
]  # fmt: skip


def chunks_of(*deltas: dict[str, Any], finish: str = "stop") -> list[dict[str, Any]]:
    sound, end = SoundChunks(), chunk()
    end["choices"][0]["finish_reason"] = finish
    return [sound.feed(sent) for sent in (*(chunk(**delta) for delta in deltas), end)]


def test_a_piece_that_stands_by_another_name_or_in_each_chunk_is_told_once() -> None:
    """Mistral's thinking is a part of the content, some call it `thinking`, OpenRouter's has its format in each piece;
    and arguments that never came are none, not a text that is no JSON.
    """
    thinking = {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}
    pieces = ({"type": "reasoning.text", "index": 0, "format": "a-v1", "text": text} for text in "hm")
    details = [{"reasoning_details": [piece]} for piece in pieces]
    sent = chunks_of(thinking, *details, {"tool_calls": [called("f", index=0, id="a")]})
    message = whole_completion(sent)["choices"][0]["message"]
    assert message["reasoning_content"] == "hm"
    assert message["reasoning_details"] == [{"type": "reasoning.text", "index": 0, "format": "a-v1", "text": "hm"}]
    assert message["tool_calls"] == [called("f", "{}", id="a")]
    for name in ("thinking", "reasoning_text"):
        events = [event for sent in chunks_of({name: "hm"}) for event in MessageEventsFromChat().feed(sent)]
        assert events[0]["delta"] == {"type": "thinking_delta", "thinking": "hm"}


@pytest.mark.parametrize(
    ("finish", "stop"), [("stop", "tool_use"), ("tool_calls", "tool_use"), ("length", "max_tokens")]
)
def test_who_asks_for_messages_reads_from_their_end_that_tools_are_called(finish: str, stop: str) -> None:
    """OpenAI's own end is `stop` where it was told which tool to call; Gemini's always is."""
    events, sent = MessageEventsFromChat(), chunks_of({"tool_calls": [called("f", "{}", index=0)]}, finish=finish)
    assert [*(event for one in sent for event in events.feed(one))][-1]["delta"] == {"stop_reason": stop}


F, G = called("f", '{"a": ', index=0, id="a"), called("g", "{}", index=1, id="b")
BARE = called("f", index=0, id="a")


@pytest.mark.parametrize("finish", ["tool_calls", None])
@pytest.mark.parametrize(
    ("calls", "told"),
    [
        ([F, G, more("1}", index=0)], [{"a": 1}, {}]),
        ([F, more("1}", index=0), G], [{"a": 1}, {}]),
        ([BARE, G, more('{"a": 1}', index=0)], [{"a": 1}, {}]),
        ([BARE, G], [{}, {}]),
        ([F, G], [{"partial_json": '{"a": '}, {}]),
    ],
    ids=["in turns", "one by one", "names first", "without arguments", "cut"],
)
def test_a_call_is_told_to_its_end_before_another_begins(
    ada: Program, provider: ProviderServer, calls: list[Any], told: list[Any], finish: str | None
) -> None:
    """Who reads Anthropic's format parses the arguments of a block when it ends."""
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": {"prompt_tokens": 9}}
    sent = [*(chunk(tool_calls=[call]) for call in calls), end]
    provider.bodies["turns"] = "".join(f"data: {json.dumps(one)}\n\n" for one in sent).encode() + b"data: [DONE]\n\n"
    provider.configure(replay="turns")
    events = events_of(ada.call("messages", stream=True))
    kinds = [event["type"].removeprefix("content_block_") for event in events if "index" in event]
    places = [event["index"] for event in events if "index" in event]
    assert (places, kinds.count("start"), kinds.count("stop")) == (sorted(places), 2, 2)
    content = ada.call("messages").json["content"]
    assert [(block["name"], block["input"]) for block in content] == [("f", told[0]), ("g", told[1])]


@pytest.mark.parametrize("dialect", PATHS)
def test_what_is_odd_breaks_no_answer(ada: Program, provider: ProviderServer, session: Database, dialect: str) -> None:
    end = {
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3},
    }
    chunks = [chunk(content="Hello"), *(chunk(**delta) for delta in ODD), end]
    lines = [f"data: {json.dumps(sent)}" for sent in chunks]
    provider.bodies["odd"] = "\n\n".join([*lines, "data: [DONE]", ""]).encode()
    provider.configure(replay="odd")
    for is_stream in (False, True):
        answer = ada.call(dialect, "x" * 400, model=OPENAI_MODEL, stream=is_stream)
        assert (answer.status_code, "Hello" in answer.text, "could not" in answer.text) == (200, True, False)
        assert "!" in answer.text
        assert is_stream or json.loads(answer.text, parse_constant=pytest.fail)
        call = db.session.get(Usage, int(answer.headers["X-Call-Id"]), populate_existing=True)
        assert call is not None
        assert (call.outcome, call.paid_nanos) == ("done", 9 * 2500 + 3 * 10_000)


@pytest.mark.parametrize("text", NO_JSON)
def test_arguments_that_are_no_json_are_sent_on_as_text(ada: Program, provider: ProviderServer, text: str) -> None:
    """In a chat's past, to a provider that takes an object."""
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [called("f", text, id="a")]}]
    answer = ada.call("chat", model=ANTHROPIC_MODEL, messages=said)
    assert answer.status_code == 200, answer.text
    sent = provider.requests[-1]["body"]["messages"][-1]["content"]
    assert sent == [{"type": "tool_use", "id": "a", "name": "f", "input": {"arguments": text}}]


def block(kind: str, index: Any, **fields: Any) -> dict[str, Any]:
    return {"type": f"content_block_{kind}", "index": index, **fields}


ODD_EVENTS: list[dict[str, Any]] = [
    block("delta", {"a": 1}, delta={"type": "text_delta", "text": "!"}), block("stop", [1]),
    block("delta", 0, delta="x"),
    *(block("start", 1, content_block=odd) for odd in ("x", [1], None, {"type": "text", "text": "", "citations": 5})),
    block("delta", 1, delta={"type": "citations_delta", "citation": 1}), {"type": ["x"]},
    block("delta", 1, delta={"type": "text_delta", "text": 7}),
]  # fmt: skip


@pytest.mark.parametrize("dialect", PATHS)
def test_an_odd_event_breaks_no_answer(ada: Program, provider: ProviderServer, session: Database, dialect: str) -> None:
    begin = {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 9, "output_tokens": 1}}}
    text = block("delta", 0, delta={"type": "text_delta", "text": "Hello"})
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}
    events = [begin, text, *ODD_EVENTS, end, {"type": "message_stop"}]
    provider.bodies["odd"] = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
    provider.configure(replay="odd")
    for is_stream in (False, True):
        answer = ada.call(dialect, "x" * 400, model=ANTHROPIC_MODEL, stream=is_stream)
        assert (answer.status_code, "Hello" in answer.text, "could not" in answer.text) == (200, True, False)
        call = db.session.get(Usage, int(answer.headers["X-Call-Id"]), populate_existing=True)
        assert call is not None
        assert (call.outcome, call.paid_nanos) == ("done", 9 * 2500 + 3 * 10_000)
    whole = {"type": "message", "stop_reason": "tool_use", "usage": {"input_tokens": 9, "output_tokens": 3}}
    provider.bodies["odd"] = json.dumps(whole | {"content": [{"type": "text", "text": "Whole"}, USE]}).encode()
    events = events_of(ada.call(dialect, "x" * 400, model=ANTHROPIC_MODEL, stream=True))
    said, calls = told_by_package(dialect, events)
    assert (said, calls) == ("Whole", [("f", {"a": 1})])


USE = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}


def test_what_a_block_begins_with_is_not_told_twice_nor_lost() -> None:
    """Anthropic begins each block empty; others put a signature there, or the whole input and its pieces behind it."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    events = [block("start", 0, content_block=thought), block("stop", 0), block("start", 1, content_block=USE)]
    events += [block("delta", 1, delta={"type": "input_json_delta", "partial_json": '{"a": 1}'}), block("stop", 1)]
    chunks = ChatFromMessageEvents()
    message = whole_completion([sent for event in events for sent in chunks.feed(event)])["choices"][0]["message"]
    assert (message["reasoning_content"], message["thinking_blocks"]) == ("hm", [thought])
    assert message["tool_calls"] == [called("f", '{"a": 1}', id="t")]
