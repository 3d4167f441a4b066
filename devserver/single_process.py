"""Web, worker and clock as threads of one process, around a Redis written in Python: where there is no other.

Nothing outside this process can reach that Redis; what a command enqueues is found by the sweeper.
"""

import logging
import os
import threading
from typing import Any

import fakeredis
import redis
from rq.timeouts import TimerDeathPenalty
from werkzeug.serving import make_server

from app import create_app, worker


class ThreadWorker(worker.Worker):
    """The worker in a thread: no signals there, and a timer for the time that a job may take."""

    death_penalty_class = TimerDeathPenalty

    def _install_signal_handlers(self) -> None:
        pass


class ThreadClock(worker.Clock):
    def _install_signal_handlers(self) -> None:
        pass


def share_one_redis() -> None:
    """Whoever connects to Redis in this process reaches the same stand-in."""
    server = fakeredis.FakeServer()

    def from_url(_url: str, **options: Any) -> fakeredis.FakeRedis:
        known = {name: options[name] for name in ("decode_responses",) if name in options}
        return fakeredis.FakeRedis(server=server, **known)

    redis.Redis.from_url = from_url  # type: ignore[method-assign, assignment]
    redis.from_url = from_url  # type: ignore[assignment]


def main() -> None:
    share_one_redis()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    worker.Worker, worker.Clock = ThreadWorker, ThreadClock  # type: ignore[misc]
    app = create_app()
    for run in (worker.work, worker.tick):
        threading.Thread(target=worker.keep_on, args=(run, app), daemon=True).start()
    make_server("127.0.0.1", int(os.environ["PORT"]), app, threaded=True).serve_forever()


if __name__ == "__main__":
    main()
