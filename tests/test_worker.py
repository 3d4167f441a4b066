"""The worker and the clock as processes: they survive Redis, failures and deploys, and work is done once more."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import redis
import time_machine
from flask import Flask
from rq import Queue
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from app.jobs import QUEUE, JobName, enqueue, take_failures
from app.models.base import utcnow
from app.worker import TIMETABLE, Clock
from devserver.redis_server import RedisServer
from tests.support.running_app import RunningApp, await_that

JOBS = "tests.support.jobs"
Start = Callable[..., RunningApp]


@pytest.fixture
def redis_url() -> Iterator[str]:
    """A Redis of the test's own, which it may kill."""
    server = RedisServer()
    server.start()
    own[server.url] = server
    yield server.url
    server.stop()


own: dict[str, RedisServer] = {}


@contextmanager
def no_redis(url: str) -> Iterator[None]:
    """Redis is killed, its memory lost, and comes back empty."""
    own[url].kill()
    yield
    own[url].start()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """The file that the jobs of `tests.support.jobs` write to."""
    return tmp_path / "notes"


@pytest.fixture
def environment(environment: dict[str, str], notes: Path) -> dict[str, str]:
    return environment | {"NOTES": str(notes)}


def lines(notes: Path) -> list[str]:
    return notes.read_text().splitlines() if notes.exists() else []


def let_it_end(notes: Path) -> None:
    """The job `take_long`."""
    notes.with_suffix(".go").touch()


def test_each_job_has_an_app_context_of_its_own_and_what_one_that_fails_says_stays_out_of_redis(
    app: Flask, start_app: Start, notes: Path, redis_url: str
) -> None:
    with app.app_context():
        enqueue(f"{JOBS}.note_context")
        enqueue(f"{JOBS}.fail", 5)
        enqueue(f"{JOBS}.note_context")
    said = start_app().work_off()
    assert lines(notes) == ["fresh", "fresh"]
    connection = redis.Redis.from_url(redis_url)
    (identifier,) = FailedJobRegistry(QUEUE, connection=connection, serializer=JSONSerializer).get_job_ids()
    result = Queue(QUEUE, connection=connection, serializer=JSONSerializer).fetch_job(identifier).latest_result()
    assert "canary of 5" in said
    assert "canary" not in result.exc_string
    with app.app_context():
        assert (take_failures(), take_failures()) == ([f"{JOBS}.fail"], [])


def test_sigterm_lets_the_running_job_end_however_often_it_comes(app: Flask, start_app: Start, notes: Path) -> None:
    running = start_app("worker")
    with app.app_context():
        enqueue(f"{JOBS}.take_long")
    await_that(lambda: lines(notes) == ["began"], 30, failing=lambda: running.log("worker"))
    running.processes["worker"].send_signal(signal.SIGTERM)
    time.sleep(1.2)  # for a second RQ takes the next one for the same
    running.processes["worker"].send_signal(signal.SIGTERM)
    time.sleep(0.1)
    let_it_end(notes)
    assert running.await_death("worker") == 0
    assert lines(notes) == ["began", "ended"]


def test_a_worker_that_loses_redis_idle_or_as_a_job_ends_goes_on(
    app: Flask, start_app: Start, notes: Path, redis_url: str
) -> None:
    running = start_app("worker")
    await_that(lambda: "working" in running.log("worker"), 30)
    with no_redis(redis_url):
        await_that(lambda: re.search("could not connect|redis lost", running.log("worker")), 30)
    with app.app_context():
        enqueue(f"{JOBS}.take_long")
    await_that(lambda: lines(notes) == ["began"], 30, failing=lambda: running.log("worker"))
    lost = running.log("worker").count("redis lost")
    with no_redis(redis_url):
        let_it_end(notes)
        await_that(lambda: lines(notes) == ["began", "ended"], 30)
        await_that(lambda: running.log("worker").count("redis lost") > lost, 30, failing=lambda: running.log("worker"))
    with app.app_context():
        enqueue(f"{JOBS}.note_context")
    await_that(lambda: lines(notes)[-1] == "fresh", 30, failing=lambda: running.log("worker"))


def test_two_clocks_enqueue_outlive_redis_and_end_by_sigterm_as_an_idle_worker_does(
    start_app: Start, redis_url: str
) -> None:
    running = start_app("clock", "clock.2")
    connection = redis.Redis.from_url(redis_url)
    await_that(lambda: all("ticking" in running.log(name) for name in running.names), 30)
    await_that(lambda: connection.llen(f"rq:queue:{QUEUE}") >= 2, 30)
    with no_redis(redis_url):
        pass
    assert [running.terminate(name, within=5) for name in ("clock", "clock.2")] == [0, 0]
    connection.flushall()
    running.start("worker")
    await_that(lambda: "working" in running.log("worker"), 30)
    assert running.terminate("worker", within=5) == 0


def test_the_clock_goes_on_when_its_time_jumps_ahead_and_back(app: Flask) -> None:
    """What was done in the hour ahead would not be due for an hour."""
    clock, name = Clock(app), JobName.PROCESS_EVENTS
    with time_machine.travel(utcnow() + timedelta(hours=1), tick=True):
        clock.have_done(name)
    assert 0 < clock.due_at(name) - time.monotonic() <= TIMETABLE[name]
