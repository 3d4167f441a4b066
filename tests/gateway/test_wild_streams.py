"""Every recorded stream through each dialect: what the caller puts together is what was sent, or an error is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.extensions import db
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.metering.usage import Usage
from tests.gateway.conftest import ANTHROPIC_MODEL, OPENAI_MODEL, PATHS, Program, events_of
from tests.support import people
from tests.support.provider_server import ProviderServer

WILD = Path(__file__).parents[1] / "support" / "wild"
LONG = "x" * 60_000
"""A charge never passes its reservation, which is made from the bytes of the question."""


def text_told(dialect: str, events: list[dict[str, Any]]) -> str:
    if dialect == "chat":
        deltas = [choice["delta"] for event in events for choice in event.get("choices", ())]
        return "".join((delta.get("content") or "") + (delta.get("refusal") or "") for delta in deltas)
    if dialect == "responses":
        return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    return "".join(
        block.get("text") or ""
        for event in events
        for block in (event.get("delta") or {}, event.get("content_block") or {})
        if block.get("type") in ("text", "text_delta")
    )


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


Tools = list[list[str]]


def tools_told(dialect: str, events: list[dict[str, Any]]) -> Tools:
    """Name and arguments of each tool that is asked for, as a client of that dialect puts them together."""
    tools: Tools = []
    for event in events:
        if dialect == "chat":
            add_chat_calls(tools, event)
        elif dialect == "messages":
            add_tool_use(tools, event)
        elif event["type"] == "response.output_item.done" and event["item"]["type"] == "function_call":
            tools.append([event["item"]["name"], event["item"]["arguments"]])
    return [[name, arguments or "{}"] for name, arguments in tools]


def add_chat_calls(tools: Tools, event: dict[str, Any]) -> None:
    for choice in event.get("choices") or ():
        for call in (choice.get("delta") or {}).get("tool_calls") or ():
            if call["index"] == len(tools):
                tools.append([call["function"]["name"], ""])
            tools[call["index"]][1] += call["function"].get("arguments") or ""


def add_tool_use(tools: Tools, event: dict[str, Any]) -> None:
    block = event.get("content_block") or {}
    if event.get("type") == "content_block_start" and block.get("type") == "tool_use":
        tools.append([block["name"], ""])
    delta = event.get("delta") or {}
    if delta.get("type") == "input_json_delta" and tools:
        tools[-1][1] += delta.get("partial_json") or ""


def tools_sent(path: Path) -> Tools:
    """The same of what the provider sent."""
    lines = [line[5:].strip() for line in path.read_text().splitlines() if line[:5] == "data:"]
    events = [json.loads(line) for line in lines if line and line != "[DONE]"]
    return tools_told("messages" if path.name.startswith("anthropic") else "chat", events)


@pytest.mark.parametrize("dialect", PATHS)
def test_every_recorded_stream_is_passed_on_whole_or_fails_as_told(
    ada: Program, provider: ProviderServer, dialect: str
) -> None:
    Setting.put("absorbed_daily", 10**15)
    people.give(db.session.query(Account).order_by(Account.id.desc()).first(), credits=10**14)
    db.session.commit()
    wrong = [
        name for path in sorted(WILD.glob("*.sse")) if (name := problem_of(ada, provider, dialect, path))
    ]
    assert wrong == [], "\n".join(wrong)


def problem_of(ada: Program, provider: ProviderServer, dialect: str, path: Path) -> str | None:
    """What is wrong with how a recording came through; None where nothing is."""
    expected = json.loads(path.with_suffix(".json").read_text())
    model = ANTHROPIC_MODEL if path.name.startswith("anthropic") else OPENAI_MODEL
    provider.bodies["wild"] = path.read_bytes()
    provider.configure(replay="wild")
    options = {"stream_options": {"include_usage": True}} if dialect == "chat" else {}
    answer = ada.call(dialect, LONG, model=model, stream=True, **options)
    if answer.status_code != 200:
        return (
            None
            if expected.get("error") and answer.json["error"]["message"]
            else f"{path.name}: {answer.text[:200]}"
        )
    events = events_of(answer)
    answer.close()
    has_failed = any("error" in event and event["error"] for event in events)
    if has_failed or expected.get("error"):
        return None if has_failed and expected.get("error") else f"{path.name}: {events[-1]}"
    call = db.session.get(Usage, int(answer.headers["X-Call-Id"]), populate_existing=True)
    usage = usage_told(dialect, events)
    if text_told(dialect, events) != expected["text"]:
        return f"{path.name}: {text_told(dialect, events)[:80]!r} is not {expected['text'][:80]!r}"
    asks = expected["finish_reason"] == "tool_calls"
    if asks and (told := tools_told(dialect, events)) != (sent := tools_sent(path)):
        return f"{path.name}: {told} is not {sent}"
    if expected["source"] == "reported" and tokens_told(dialect, usage) != tokens_of(expected["buckets"]):
        return f"{path.name}: {usage} is not {expected['buckets']}"
    if usage["cost_nanos"] != call.paid_nanos or usage["call_id"] != str(call.id):
        return f"{path.name}: {usage}"
    return None
