"""The worker and the clock as processes: they survive Redis, failures and deploys, and work is done once more."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from flask import Flask
from rq import Queue
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from app.jobs import QUEUE, JobName, enqueue
from devserver.redis_server import RedisServer
from tests.support.running_app import RunningApp, await_that
from tests.support.troubles import CLOCK_IS_BACK, CLOCK_JUMPS

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


def test_each_job_has_an_app_context_of_its_own(app: Flask, start_app: Start, notes: Path) -> None:
    with app.app_context():
        enqueue(f"{JOBS}.note_context")
        enqueue(f"{JOBS}.note_context")
    start_app().work_off()
    assert lines(notes) == ["fresh", "fresh"]


def test_a_job_that_fails_is_logged_and_its_words_stay_out_of_redis(
    app: Flask, start_app: Start, redis_url: str
) -> None:
    with app.app_context():
        enqueue(f"{JOBS}.fail", 5)
    said = start_app().work_off()
    connection = redis.Redis.from_url(redis_url)
    (identifier,) = FailedJobRegistry(QUEUE, connection=connection, serializer=JSONSerializer).get_job_ids()
    result = Queue(QUEUE, connection=connection, serializer=JSONSerializer).fetch_job(identifier).latest_result()
    assert "canary of 5" in said
    assert "canary" not in result.exc_string


def test_sigterm_lets_the_running_job_end_however_often_it_comes(app: Flask, start_app: Start, notes: Path) -> None:
    running = start_app("worker")
    with app.app_context():
        enqueue(f"{JOBS}.take_long")
    await_that(lambda: lines(notes) == ["began"], 30, failing=lambda: running.log("worker"))
    running.processes["worker"].send_signal(signal.SIGTERM)
    time.sleep(1.2)  # for a second RQ takes the next one for the same
    assert running.terminate("worker") == 0
    assert lines(notes) == ["began", "ended"]


def test_sigterm_ends_an_idle_worker_and_clock(start_app: Start) -> None:
    running = start_app("worker", "clock")
    await_that(lambda: "working" in running.log("worker") and "ticking" in running.log("clock"), 30)
    assert running.terminate("worker", within=5) == 0
    assert running.terminate("clock", within=5) == 0


def test_the_worker_goes_on_when_redis_comes_back(app: Flask, start_app: Start, notes: Path, redis_url: str) -> None:
    running = start_app("worker")
    await_that(lambda: "working" in running.log("worker"), 30)
    with no_redis(redis_url):
        await_that(lambda: re.search("could not connect|redis lost", running.log("worker")), 30)
    with app.app_context():
        enqueue(f"{JOBS}.note_context")
    await_that(lambda: lines(notes) == ["fresh"], 30, failing=lambda: running.log("worker"))


def test_a_worker_that_loses_redis_as_a_job_ends_goes_on(
    app: Flask, start_app: Start, notes: Path, redis_url: str
) -> None:
    running = start_app("worker")
    with app.app_context():
        enqueue(f"{JOBS}.take_long")
    await_that(lambda: lines(notes) == ["began"], 30, failing=lambda: running.log("worker"))
    with no_redis(redis_url):
        await_that(lambda: lines(notes) == ["began", "ended"], 30)
        await_that(lambda: "redis lost" in running.log("worker"), 30, failing=lambda: running.log("worker"))
    with app.app_context():
        enqueue(f"{JOBS}.note_context")
    await_that(lambda: lines(notes)[-1] == "fresh", 30, failing=lambda: running.log("worker"))


def test_two_clocks_enqueue_and_a_redis_that_forgot_them_does_not_end_them(start_app: Start, redis_url: str) -> None:
    running = start_app("clock", "clock.2")
    connection = redis.Redis.from_url(redis_url)
    await_that(lambda: all("ticking" in running.log(name) for name in running.names), 30)
    await_that(lambda: connection.llen(f"rq:queue:{QUEUE}") >= 2, 30)
    with no_redis(redis_url):
        pass
    assert [running.terminate(name, within=5) for name in ("clock", "clock.2")] == [0, 0]


def test_the_clock_goes_on_when_its_time_jumps_ahead_and_back(start_app: Start, redis_url: str) -> None:
    """What was done in the hour ahead would not be due for an hour."""
    running = start_app("web")
    running.start("clock", TOLLGATE_TROUBLES="1")
    await_that(lambda: "ticking" in running.log("clock"), 30)
    running.processes["clock"].send_signal(CLOCK_JUMPS)
    queue = Queue(QUEUE, connection=redis.Redis.from_url(redis_url), serializer=JSONSerializer)
    await_that(lambda: JobName.PROCESS_EVENTS in names(queue), 30)
    time.sleep(1)
    running.processes["clock"].send_signal(CLOCK_IS_BACK)
    queue.empty()
    await_that(lambda: JobName.PROCESS_EVENTS in names(queue), 15)


def names(queue: Queue) -> set[str | None]:
    return {job.func_name for job in queue.jobs}


def test_a_crash_point_kills_at_the_named_step(app: Flask, start_app: Start, notes: Path) -> None:
    running = start_app("clock")
    running.start("worker", crash=f"before {JOBS}:note_context #2")
    with app.app_context():
        enqueue(f"{JOBS}.note_context")
        enqueue(f"{JOBS}.note_context")
    assert running.await_death("worker") == -signal.SIGKILL
    assert lines(notes) == ["fresh"]
