"""Enqueues a job by its dotted name, after the commit that wrote its work down."""

import logging
from contextlib import suppress
from datetime import datetime
from enum import StrEnum

import redis
from flask import current_app
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer
from rq.timeouts import BaseTimeoutException
from sqlalchemy.exc import OperationalError

from app.extensions import db

QUEUE = "default"
PATIENCE = 1.0
"""Seconds that a caller waits for Redis, which may be away."""

JOB_TIMEOUT = 120
LONG_JOBS = ("app.lab.jobs.run", "app.lab.jobs.run_all")
URGENT_JOBS = ("app.payments.jobs.process_events",)
"""They go before all that waits: a person has paid."""

LONG_TIMEOUT = 1800
"""For jobs that stop by themselves in time, unless one account has more calls than all others together."""

RESULT_LIFETIME = 0
FAILURE_LIFETIME = 24 * 60 * 60
PENDING_LIFETIME = 20
"""Seconds after which an enqueued job that nobody started is believed to be lost."""

LAST_RUNS = "tollgate:last_runs"
FAILED = "tollgate:failed"

ENDS_ALL = (BaseTimeoutException, OperationalError)
"""What ends a job that goes over many rows, whichever it is at: its time is over, or the database is away. Any other
fault is of one row alone."""

WAITING = "jobs to enqueue after the commit"

log = logging.getLogger(__name__)


class JobName(StrEnum):
    """Every job, by the dotted name of its function: the layers that enqueue one may not import it."""

    SWEEP = "app.payments.jobs.sweep"
    SWEEP_CALLS = "app.payments.jobs.sweep_calls"
    PROCESS_EVENTS = "app.payments.jobs.process_events"
    RECHARGE = "app.payments.jobs.recharge"
    RESOLVE_RECHARGE = "app.payments.jobs.resolve_recharge"
    USE_CARD = "app.payments.jobs.use_card"
    END_SUBSCRIPTION = "app.payments.jobs.end_subscription"
    ACCOUNT_CLOSED = "app.payments.jobs.account_closed"
    PAY_BACK = "app.payments.jobs.pay_back"
    PUBLISH_PLAN = "app.payments.jobs.publish_plan"
    PUBLISH_PACK = "app.payments.jobs.publish_pack"
    LEARN_SPENDING = "app.payments.jobs.learn_spending"
    PUBLISH_CODE = "app.payments.jobs.publish_code"
    WRITE_DIGESTS = "app.payments.jobs.write_digests"
    AUDIT_CALLS = "app.payments.jobs.audit_calls"
    TELL_ALERTS = "app.payments.jobs.tell_alerts"
    RERATE = "app.payments.jobs.rerate"
    RERATE_ALL = "app.payments.jobs.rerate_all"
    RUN_LAB = "app.lab.jobs.run"
    RUN_LAB_ALL = "app.lab.jobs.run_all"
    DELIVER_MAIL = "app.mailer.deliver"
    SWEEP_MAIL = "app.mailer.sweep"
    SEND_WEBHOOKS = "app.webhook_sender.sweep"
    WRITE_TITLE = "app.generation.titles.write_title"
    FORGET_UNSENT_FILES = "app.generation.jobs.forget_unsent_files"
    FORGET_GUESTS = "app.generation.jobs.forget_guests"
    FORGET_DELETED_CHATS = "app.generation.jobs.forget_deleted_chats"
    ADD_UP_CALLS = "app.generation.jobs.add_up_calls"
    TELL_OF_PRICES = "app.generation.model_jobs.tell_of_prices"
    CHECK_PRICES = "app.generation.model_jobs.check_prices"
    FORGET_REFUSED_CALLS = "app.generation.jobs.forget_refused_calls"
    TELL_OF_ENDINGS = "app.generation.model_jobs.tell_of_endings"


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


def queue() -> Queue:
    return Queue(QUEUE, connection=connect(), serializer=JSONSerializer)


def enqueue(job: JobName, *identifiers: int | str, lifetime: int | None = None) -> bool:
    """Have a worker do `job` with `identifiers`; whether Redis took it.

    Where it did not, the sweeper finds the work in the database. A job that waits for longer than
    `lifetime` seconds is dropped.
    """
    try:
        queue().enqueue_call(
            str(job),
            args=identifiers,
            timeout=LONG_TIMEOUT if job in LONG_JOBS else JOB_TIMEOUT,
            ttl=lifetime,
            result_ttl=RESULT_LIFETIME,
            failure_ttl=FAILURE_LIFETIME,
            at_front=job in URGENT_JOBS,
        )
    except redis.RedisError as error:
        log.warning("job left to the sweeper", extra={"job": job, "reason": type(error).__name__})
        return False
    return True


def enqueue_after_commit(job: JobName, *identifiers: int | str) -> None:
    """Have a worker do `job` once the running transaction is committed by `commit`."""
    waiting = db.session().info.setdefault(WAITING, [])
    if (job, identifiers) not in waiting:
        waiting.append((job, identifiers))


def commit() -> None:
    """Commit, then enqueue what the transaction asked for; what is lost, the sweeper finds."""
    db.session.commit()
    for job, identifiers in db.session().info.pop(WAITING, []):
        enqueue(job, *identifiers)


def rollback() -> None:
    db.session.rollback()
    db.session().info.pop(WAITING, None)


def enqueue_once(job: JobName) -> bool:
    """Have a worker call `job` for all that waits; once, as long as the one before was not started.

    The job calls `acknowledge(job)` before it looks at what waits, so that what comes later enqueues it again.
    """
    try:
        is_first = connect().set(pending_key(job), 1, nx=True, ex=PENDING_LIFETIME)
    except redis.RedisError as error:
        log.warning("job left to the sweeper", extra={"job": job, "reason": type(error).__name__})
        return False
    return enqueue(job) if is_first else True


def acknowledge(job: JobName) -> None:
    with suppress(redis.RedisError):
        connect().delete(pending_key(job))


def pending_key(job: JobName) -> str:
    return f"tollgate:pending:{job}"


def note_run(name: str, at: datetime) -> None:
    """Remember when a job last ran to its end; for the admin, so it may be forgotten."""
    with suppress(redis.RedisError):
        connect().hset(LAST_RUNS, name, at.isoformat())


def note_failure(name: str) -> None:
    """Have the clock hear of a job that failed."""
    with suppress(redis.RedisError):
        connect().sadd(FAILED, name)


def take_failures() -> list[str]:
    """The jobs that failed since somebody last asked, by their dotted names."""
    with suppress(redis.RedisError):
        names: list[bytes] = connect().spop(FAILED, len(JobName))  # type: ignore[assignment]
        return [name.decode() for name in names]
    return []


def last_runs() -> dict[str, datetime]:
    """When each job last ran to its end, by its dotted name."""
    runs: dict[bytes, bytes] = connect().hgetall(LAST_RUNS)  # type: ignore[assignment]
    return {name.decode(): datetime.fromisoformat(moment.decode()) for name, moment in runs.items()}


def is_reachable() -> bool:
    """Whether Redis answers and takes something: one that is full or read-only answers too."""
    try:
        return bool(connect().set("tollgate:readiness", 1, ex=60))
    except redis.RedisError:
        return False
