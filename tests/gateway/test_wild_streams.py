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
    if usage["cost_nanos"] != call.paid_nanos or usage["call_id"] != str(call.id):
        return f"{path.name}: {usage}"
    return None
