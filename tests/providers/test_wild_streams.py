"""Streams as they occur in the wild, each read over real HTTP: whole, and in pieces that split every character."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from app.providers.base import TokenUsage
from tests.providers.conftest import Vendor
from tests.support.provider_server import ProviderServer
from tests.support.replies import Outcome, asking, outcome_of

WILD = Path(__file__).parents[1] / "support" / "wild"
STREAMS = sorted(path.stem for path in WILD.glob("*.sse"))
BUCKETS = [field.name for field in fields(TokenUsage) if field.name not in ("source", "raw")]


def expected(name: str) -> dict[str, Any]:
    meant: dict[str, Any] = json.loads((WILD / f"{name}.json").read_text())
    return meant


def told(outcome: Outcome) -> dict[str, Any]:
    """What came of a stream, in the words of the expectations."""
    return {
        "text": outcome.text,
        "finish_reason": outcome.finish_reason,
        "error": outcome.reason,
        "source": outcome.usage.source,
        "buckets": {name: getattr(outcome.usage, name) for name in BUCKETS},
    }


@pytest.mark.parametrize("name", STREAMS)
def test_a_wild_stream_is_read_as_it_was_meant(name: str, vendors: dict[str, Vendor], server: ProviderServer) -> None:
    meant = expected(name)
    server.bodies[name] = (WILD / f"{name}.sse").read_bytes()

    for pieces in (0, 1):
        outcome = outcome_of(vendors[meant["format"]].stream(asking(f"[[replay={name} pieces={pieces}]]")))

        assert told(outcome) == {key: meant[key] for key in meant if key not in ("format", "why")}


def test_a_search_that_nobody_asked_for_is_told_and_not_charged(
    vendors: dict[str, Vendor], server: ProviderServer
) -> None:
    server.bodies["search"] = (WILD / "anthropic-web-search.sse").read_bytes()
    reply = vendors["anthropic"].stream(asking("[[replay=search]]"))

    assert outcome_of(reply).usage.searches == 0
    assert reply.evidence.unpriced == 1
