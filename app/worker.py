"""The RQ worker, which gives each job an app context of its own, and the clock with its table.

python -m app.worker          works until SIGTERM; a job that is running is finished first
python -m app.worker burst    works until the queue is empty
python -m app.worker clock    enqueues what is due
"""

import logging
import signal
import sys
import time
from types import FrameType
from typing import Any

import redis
from flask import Flask
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import import_attribute

from app import create_app
from app.extensions import db
from app.jobs import QUEUE, JobName, enqueue, note_failure, note_run, take_failures
from app.models.base import utcnow
from app.models.metering.usage_rollup import ADDED_UP_EVERY

TIMETABLE = {
    JobName.SWEEP_CALLS: 10,
    JobName.PROCESS_EVENTS: 10,
    JobName.SWEEP: 30,
    JobName.SWEEP_MAIL: 60,
    JobName.SEND_WEBHOOKS: 10,
    JobName.FORGET_UNSENT_FILES: 3600,
    JobName.FORGET_GUESTS: 3600,
    JobName.FORGET_DELETED_CHATS: 600,
    JobName.ADD_UP_CALLS: int(ADDED_UP_EVERY.total_seconds()),
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

AGAIN, SHARE = 60, 20
"""Seconds until a job that failed is tried again; with long ones a share of their period, so that logs stay short."""

CLOCK = "clock"
WORKER_LIFETIME = 60
MAINTENANCE_INTERVAL = 30
PAUSE = 1.0
ENDING = (signal.SIGTERM, signal.SIGINT)

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
        note_failure(str(job.func_name))
        super().handle_job_failure(job, queue, started_job_registry, "see the worker's log")

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        self.is_stopping = True
        super().request_stop(signum, frame)

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """Platforms may send SIGTERM again: the job is finished all the same. Ctrl-C twice breaks it off."""
        if signum != signal.SIGTERM:
            super().request_force_stop(signum, frame)


class Clock:
    """Has each job of the timetable done when its time has come, by a clock that nobody sets or turns back."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.last: dict[JobName, float] = {}

    def keep(self) -> None:
        """For as long as the process lives. What has been due for longest comes first, so that none waits for ever."""
        while True:
            if name := self.next_due():
                self.have_done(name)
            else:
                time.sleep(PAUSE)

    def next_due(self) -> JobName | None:
        name = min(TIMETABLE, key=self.due_at)
        return name if self.due_at(name) <= time.monotonic() else None

    def due_at(self, name: JobName) -> float:
        return self.last.get(name, float("-inf")) + TIMETABLE[name]

    def have_done(self, name: JobName) -> None:
        """Enqueued, and dropped where it is not run in time; done here where Redis takes nothing."""
        self.last[name] = time.monotonic()
        with self.app.app_context():
            if name == WITHOUT_WORKER or not enqueue(name, lifetime=TIMETABLE[name]):
                self.run(name)
            note_run(CLOCK, utcnow())
            for failed in TIMETABLE.keys() & take_failures():
                self.try_again(failed)

    def try_again(self, name: JobName) -> None:
        """Sooner than it would be due, but not at once: what it failed over may be over by then."""
        soon = time.monotonic() + max(AGAIN, TIMETABLE[name] // SHARE) - TIMETABLE[name]
        self.last[name] = min(soon, self.last.get(name, soon))

    def run(self, name: JobName) -> None:
        """Run the job here; what it raises goes to the log."""
        if name != WITHOUT_WORKER:
            log.warning("redis takes no job: run by the clock", extra={"job": str(name)})
        try:
            import_attribute(str(name))()
            note_run(str(name), utcnow())
        except Exception:
            log.exception("job failed", extra={"job": str(name)})
            db.session.rollback()
            self.try_again(name)


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


def is_done(app: Flask) -> bool:
    """Whether it was asked to stop; otherwise Redis was lost."""
    try:
        return work(app)
    except redis.RedisError as error:
        log.warning("redis lost", extra={"reason": type(error).__name__})
        return False


def stop(_signum: int, _frame: FrameType | None) -> None:
    """Until RQ has handlers of its own there is nothing to finish. No error, which somebody on the way might catch."""
    raise SystemExit


def main(arguments: list[str]) -> None:
    """Run until done or asked to stop; the signal for that may come at any line."""
    for signum in ENDING:
        signal.signal(signum, stop)
    try:
        run(arguments)
    finally:
        for signum in ENDING:
            signal.signal(signum, signal.SIG_IGN)  # it is ending already


def run(arguments: list[str]) -> None:
    app = create_app(has_commands=False)
    if arguments == ["burst"]:
        make_worker(app).work(burst=True, logging_level="WARNING")
    elif arguments == ["clock"]:
        log.info("ticking")
        Clock(app).keep()
    else:
        while not is_done(app):
            time.sleep(PAUSE)


if __name__ == "__main__":
    main(sys.argv[1:])
