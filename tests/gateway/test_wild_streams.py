"""Recorded streams through each dialect: what the caller puts together is what was sent, or an error is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from anthropic._models import construct_type as anthropic_typed
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from jiter import from_json
from openai._models import construct_type as openai_typed
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import Response

from app.extensions import db
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.metering.usage import Usage
from tests.conftest import IS_LONG
from tests.gateway.conftest import ANTHROPIC_MODEL, OPENAI_MODEL, PATHS, Program, events_of
from tests.support import people
from tests.support.provider_server import ProviderServer

WILD = Path(__file__).parents[1] / "support" / "wild"
LONG = "x" * 60_000
"""A charge never passes its reservation, which is made from the bytes of the question."""


Told = tuple[str, list[tuple[str, Any]]]
"""Text, and name and arguments of each tool that is asked for."""


def told_by_package(dialect: str, events: list[dict[str, Any]]) -> Told:
    """As the vendor's own package puts the events together."""
    return {"chat": completion, "responses": response, "messages": message}[dialect](events)


def completion(events: list[dict[str, Any]]) -> Told:
    state: Any = ChatCompletionStreamState()
    for event in events:
        state.handle_chunk(openai_typed(type_=ChatCompletionChunk, value=event))
    said = state.current_completion_snapshot.choices[0].message
    calls = [(call.function.name, parsed(call.function.arguments)) for call in said.tool_calls or ()]
    return (said.content or "") + (said.refusal or ""), calls


def response(events: list[dict[str, Any]]) -> Told:
    whole: Any = openai_typed(type_=Response, value=events[-1]["response"])
    calls = [(item.name, parsed(item.arguments)) for item in whole.output if item.type == "function_call"]
    parts = [part for item in whole.output if item.type == "message" for part in item.content]
    return "".join(part.refusal if part.type == "refusal" else part.text for part in parts), calls


def message(events: list[dict[str, Any]]) -> Told:
    whole: Any = None
    pieces: dict[int, bytes] = {}
    for event in (event for event in events if event["type"] != "ping"):
        typed: Any = anthropic_typed(type_=RawMessageStreamEvent, value=event)
        whole = accumulate_event(event=typed, current_snapshot=whole, json_bufs=pieces)
    text = "".join(block.text for block in whole.content if block.type == "text")
    return text, [(block.name, block.input) for block in whole.content if block.type == "tool_use"]


def parsed(arguments: str | None) -> Any:
    return from_json((arguments or "{}").encode(), partial_mode=True)


def usage_told(dialect: str, events: list[dict[str, Any]]) -> dict[str, Any]:
    if dialect == "chat":
        return events[-1]["usage"]
    if dialect == "responses":
        return events[-1]["response"]["usage"]
    return next(event["usage"] for event in events if event["type"] == "message_delta")


def tokens_told(dialect: str, usage: dict[str, Any]) -> tuple[int, int]:
    if dialect == "messages":
        cached = (usage.get(f"cache_{what}_input_tokens") or 0 for what in ("read", "creation"))
        return usage["input_tokens"] + sum(cached), usage["output_tokens"]
    names = ("prompt_tokens", "completion_tokens") if dialect == "chat" else ("input_tokens", "output_tokens")
    return usage.get(names[0]), usage.get(names[1])


def tokens_of(buckets: dict[str, int]) -> tuple[int, int]:
    inputs = ("uncached_input", "cache_read", "cache_write_5m", "cache_write_1h")
    return sum(buckets[name] for name in inputs), buckets["output"]


def is_told(tokens: tuple[int, int], expected: dict[str, Any]) -> bool:
    """Whether these are the tokens that were reported; where there is text, what was reported as none was counted."""
    pairs = list(zip(tokens, tokens_of(expected["buckets"]), strict=True))
    return all(told == meant or (told and expected["text"] and not meant) for told, meant in pairs)


def sent_by_provider(path: Path) -> Told:
    """The same of the recording itself."""
    lines = [line[5:].strip() for line in path.read_text().splitlines() if line[:5] == "data:"]
    events = [json.loads(line) for line in lines if line and line != "[DONE]"]
    return message(events) if events[0].get("type") == "message_start" else completion(events)


@pytest.mark.parametrize("dialect", PATHS)
def test_every_recorded_stream_is_passed_on_whole_or_fails_as_told(
    ada: Program, provider: ProviderServer, dialect: str
) -> None:
    """Every other one by one of the dialects, with `LONG=1` all by all of them; `tests/providers` reads each."""
    Setting.put("absorbed_daily", 10**15)
    people.give(db.session.query(Account).order_by(Account.id.desc()).first(), credits=10**14)
    db.session.commit()
    share = slice(None) if IS_LONG else slice(2 * [*PATHS].index(dialect), None, 2 * len(PATHS))
    recorded = sorted(WILD.glob("*.sse"))[share]
    wrong = [name for path in recorded if (name := problem_of(ada, provider, dialect, path))]
    assert wrong == [], "\n".join(wrong)


def problem_of(ada: Program, provider: ProviderServer, dialect: str, path: Path) -> str | None:
    """What is wrong with how a recording came through; None where nothing is."""
    expected = json.loads(path.with_suffix(".json").read_text())
    model = ANTHROPIC_MODEL if expected["format"] == "anthropic" else OPENAI_MODEL
    provider.bodies["wild"] = path.read_bytes()
    provider.configure(replay="wild")
    options = {"stream_options": {"include_usage": True}} if dialect == "chat" else {}
    answer = ada.call(dialect, LONG, model=model, stream=True, **options)
    if answer.status_code != 200:
        return (
            None if expected.get("error") and answer.json["error"]["message"] else f"{path.name}: {answer.text[:200]}"
        )
    events = events_of(answer)
    answer.close()
    has_failed = any("error" in event and event["error"] for event in events)
    if has_failed or expected.get("error"):
        return None if has_failed and expected.get("error") else f"{path.name}: {events[-1]}"
    call = db.session.get(Usage, int(answer.headers["X-Call-Id"]), populate_existing=True)
    usage = usage_told(dialect, events)
    text, tools = told_by_package(dialect, events)
    if text != expected["text"]:
        return f"{path.name}: {text[:80]!r} is not {expected['text'][:80]!r}"
    if expected["finish_reason"] == "tool_calls" and tools != (sent := sent_by_provider(path)[1]):
        return f"{path.name}: {tools} is not {sent}"
    if expected["source"] == "reported" and not is_told(tokens_told(dialect, usage), expected):
        return f"{path.name}: {usage} is not {expected['buckets']}"
    if usage["cost_nanos"] != call.paid_nanos or usage["call_id"] != str(call.id):
        return f"{path.name}: {usage}"
    return None
