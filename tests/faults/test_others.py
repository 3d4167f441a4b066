"""Providers that misbehave, readers that never read, and a Stripe that drops, forbids, repeats and reorders."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from functools import partial

import pytest
import requests

from app.models.base import utcnow
from app.models.billing.payment import Payment
from app.models.catalog.plan import CreditPack
from app.models.metering.usage import Usage
from tests.faults.consistency import assert_whole, running
from tests.faults.environment import Stage
from tests.faults.load import ask
from tests.outside.conftest import spoken
from tests.support.running_app import await_that

pytestmark = pytest.mark.databases("postgresql")
BREAKS = (
    "cut",
    "close",
    "reset",
    "garbage",
    "bad_json",
    "long_line",
    "error_event",
    "wrong_type",
    "drop",
    "429",
    "500",
)
USAGES = ("missing", "twice", "zero", "null", "absurd", "negative", "floats", "strings", "bools")
ROOM = 40 - 14
BUYERS = 3


def ask_all(stage: Stage, headers: dict[str, str], contents: list[str]) -> dict[str, str]:
    """All at once; how each ended."""
    with ThreadPoolExecutor(len(contents)) as crowd:
        return dict(zip(contents, crowd.map(partial(ask, stage.running.url, headers), contents), strict=True))


def paid_and_absorbed(stage: Stage, name: str) -> list[tuple[bool, bool]]:
    with stage.looking() as session:
        calls = session.query(Usage).filter_by(account_id=stage.account_of(name))
        return [(call.paid_nanos > 0, call.absorbed_nanos > 0) for call in calls]


def test_a_provider_that_breaks_costs_nobody_anything(stage: Stage) -> None:
    ends = ask_all(stage, stage.person("ada"), [f"[[fault={fault}]]" for fault in BREAKS])
    assert set(ends.values()) == {"provider_error"}, ends
    assert not any(is_paid for is_paid, _ in paid_and_absorbed(stage, "ada"))
    assert_whole(stage)


def test_a_provider_whose_figures_cannot_be_is_counted_here(stage: Stage) -> None:
    ends = ask_all(stage, stage.person("bea"), [f"[[usage={usage}]]" for usage in USAGES])
    assert set(ends.values()) == {"done"}, ends
    with stage.looking() as session:
        dearest = max(usage.paid_nanos - usage.reserved_nanos for usage in session.query(Usage))
    assert dearest <= 0
    assert_whole(stage)


def test_readers_that_never_read_are_served_to_the_end_and_pay(stage: Stage) -> None:
    """Three times as many as there are threads for readers: the rest is told to come back, and pages stay quick."""
    stage.provider.bodies["long"] = spoken("word " * 30_000, output_tokens=100)
    stage.provider.configure(replay="long")
    headers = stage.person("cleo")
    chat = requests.post(f"{stage.running.url}/api/chats", json={"model": "gpt-test"}, headers=headers, timeout=20)
    with ExitStack() as readers:
        for _ in range(3 * ROOM):
            readers.enter_context(never_reading(stage, headers, chat.json()["id"]))
        await_that(lambda: stage.provider.count >= ROOM // 2 and not stage.provider.active, 40)
        assert requests.get(f"{stage.running.url}/pricing", timeout=20).status_code == 200
    await_that(lambda: is_at_rest(stage), 20)
    assert_whole(stage)
    paid = paid_and_absorbed(stage, "cleo")
    assert len(paid) == stage.provider.count
    assert set(paid) == {(True, False)}


def is_at_rest(stage: Stage) -> bool:
    """Nothing runs and nothing begins: requests that waited for a thread get it once the readers are gone."""
    before = stage.provider.count
    time.sleep(2)
    return stage.provider.count == before and not running(stage)


def never_reading(stage: Stage, headers: dict[str, str], chat: str) -> socket.socket:
    """Sends a question and leaves the answer lying in the smallest buffer that there is."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # the sender's buffer grows with it
    connection.connect(("127.0.0.1", stage.running.port))
    lines = [f"POST /api/chats/{chat}/messages HTTP/1.1", "Host: 127.0.0.1", *map(": ".join, headers.items())]
    body = '{"content": "hello", "max_output_tokens": 4000}'
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", body]
    connection.sendall("\r\n".join(lines).encode())
    return connection


def test_a_stripe_that_fails_in_every_way_is_paid_once(stage: Stage) -> None:
    buyers = {f"dora{number}": stage.person(f"dora{number}", credits=1) for number in range(BUYERS)}
    with stage.looking() as session:
        options = {"pack_id": str(session.query(CreditPack).filter_by(price_cents=1000).one().id)}
    for fault in ("rate_limit", "drop_after", "drop_before", "error_before", "conflict"):
        stage.sandbox.control("faults", fault=fault, method="*", path="/v1/*", count=2, skip=2)
    for fault, count in (("duplicate", 100), ("reorder", 3), ("drop", 1)):
        stage.sandbox.control("faults", fault=fault, count=count)
    for headers in buyers.values():
        tries = (checkout(stage, options, headers) for _ in range(30))
        stage.sandbox.pay(next(filter(None, tries)))
    stage.sandbox.control("faults", clear=True)
    with stage.looking() as session:
        session.query(Payment).update({"created_at": utcnow() - timedelta(hours=1)})
        session.commit()
    stage.running.run("flask", "billing", "reconcile")
    assert_whole(stage)
    assert {name: stage.credits_of(name) for name in buyers} == dict.fromkeys(buyers, 5001)


def checkout(stage: Stage, options: dict[str, str], headers: dict[str, str]) -> str | None:
    """A checkout's id; None where Stripe did not answer and one has to try again."""
    answer = requests.post(f"{stage.running.url}/api/checkout", json=options, headers=headers, timeout=60)
    assert answer.status_code in {201, 409, 503}, answer.text
    return str(answer.json()["checkout_url"]).rsplit("/", 1)[1] if answer.status_code == 201 else None
