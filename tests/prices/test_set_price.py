"""A price set from the command line: a new row, from now or later, or a refusal."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from app.models.base import utcnow
from app.models.billing.call_audit import audit_calls
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price_schedule import in_force
from app.models.metering.reservation import settle
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.support import Database
from tests.support.calls import reserve
from tests.support.people import CREDIT, actor, model, person


@pytest.fixture(autouse=True)
def priced(app: Flask, session: Database):
    """Sold at once already."""
    with time_machine.travel(datetime(2026, 11, 20, 12, tzinfo=UTC), tick=False) as clock:
        model("m", kind="demo", dollars_in="2.5", dollars_out="10")
        ada = person("ada", credits=30 * CREDIT)
        prompt = Prompt("m", (PromptMessage("user", "hello"),), 700)
        reservation = reserve(actor(ada), prompt, AIModel.to_sell("m", utcnow())[1])
        clock.shift(timedelta(minutes=1))
        settle(reservation, TokenUsage(uncached_input=500, output=700, source="reported"), "done")
        session.commit()
        yield


def test_it_is_a_new_row(app: Flask, session: Database) -> None:
    run = app.test_cli_runner().invoke
    assert run(args=["prices", "set", "m", "--output", "12.5", "--from", "2026-12-01"]).exit_code == 0
    session.expire_all()
    old, new = sorted(AIModel.named("m").prices, key=lambda row: row.id)

    assert (old.output_nanos, new.output_nanos) == (10 * 10**9, 12_500_000_000)
    assert new.uncached_input_nanos == 2_500_000_000
    assert (new.effective_from, new.source) == (datetime(2026, 12, 1, tzinfo=UTC), "admin")
    assert audit_calls().all() == []


def test_a_tier_has_a_price_of_its_own(app: Flask, session: Database) -> None:
    """The rest of its figures are the ordinary price's; that one stays."""
    run = app.test_cli_runner().invoke
    done = run(args=["prices", "set", "m", "--output", "20", "--tier", "Priority"])
    assert (done.exit_code, "m, priority tier from" in done.output) == (0, True)
    assert run(args=["prices", "set", "m", "--input", "3", "--tier", "priority"]).exit_code == 0
    assert run(args=["prices", "set", "m", "--input", "1", "--tier", "default"]).exit_code == 0
    session.expire_all()
    rows = AIModel.named("m").prices
    prices = [in_force(rows, utcnow(), tier) for tier in ("priority", "", "flex")]

    figures = [(row.uncached_input_nanos // 10**8, row.output_nanos // 10**9) for row in prices if row]
    assert figures == [(30, 20), (10, 10), (10, 10)]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["m", "--output", "-1"], "no whole, positive number"),
        (["m", "--output", "ten"], "is no price"),
        (["m", "--output", "1", "--from", "2026-01-01"], "in the past"),
        (["nobody", "--output", "1"], "no model called 'nobody'"),
        (["gpt-6-luna", "--input", "1"], "other prices above 272,000 input tokens"),
        (["m", "--long-input", "1"], "no long-context tier"),
    ],
)
def test_what_cannot_be_a_price_is_refused(arguments: list[str], reason: str, app: Flask) -> None:
    refused = app.test_cli_runner().invoke(args=["prices", "set", *arguments])

    assert refused.exit_code == 2
    assert reason in " ".join(refused.output.split())
