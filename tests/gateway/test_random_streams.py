"""Streams at random, with every fault that a provider has, read or left by the caller: paid is within the ceiling."""

import os
from random import Random
from typing import Any

from app.extensions import db
from app.models.billing.audit import audit
from app.models.billing.call_audit import audit_calls
from app.models.catalog.setting import Setting
from app.models.metering.usage import Usage
from tests.gateway.conftest import ANTHROPIC_MODEL, OPENAI_MODEL, PATHS, Program, body_of
from tests.support import Database
from tests.support.provider_server import ProviderServer
from tests.support.running_app import await_that

STREAMS = 1000 if os.environ.get("LONG") == "1" else 50
FAULTS = (
    "", "", "", "tool_calls", "cut", "close", "reset", "garbage", "bad_json", "error_event", "no_done", "empty",
    "drop", "400", "429", "500", "529", "wrong_type",
)  # fmt: skip
USAGES = ("normal", "missing", "null", "zero", "twice", "absurd", "negative", "floats", "strings", "bools")
FINISHES = ("stop", "length", "filter", "refusal")


def script(chance: Random) -> dict[str, Any]:
    """How the provider answers once."""
    return {
        "fault": chance.choice(FAULTS),
        "usage": chance.choice(USAGES),
        "finish": chance.choice(FINISHES),
        "framing": chance.choice(("chunked", "close")),
        "tokens": chance.randrange(40),
        "reasoning": chance.choice((0, 0, 5)),
        "cached": chance.choice((0, 0, 3)),
        "after": chance.randrange(5),
        "input_tokens": chance.choice((-1, 0, 7, 5_000)),
    }


def ask(program: Program, chance: Random) -> int:
    """One call, whose reader stays to the end or leaves; the status."""
    dialect, model = chance.choice(sorted(PATHS)), chance.choice((OPENAI_MODEL, ANTHROPIC_MODEL))
    limit = "max_output_tokens" if dialect == "responses" else "max_tokens"
    fields = {"stream": chance.random() < 0.7, limit: chance.choice((1, 20, 300))}
    body = body_of(dialect, "x" * chance.randrange(1, 400), model, **fields)
    answer = program.client.post(PATHS[dialect], json=body, headers=program.headers, buffered=False)
    for _piece in zip(range(chance.choice((1, 3, 10**6))), answer.iter_encoded(), strict=False):
        pass
    answer.close()
    return answer.status_code


def test_no_random_stream_costs_more_than_was_reserved(
    ada: Program, provider: ProviderServer, session: Database
) -> None:
    Setting.put("ratelimit_enabled", False)
    Setting.put("absorbed_daily", 10**15)
    session.commit()
    chance, statuses = Random(16), set()  # noqa: S311
    for _number in range(STREAMS):
        provider.configure(**script(chance))
        statuses.add(ask(ada, chance))
    await_that(lambda: not running(), 20)
    calls = db.session.query(Usage).all()
    assert statuses <= {200, 400, 502, 429}, statuses
    assert {200, 502} <= statuses
    assert [call.id for call in calls if call.paid_nanos > call.reserved_nanos] == []
    assert {call.state for call in calls} == {"settled", "released"}
    assert list(audit()) == []
    assert audit_calls().all() == []


def running() -> int:
    db.session.rollback()
    return db.session.query(Usage).filter_by(state="running").count()
