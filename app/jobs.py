"""Enqueues a job by its dotted name, after the commit that wrote its work down."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime

import redis
from flask import current_app
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

QUEUE = "default"
PATIENCE = 1.0
"""Seconds that a caller waits for Redis, which may be away."""

JOB_TIMEOUT = 120
RESULT_LIFETIME = 0
FAILURE_LIFETIME = 24 * 60 * 60
PENDING_LIFETIME = 20
"""Seconds after which an enqueued job that nobody started is believed to be lost."""

LAST_RUNS = "tollgate:last_runs"

log = logging.getLogger(__name__)


def connect() -> redis.Redis:
    """This app's connection to Redis: impatient, since nothing depends on it."""
    connection: redis.Redis | None = current_app.extensions.get("redis")
    if connection is None:
        connection = current_app.extensions["redis"] = redis.Redis.from_url(
            current_app.config["REDIS_URL"],
            socket_connect_timeout=PATIENCE,
            socket_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 1),
        )
    return connection


def enqueue(name: str, *identifiers: int | str, lifetime: int | None = None) -> bool:
    """Have a worker call `name` with `identifiers`; whether Redis took it.

    Where it did not, the sweeper finds the work in the database. A job that waits for longer than
    `lifetime` seconds is dropped.
    """
    queue = Queue(QUEUE, connection=connect(), serializer=JSONSerializer)
    try:
        queue.enqueue_call(
            name,
            args=identifiers,
            timeout=JOB_TIMEOUT,
            ttl=lifetime,
            result_ttl=RESULT_LIFETIME,
            failure_ttl=FAILURE_LIFETIME,
        )
    except redis.RedisError as error:
        log.warning("job left to the sweeper", extra={"job": name, "reason": type(error).__name__})
        return False
    return True


def enqueue_once(name: str) -> bool:
    """Have a worker call `name` for all that waits; once, as long as the one before was not started.

    The job calls `acknowledge(name)` before it looks at what waits, so that what comes later enqueues it again.
    """
    try:
        is_first = connect().set(pending_key(name), 1, nx=True, ex=PENDING_LIFETIME)
    except redis.RedisError as error:
        log.warning("job left to the sweeper", extra={"job": name, "reason": type(error).__name__})
        return False
    return enqueue(name) if is_first else True


def acknowledge(name: str) -> None:
    with suppress(redis.RedisError):
        connect().delete(pending_key(name))


def pending_key(name: str) -> str:
    return f"tollgate:pending:{name}"


def note_run(name: str, at: datetime) -> None:
    """Remember when a job last ran to its end; for the back office, so it may be forgotten."""
    with suppress(redis.RedisError):
        connect().hset(LAST_RUNS, name, at.isoformat())


def last_runs() -> dict[str, datetime]:
    """When each job last ran to its end, by its dotted name."""
    runs: dict[bytes, bytes] = connect().hgetall(LAST_RUNS)  # type: ignore[assignment]
    return {name.decode(): datetime.fromisoformat(moment.decode()) for name, moment in runs.items()}


def is_reachable() -> bool:
    """Whether Redis answers."""
    try:
        return bool(connect().ping())
    except redis.RedisError:
        return False
