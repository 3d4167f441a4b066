"""/metrics: what is counted, that every process tells the same, and that the alerts watch what is."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
import time_machine
import yaml
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, text

from app.errors import HTTP_CODES
from app.extensions import db
from app.jobs import enqueue, note_run
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.metering.reservation import Reservation
from app.models.metering.usage import Usage
from app.models.operations.webhook_event import StripeEvent
from app.observability.counters import KEY, Counters, meters
from app.payments.sweeper import sweep
from app.providers.base import Prompt, PromptMessage
from app.worker import CLOCK, TIMETABLE
from devserver.ports import free_port
from tests.admin.conftest import client_of
from tests.chat.conftest import Door, ada, door, environment, provider
from tests.support import Database, people
from tests.support.calls import reserve
from tests.support.people import CREDIT
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp, await_that
from tests.support.scraping import HEADERS, TOKEN, Scrape

__all__ = ["ada", "client_of", "door", "environment", "provider"]
DEPLOYING = Path(__file__).parent.parent / "docs" / "deploy.md"


@pytest.fixture(autouse=True)
def from_zero(app: Flask, redis_url: str) -> None:
    """What the test before this one has counted in this process does not come into this one's Redis."""
    meters.flush()
    redis.Redis.from_url(redis_url).delete(KEY)


@pytest.fixture
def scrape(app: Flask) -> Callable[[], Scrape]:
    """`scrape()`: what a Prometheus reads now, once all that was counted has arrived."""
    app.config["METRICS_TOKEN"] = TOKEN

    def ask() -> Scrape:
        meters.flush()
        answer = app.test_client().get("/metrics", headers=HEADERS)
        assert answer.status_code == 200, answer.text
        return Scrape(answer.text)

    return ask


def test_a_call_is_counted_with_its_buckets_and_its_cost(
    ada: Door, provider: ProviderServer, scrape: Callable[[], Scrape]
) -> None:
    provider.configure(input_tokens=500, cached=400, tokens=500)
    ada.ask("hello")
    figures = scrape()

    assert figures.of("calls_total", model="gpt-test") == figures.of("calls_total", outcome="done") == 1
    buckets = {"uncached_input": 100, "cache_read": 400, "output": 500}
    assert {name: figures.of("tokens_total", bucket=name) for name in buckets} == buckets
    assert figures.of("provider_cost_nanos_total", model="gpt-test") == 6_250_000
    assert figures.of("absorbed_cost_nanos_total") is None


def test_what_we_bear_of_a_failed_call_is_counted(
    ada: Door, provider: ProviderServer, scrape: Callable[[], Scrape]
) -> None:
    ada.ask("[[fault:cut after=3]]")
    figures, usage = scrape(), db.session.query(Usage).one()

    assert figures.of("calls_total", outcome="failed") == 1
    assert figures.of("absorbed_cost_nanos_total") == figures.of("provider_cost_nanos_total")
    assert figures.of("absorbed_cost_nanos_total") == usage.absorbed_nanos > 0


def test_a_reservation_is_open_then_overdue_then_swept_and_counted(
    session: Database, scrape: Callable[[], Scrape]
) -> None:
    with time_machine.travel(utcnow() - timedelta(minutes=5)):
        reservation = begun(session)
    before = scrape()
    assert before.of("reservations_open") == before.of("reservations_overdue") == 1
    assert before.of("reservations_open_nanos") == reservation.ceiling

    assert sweep() == 1
    after = scrape()
    assert after.of("reservations_open") == after.of("reservations_overdue") == 0
    assert after.of("calls_total", outcome="interrupted") == 1
    assert after.of("absorbed_cost_nanos_total") == session.query(Usage).one().absorbed_nanos > 0


