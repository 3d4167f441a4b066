"""The RQ worker, which gives each job an app context of its own, and the clock with its table.

python -m app.worker          works until SIGTERM; a job that is running is finished first
python -m app.worker burst    works until the queue is empty
python -m app.worker clock    enqueues what is due, by RQ's own cron
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import redis
from flask import Flask, current_app
from redis.client import Pipeline
from rq import Queue, SimpleWorker
from rq.cron import CronJob, CronScheduler
from rq.exceptions import SchedulerNotFound, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import import_attribute

from app import create_app
from app.extensions import db
from app.jobs import QUEUE, JobName, enqueue, note_run
from app.models.base import utcnow

TIMETABLE = {
    JobName.SWEEP_CALLS: 10,
    JobName.SWEEP: 30,
    JobName.SWEEP_MAIL: 60,
    JobName.SEND_WEBHOOKS: 10,
    JobName.FORGET_UNSENT_FILES: 3600,
    JobName.FORGET_GUESTS: 3600,
    JobName.FORGET_DELETED_CHATS: 600,
    JobName.ADD_UP_CALLS: 600,
    JobName.TELL_OF_ENDINGS: 3600,
    JobName.TELL_OF_PRICES: 3600,
    JobName.CHECK_PRICES: 86_400,
    JobName.FORGET_REFUSED_CALLS: 3600,
    JobName.AUDIT_CALLS: 3600,
    JobName.RERATE_ALL: 300,
    JobName.RUN_LAB_ALL: 600,
    JobName.LEARN_SPENDING: 3600,
    JobName.WRITE_DIGESTS: 3600,
}
"""Seconds between two runs of each job; all of them may run twice at once."""

WITHOUT_WORKER = JobName.SWEEP_CALLS
"""People wait for their own dead calls: the clock ends them itself, however much the worker has to do."""

CLOCK = "clock"
WORKER_LIFETIME = 60
MAINTENANCE_INTERVAL = 30
PAUSE = 1.0
CLOCK_PATIENCE = 5.0

log = logging.getLogger(__name__)


class Worker(SimpleWorker):
    """Runs jobs in its own process: they are short, repeatable, and found again by the sweeper.

    A child for each job would protect from crashes that the database already survives, at a
    thirtieth of the speed.
    """

    max_connection_wait_time = 5.0
    app: Flask
    is_stopping = False

    def perform_job(self, job: Job, queue: Queue) -> bool:
        with self.app.app_context():
            is_done = super().perform_job(job, queue)
            if is_done and job.func_name:
                note_run(job.func_name, utcnow())
            return is_done

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Log the failure; what the exception says stays out of Redis."""
        log.error("job failed", extra={"job": job.func_name, "identifiers": job.args}, exc_info=exc_info)

    def handle_job_failure(
        self, job: Job, queue: Queue, started_job_registry: Any = None, exc_string: str = ""
    ) -> None:
        super().handle_job_failure(job, queue, started_job_registry, "see the worker's log")

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        self.is_stopping = True
        super().request_stop(signum, frame)


class Tick(CronJob):
    """A job of the timetable, enqueued as the app enqueues: as JSON, and dropped when it was not run in time."""

    def enqueue(self, connection: redis.Redis) -> None:  # type: ignore[override]
        if self.func_name != WITHOUT_WORKER and enqueue(JobName(self.func_name), lifetime=self.interval):
            ALONE.done(self.func_name)
        else:
            with current_app.app_context():
                ALONE.run(self.func_name)
        note_run(CLOCK, utcnow())


class Alone:
    """What the clock does itself: all of it where Redis takes nothing (it is full, read-only or away)."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def done(self, name: str) -> None:
        self.last[str(name)] = time.monotonic()

    def run_due(self, app: Flask) -> None:
        """Run each job of the timetable whose interval has passed."""
        for name, seconds in TIMETABLE.items():
            if time.monotonic() - self.last.get(str(name), float("-inf")) >= seconds:
                with app.app_context():
                    self.run(name)

    def run(self, name: str) -> None:
        """Run the job here; what it raises goes to the log."""
        self.done(name)
        if name != WITHOUT_WORKER:
            log.warning("redis takes no job: run by the clock", extra={"job": str(name)})
        try:
            import_attribute(str(name))()
            note_run(str(name), utcnow())
        except StopRequested:
            raise
        except Exception:
            log.exception("job failed", extra={"job": str(name)})
            db.session.rollback()


ALONE = Alone()


class Clock(CronScheduler):
    """RQ's cron over the timetable."""

    is_stopping = False

    def __init__(self, connection: redis.Redis) -> None:
        super().__init__(connection)
        self._cron_jobs = [
            Tick(QUEUE, func_name=name, interval=seconds) for name, seconds in TIMETABLE.items()
        ]

    def _request_stop(self, signum: int, frame: FrameType | None) -> None:
        self.is_stopping = True
        super()._request_stop(signum, frame)

    def register_death(self, pipeline: Pipeline | None = None) -> None:
        """Sign off, unless Redis has forgotten this clock meanwhile."""
        with suppress(SchedulerNotFound):
            super().register_death(pipeline)


def make_worker(app: Flask) -> Worker:
    worker = Worker(
        [QUEUE],
        connection=redis.Redis.from_url(app.config["REDIS_URL"]),
        serializer=JSONSerializer,
        worker_ttl=WORKER_LIFETIME,
        maintenance_interval=MAINTENANCE_INTERVAL,
    )
    worker.app = app
    return worker


def work(app: Flask) -> bool:
    """Do jobs until asked to stop or until Redis is lost; whether it was the former."""
    worker = make_worker(app)
    log.info("working")
    try:
        worker.work(logging_level="WARNING")
    except redis.RedisError:
        if not worker.is_stopping:
            raise
    return worker.is_stopping


def tick(app: Flask) -> bool:
    """Keep the timetable until asked to stop or until Redis is lost; whether it was the former."""
    clock = Clock(redis.Redis.from_url(app.config["REDIS_URL"], socket_timeout=CLOCK_PATIENCE))
    log.info("ticking")
    with app.app_context():
        clock.start()
    return clock.is_stopping


def keep_on(run: Callable[[Flask], bool], app: Flask) -> None:
    """Run again whenever Redis was lost, until asked to stop."""
    while not is_done(run, app):
        if run is tick:
            ALONE.run_due(app)
        time.sleep(PAUSE)


def is_done(run: Callable[[Flask], bool], app: Flask) -> bool:
    try:
        return run(app)
    except redis.RedisError as error:
        log.warning("redis lost", extra={"reason": type(error).__name__})
        return False


def stop(_signum: int, _frame: FrameType | None) -> None:
    """Until RQ has handlers of its own there is nothing to finish."""
    raise StopRequested


def main(arguments: list[str]) -> None:
    """Run until done or asked to stop; the signal for that may come at any line."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, stop)
    with suppress(StopRequested):
        run(arguments)


def run(arguments: list[str]) -> None:
    app = create_app()
    if arguments == ["burst"]:
        make_worker(app).work(burst=True, logging_level="WARNING")
    elif arguments == ["clock"]:
        keep_on(tick, app)
    else:
        keep_on(work, app)


if __name__ == "__main__":
    main(sys.argv[1:])
