"""Databases and Redis that are lost, crash, are full, locked or out of connections, and schemas that change."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import psycopg
import pytest
import requests
from rq import Queue
from rq.serializers import JSONSerializer

from app.db.watchdog import LOCK_SECONDS
from app.jobs import QUEUE
from app.models.operations.webhook_event import StripeEvent
from tests.faults.consistency import assert_whole
from tests.faults.environment import Stage
from tests.faults.load import Crowd
from tests.faults.signed import deliver
from tests.support.crowding import patient
from tests.support.running_app import await_that

pytestmark = pytest.mark.databases("postgresql")
EVENTS = 25


@contextmanager
def running_answers(stage: Stage, name: str) -> Iterator[Crowd]:
    """Four answers that take a second, begun before the block and done after it."""
    stage.provider.configure(tokens=50, delay=0.02)
    crowd = Crowd(stage.running.url, stage.person(name))
    crowd.ask(["hello"] * 4)
    await_that(lambda: stage.provider.active == 4, 20)
    yield crowd
    assert crowd.join() == {"done": 4}
    assert crowd.tries == 4


def test_answers_outlive_a_postgresql_that_crashes(stage: Stage) -> None:
    assert stage.postgres
    with running_answers(stage, "sara") as crowd:
        stage.postgres.crash()
        assert all_doors(stage, crowd.headers) == {
            "page": 503,
            "program": 503,
            "question": 503,
            "Stripe": 503,
        }
        stage.postgres.start()
    assert_whole(stage)


def all_doors(stage: Stage, key: dict[str, str]) -> dict[str, int]:
    """The status that each kind of caller gets; a person and a program are told in words, and when to come again."""
    url = stage.running.url
    page = requests.get(f"{url}/pricing", headers={"Accept": "text/html"}, timeout=60)
    program = requests.get(f"{url}/api/balance", headers=key, timeout=60)
    question = requests.post(f"{url}/api/chats", json={"model": "gpt-test"}, headers=key, timeout=60)
    for answer in (page, program, question):
        assert "try again" in answer.text.lower()
        assert answer.headers["Retry-After"] == "5"
    doors = {"page": page, "program": program, "question": question}
    return {name: answer.status_code for name, answer in doors.items()} | {"Stripe": deliver(stage, 1)}


def test_a_postgresql_that_hangs_is_given_up_in_seconds(stage: Stage) -> None:
    """Readiness within a second, pages in words; the answers that run go on, and all is well when it answers again."""
    assert stage.postgres
    with running_answers(stage, "hal") as crowd:
        stage.postgres.pause()
        try:
            began = time.monotonic()
            assert requests.get(f"{stage.running.url}/readyz", timeout=60).status_code == 503
            assert time.monotonic() - began < patient(2)
            assert set(all_doors(stage, crowd.headers).values()) == {503}
            began = time.monotonic()
            assert set(all_doors(stage, crowd.headers).values()) == {503}
            assert time.monotonic() - began < patient(4)
        finally:
            stage.postgres.resume()
        await_that(lambda: requests.get(f"{stage.running.url}/readyz", timeout=60).status_code == 200, 20)
    assert_whole(stage)


@pytest.mark.long
def test_a_lock_that_is_held_keeps_nobody_for_long(stage: Stage) -> None:
    """More ask than there are connections: each waits for one, and then for the lock, ten seconds at most."""
    assert stage.postgres
    headers, took = stage.person("lea"), []

    def ask(_number: int) -> int:
        began = time.monotonic()
        status = requests.get(f"{stage.running.url}/api/balance", headers=headers, timeout=120).status_code
        took.append(time.monotonic() - began)
        return status

    with psycopg.connect(stage.postgres.url()) as holder, ThreadPoolExecutor(20) as programs:
        holder.execute("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE")
        assert set(programs.map(ask, range(20))) == {503}
    assert max(took) < patient(LOCK_SECONDS * 2 + 2)
    assert_whole(stage)


@pytest.mark.long
def test_answers_outlive_a_postgresql_that_is_down_as_they_end(stage: Stage) -> None:
    assert stage.postgres
    with running_answers(stage, "sean"):
        stage.postgres.crash()
        await_that(lambda: not stage.provider.active, 20)
        assert requests.get(f"{stage.running.url}/readyz", timeout=60).status_code == 503
        stage.postgres.start()
    assert_whole(stage)


def test_answers_outlive_a_postgresql_without_a_connection_left(stage: Stage) -> None:
    assert stage.postgres
    with running_answers(stage, "sid"), ExitStack() as hogs:
        stage.postgres.execute(OTHERS_OUT)
        with suppress(psycopg.OperationalError):
            while True:
                hogs.enter_context(psycopg.connect(stage.postgres.url()))
        await_that(lambda: not stage.provider.active, 20)
    assert_whole(stage)


@pytest.mark.long
def test_a_schema_that_changes_under_traffic_stops_nobody(stage: Stage) -> None:
    assert stage.postgres
    with running_answers(stage, "sue"):
        stage.running.run("flask", "db", "upgrade")
        stage.postgres.execute("ALTER TABLE accounts ADD COLUMN probe integer")
        stage.postgres.execute("CREATE INDEX CONCURRENTLY ix_probe ON usages (account_id, day)")
    stage.postgres.execute("ALTER TABLE accounts DROP COLUMN probe")
    stage.postgres.execute("DROP INDEX ix_probe")
    assert_whole(stage)


def test_events_that_were_queued_in_a_lost_redis_are_processed(stage: Stage) -> None:
    stage.running.kill("worker")
    for number in range(EVENTS):
        assert deliver(stage, number) == 200
    stage.kill_redis()
    stage.running.start("worker")
    assert_whole(stage)
    with stage.looking() as session:
        mine = session.query(StripeEvent).filter(StripeEvent.stripe_id.like("evt_lost_%"))
        assert [mine.count(), mine.filter_by(state="done").count()] == [EVENTS, EVENTS]


@pytest.mark.parametrize(
    "poison",
    [
        lambda queue: queue.enqueue_call("no.such.module.job", timeout=5),
        lambda queue: queue.enqueue_call("app.payments.jobs.recharge", args=["not a number", {}], timeout=5),
        lambda queue: queue.connection.rpush(f"rq:queue:{QUEUE}", b"\xff not a job"),
        lambda queue: queue.connection.hset(queue.enqueue_call("app.mailer.sweep").key, "data", b"\x00\xff{"),
    ],
    ids=["unknown", "wrong arguments", "garbage", "unreadable"],
)
def test_a_poisoned_job_does_not_stop_the_next_one(stage: Stage, poison: Callable[[Queue], object]) -> None:
    with stage.redis.connection() as connection:
        queue = Queue(QUEUE, connection=connection, serializer=JSONSerializer)
        poison(queue)
        queue.enqueue_call("app.payments.jobs.sweep")
        await_that(queue.is_empty, 30, failing=lambda: stage.running.log("worker")[-2000:])
    assert stage.running.processes["worker"].poll() is None
    assert_whole(stage)


OTHERS_OUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