def begun(session: Database) -> Reservation:
    """A call of ada's that no process goes on with."""
    account = people.person("ada", credits=1000 * CREDIT)
    people.model()
    _model, price = AIModel.to_sell("gpt-test", utcnow())
    prompt = Prompt("gpt-test", (PromptMessage("user", "hello"),), 500)
    reservation = reserve(people.actor(account), prompt, price)
    session.commit()
    return reservation


def test_the_wait_for_the_first_token_is_counted_in_classes(
    ada: Door, provider: ProviderServer, scrape: Callable[[], Scrape]
) -> None:
    provider.configure(first_delay=0.3, delay=0.1, tokens=5)
    ada.ask("hello")
    ada.ask("[[fault:500]]")
    figures = scrape()

    assert figures.of("first_token_seconds_bucket", le="0.25") == 0
    assert figures.of("first_token_seconds_bucket", le="+Inf") == figures.of("first_token_seconds_count") == 1
    assert 0.3 <= figures.of("first_token_seconds_sum") < 5


def test_refusals_are_counted_by_their_code(
    door: Callable[..., Door], client: FlaskClient, scrape: Callable[[], Scrape]
) -> None:
    bob = door("bob")
    bob.call("POST", "/chats", json={"model": "gpt-test"})
    bob.call("POST", "/chats", json={"model": "no-such-model"})
    client.get("/api/balance")
    figures = scrape()

    codes = {"out_of_credits": 1, "model_not_found": 1, "not_signed_in": 1}
    assert {code: figures.of("refusals_total", code=code) for code in codes} == codes


def test_jobs_runs_and_events_are_told_as_they_are(session: Database, scrape: Callable[[], Scrape]) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with time_machine.travel(noon, tick=False):
        for number, state in enumerate(("received", "received", "parked", "failed", "done")):
            event_id, _is_new = StripeEvent.store(f"evt_{number}", "invoice.paid", {})
            session.get_one(StripeEvent, event_id).state = state
        session.commit()
    enqueue("app.payments.jobs.sweep")
    note_run("app.payments.jobs.sweep", noon)
    figures = scrape()

    states = {"received": 2, "parked": 1, "failed": 1}
    assert {state: figures.of("stripe_events", state=state) for state in states} == states
    assert figures.of("stripe_event_oldest_timestamp_seconds") == noon.timestamp()
    assert figures.of("queue_jobs", state="waiting") == 1
    assert figures.of("workers") == 0
    assert figures.of("last_run_timestamp_seconds", job="app.payments.jobs.sweep") == noon.timestamp()


def test_without_redis_the_rest_is_told_and_what_was_counted_is_kept(
    ada: Door, app: Flask, scrape: Callable[[], Scrape], redis_url: str
) -> None:
    connect_to(app, f"redis://127.0.0.1:{free_port()}/0")
    ada.ask("hello")
    figures = scrape()
    assert (figures.of("redis_up"), figures.of("reservations_open")) == (0, 0)
    assert figures.of("calls_total") is None

    connect_to(app, redis_url)
    assert scrape().of("calls_total") == 1


def connect_to(app: Flask, redis_url: str) -> None:
    app.extensions.pop("redis", None)
    app.config["REDIS_URL"] = redis_url


def test_a_redis_that_was_emptied_begins_anew(ada: Door, redis_url: str, scrape: Callable[[], Scrape]) -> None:
    ada.ask("hello")
    assert scrape().of("calls_total") == 1
    redis.Redis.from_url(redis_url).flushall()
    ada.ask("hello")
    assert scrape().of("calls_total") == 1


@pytest.mark.databases("postgresql")
def test_no_figure_reads_all_calls(session: Database, scrape: Callable[[], Scrape]) -> None:
    """With plans that avoid to read a whole table where they can: as they are when it is large."""
    asked: list[tuple[str, object]] = []
    with listening(asked):
        scrape()
    session.execute(text("SET enable_seqscan = off"))
    raw = session.connection().connection.cursor()
    plans = [raw.execute(f"EXPLAIN {statement}", values).fetchall() for statement, values in asked]

    told = "\n".join(line for plan in plans for (line,) in plan)
    assert "ix_usages_running" in told
    assert "ix_stripe_events_open" in told
    assert "Seq Scan on usages" not in told


