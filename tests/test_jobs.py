"""The queue: names and ids as JSON, and a caller that does not mind when Redis is away."""

import json
import signal
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import redis
from flask import Flask
from rq import Queue
from rq.serializers import JSONSerializer

from app import mailer
from app.extensions import db
from app.jobs import (
    QUEUE,
    JobName,
    acknowledge,
    connect,
    enqueue,
    enqueue_once,
    is_reachable,
    note_failure,
    pending_key,
)
from app.worker import TIMETABLE, Clock, stop
from devserver.ports import free_port
from devserver.redis_server import RedisServer
from tests.support.mailbox import Mailbox


@pytest.fixture
def without_redis(environment: dict[str, str]) -> None:
    environment["REDIS_URL"] = f"redis://127.0.0.1:{free_port()}/0"


def job_in(redis_url: str) -> dict[bytes, bytes]:
    """The one job that Redis holds, as RQ stored it."""
    connection = redis.Redis.from_url(redis_url)
    (key,) = [key for key in connection.keys("rq:job:*") if connection.type(key) == b"hash"]
    return connection.hgetall(key)


def test_a_job_is_its_name_and_its_ids_as_json(app: Flask, redis_url: str) -> None:
    with app.app_context():
        enqueue("app.payments.jobs.sweep", 7)
    assert json.loads(zlib.decompress(job_in(redis_url)[b"data"])) == [
        "app.payments.jobs.sweep",
        None,
        [7],
        {},
    ]


def test_a_job_that_waits_too_long_is_dropped(app: Flask, redis_url: str) -> None:
    with app.app_context():
        enqueue("app.payments.jobs.sweep", lifetime=30)
    assert job_in(redis_url)[b"ttl"] == b"30"


def jobs_after(*steps: Callable[[str], object]) -> int:
    for step in steps:
        step("app.payments.jobs.sweep")
    return connect().llen(f"rq:queue:{QUEUE}")


def test_a_bell_that_was_not_heard_is_not_rung_again(app: Flask) -> None:
    with app.app_context():
        assert [jobs_after(enqueue_once), jobs_after(enqueue_once, enqueue_once)] == [1, 1]


def test_a_bell_that_was_heard_rings_again(app: Flask) -> None:
    with app.app_context():
        assert jobs_after(enqueue_once, acknowledge, enqueue_once, enqueue_once) == 2


def test_a_ring_that_got_lost_does_not_silence_the_bell_for_long(app: Flask) -> None:
    with app.app_context():
        enqueue_once("app.payments.jobs.sweep")
        assert 0 < connect().ttl(pending_key("app.payments.jobs.sweep")) <= 20


@pytest.mark.usefixtures("without_redis")
def test_without_redis_the_work_is_left_to_the_sweeper(request: pytest.FixtureRequest) -> None:
    with request.getfixturevalue("app").app_context():
        assert enqueue("app.payments.jobs.sweep") is False
        assert enqueue_once("app.payments.jobs.sweep") is False
        acknowledge("app.payments.jobs.sweep")


@pytest.mark.usefixtures("without_redis")
def test_without_redis_the_app_is_not_ready(request: pytest.FixtureRequest) -> None:
    app = request.getfixturevalue("app")
    assert app.test_client().get("/readyz").status_code == 503
    with app.app_context():
        assert not is_reachable()


@pytest.fixture
def full_redis(redis_server: RedisServer, redis_url: str) -> Iterator[None]:
    """A Redis that answers and takes nothing."""
    with redis_server.connection() as connection:
        connection.config_set("maxmemory", "1")
        yield
        connection.config_set("maxmemory", "0")


@pytest.mark.usefixtures("full_redis")
def test_a_redis_that_takes_nothing_is_not_ready_and_the_clock_sweeps_by_itself(app: Flask, mailbox: Mailbox) -> None:
    assert app.test_client().get("/readyz").json == {
        "status": "unavailable",
        "database": True,
        "redis": False,
    }
    with app.app_context():
        mailer.post("test:1", "ada@example.com", "password_changed", name="Ada")
        db.session.commit()
    clock = Clock(app)
    while name := clock.next_due():
        clock.have_done(name)
    assert [str(mail["To"]) for mail in mailbox.mails] == ["ada@example.com"]


def test_none_of_the_timetable_waits_for_ever_behind_what_is_always_due(app: Flask) -> None:
    clock, now = Clock(app), time.monotonic()
    clock.last = {name: now - seconds - 1 for name, seconds in TIMETABLE.items()}
    clock.last[JobName.ADD_UP_CALLS] -= 1
    assert clock.next_due() == JobName.ADD_UP_CALLS
    clock.last = dict.fromkeys(TIMETABLE, now)
    assert clock.next_due() is None


def test_what_failed_is_tried_again_sooner_than_it_would_be_due(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, now = Clock(app), time.monotonic()
    clock.last = dict.fromkeys(TIMETABLE, now)
    failed = JobName.PROCESS_EVENTS, JobName.FORGET_DELETED_CHATS, JobName.CHECK_PRICES
    monkeypatch.setattr("app.payments.jobs.rerate_all", lambda: 1 / 0)
    with app.app_context():
        for name in (*failed, "a job of another release"):
            note_failure(name)
        clock.run(JobName.RERATE_ALL)
    clock.have_done(JobName.SWEEP_MAIL)
    waits = [round(clock.due_at(name) - now, -1) for name in (*failed, JobName.RERATE_ALL)]
    assert waits == [10, 60, 86_400 / 20, 60]


def test_the_clock_ends_dead_calls_however_much_the_worker_has_to_do(
    app: Flask, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[bool] = []
    monkeypatch.setattr("app.payments.jobs.sweep_calls", lambda: ran.append(True))
    for name in (JobName.SWEEP_CALLS, JobName.SWEEP_MAIL):
        Clock(app).have_done(name)
    assert ran == [True]
    assert JobName.SWEEP_MAIL.encode() in zlib.decompress(job_in(redis_url)[b"data"])


def test_events_of_stripes_wait_for_no_other_job(app: Flask) -> None:
    for name in (JobName.SWEEP_MAIL, JobName.PROCESS_EVENTS):
        Clock(app).have_done(name)
    with app.app_context():
        first = Queue(QUEUE, connection=connect(), serializer=JSONSerializer).jobs[0]
    assert first.func_name == JobName.PROCESS_EVENTS


def test_a_signal_ends_what_the_clock_does_by_itself(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is at, and whatever errors are caught there."""

    monkeypatch.setattr(mailer, "sweep", partial(stop, signal.SIGTERM, None))
    with app.app_context(), pytest.raises(SystemExit):
        Clock(app).run(JobName.SWEEP_MAIL)