@contextmanager
def listening(asked: list[tuple[str, object]]) -> Iterator[None]:
    """Each SELECT that is sent meanwhile, with its values."""

    def hear(_connection: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        asked.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", hear)
    yield
    event.remove(db.engine, "before_cursor_execute", hear)


def test_whichever_process_is_asked_tells_the_same(
    ada: Door, start_app: Callable[..., RunningApp], provider: ProviderServer
) -> None:
    webs = [start_app("web", METRICS_TOKEN=TOKEN), start_app("web", METRICS_TOKEN=TOKEN)]
    for number in range(3):
        ask_at(webs[number % 2].url, ada.headers)
    requests.get(f"{webs[1].url}/api/balance", timeout=60)
    await_that(lambda: scraped(webs[0]).of("calls_total") == 3, 20)
    await_that(lambda: scraped(webs[0]).of("refusals_total", code="not_signed_in") == 1, 20)
    one, other = (scraped(web) for web in webs)

    assert one.samples == other.samples
    assert one.of("first_token_seconds_count") == 3
    assert one.of("provider_cost_nanos_total") == sum(row.cost_nanos for row in db.session.query(Usage))


def ask_at(url: str, headers: dict[str, str]) -> None:
    chat = requests.post(f"{url}/api/chats", json={"model": "gpt-test"}, headers=headers, timeout=30)
    path = f"{url}/api/chats/{chat.json()['id']}/messages"
    assert requests.post(path, json={"content": "hello"}, headers=headers, timeout=30).status_code == 200


def scraped(web: RunningApp) -> Scrape:
    answer = requests.get(f"{web.url}/metrics", headers=HEADERS, timeout=60)
    assert answer.status_code == 200, answer.text
    return Scrape(answer.text)


def test_a_process_that_is_asked_to_end_brings_what_it_has_counted(
    ada: Door, start_app: Callable[..., RunningApp], scrape: Callable[[], Scrape]
) -> None:
    web = start_app("web")
    ask_at(web.url, ada.headers)
    assert web.terminate("web") == 0
    assert scrape().of("calls_total") == 1


def test_no_count_is_lost_by_an_error_that_nobody_expects(app: Flask) -> None:
    counters = Counters()
    unnamed: dict[Any, int] = {(object(),): 1}
    counters.app = app
    counters.waiting.update(unnamed)
    with pytest.raises(TypeError):
        counters.flush()
    assert counters.waiting == unnamed


def test_the_alerts_watch_what_there_is(ada: Door, scrape: Callable[[], Scrape]) -> None:
    ada.ask("hello")
    figures, rules = scrape(), alerts()
    assert len(rules) >= 8
    watched = {name for rule in rules for name in re.findall(r"tollgate_\w+", rule["expr"])}
    assert watched
    assert watched <= figures.names


def test_the_alerts_ask_for_labels_that_there_are(ada: Door, session: Database, scrape: Callable[[], Scrape]) -> None:
    ada.ask("hello")
    ada.ask("[[fault:500]]")
    for job in (*TIMETABLE, CLOCK):
        note_run(job, utcnow())
    figures = scrape()
    for rule in alerts():
        for name, label, value in re.findall(r'tollgate_(\w+)\{(\w+)="([^"]+)"', rule["expr"]):
            known = figures.of(name, **{label: value}) is not None
            assert known or value in {*HTTP_CODES.values(), "internal_error"}, (rule["alert"], label, value)


def alerts() -> list[dict[str, Any]]:
    """The rules of docs/deploy.md, read as the YAML that they are."""
    block = re.search(r"```yaml\n(groups:.*?)```", DEPLOYING.read_text(), re.DOTALL)
    return [rule for group in yaml.safe_load(block[1])["groups"] for rule in group["rules"]]
