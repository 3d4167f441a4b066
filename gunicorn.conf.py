"""gunicorn: a thread for each stream, an end to whoever neither sends nor reads, and time to finish at a deploy."""

import gc
import importlib
import logging
import os
import signal
import socket
import struct
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from selectors import EVENT_READ
from types import FrameType
from typing import Any

from gunicorn import http
from gunicorn.workers.gthread import TConn, ThreadWorker

from app.config import read_plain
from app.db.watchdog import watchdog
from app.generation.registry import live
from app.intake import LATER, Incoming, Waiting
from app.web.departure import LONG_WAIT, has_hung_up, has_left

APP_ENV = os.environ.get("APP_ENV", "production")
PROXY_COUNT, PORT = (read_plain(os.environ, name) for name in ("PROXY_COUNT", "PORT"))
SILENCE = 30
"""Seconds that one write on a connection may take."""

NO_MORE = 2
"""Seconds that one read may: a request that has a thread is here."""

STREAMS_MAY_TAKE = 1 if APP_ENV == "development" else 14
"""Seconds that answers have to end by themselves after SIGTERM; then they are interrupted, at no charge."""

SETTLING_MAY_TAKE = 3 if APP_ENV == "development" else 8


ALIVE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\nCache-Control: no-store\r\n"
    b'X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{"status":"ok"}\n'
)
"""The answer at `/healthz`, for which no thread has to be free."""


class StreamWorker(ThreadWorker):
    """gunicorn's thread worker: half a request takes no thread, and the thread that served a connection closes it.

    Closing waits up to two seconds for the client to go; in the thread that accepts, as gunicorn does it, a few
    clients that linger would keep everybody waiting.
    """

    waiting = Waiting()

    def enqueue_req(self, conn: TConn) -> None:
        """A request takes a thread once it is here; until then it waits with the poller, as long as it comes."""
        conn.parser = conn.parser or http.get_parser(conn.cfg, conn.sock, conn.client)
        conn.data_ready = True
        incoming = getattr(conn, "incoming", None)
        if incoming is None:
            begun = conn.parser.unreader.take_buffered()
            incoming = conn.incoming = Incoming(self.waiting, peer_of(conn), PROXY_COUNT, begun)
        incoming.read(conn.sock)
        if incoming.is_refused or self.has_its_share(conn):
            self.let_go(conn, LATER)
        elif incoming.is_whole and incoming.head.startswith(b"GET /healthz HTTP/"):
            self.let_go(conn, ALIVE)
        elif incoming.is_whole:
            incoming.give(conn.parser.unreader)
            conn.waits_since = time.monotonic()
            super().enqueue_req(conn)
        else:
            conn.timeout = incoming.whole_by
            self.pending_conns.append(conn)
            self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def has_its_share(self, conn: TConn) -> bool:
        """Whether so many requests of one network wait already that another would keep others out.

        While half of the places are free that keeps nobody out: a program may begin hundreds of calls at once.
        """
        network = conn.incoming.network
        has_room = self.nr_conns <= self.worker_connections // 2
        if has_room or conn.incoming.is_whole or (PROXY_COUNT and not conn.incoming.head):
            return False
        return sum(one.incoming.network == network for one in self.pending_conns) >= self.worker_connections // 4

    def murder_pending(self) -> None:
        """End those that do not come in time, wherever they stand in the queue."""
        now = time.monotonic()
        for conn in [one for one in self.pending_conns if one.timeout <= now]:
            self.pending_conns.remove(conn)
            with suppress(OSError, KeyError, ValueError):
                self.poller.unregister(conn.sock)
            self.let_go(conn)

    def let_go(self, conn: TConn, answer: bytes = b"") -> None:
        with suppress(OSError):
            conn.sock.send(answer)
        conn.incoming.leave(conn.parser.unreader)
        self.nr_conns -= 1
        conn.close()

    def handle(self, conn: TConn) -> Any:
        has_waited = time.monotonic() - conn.waits_since > LONG_WAIT
        has_left.set(has_waited and not conn.incoming.is_over and has_hung_up(conn.sock))
        try:
            keep_open = super().handle(conn)
        finally:
            conn.incoming.leave(conn.parser.unreader)
            conn.incoming = None
        if not keep_open:
            conn.close(graceful=True)
            conn.close = lambda graceful=False: None
        return keep_open


def peer_of(conn: TConn) -> str:
    return conn.client[0] if isinstance(conn.client, tuple) else ""


bind = f"{'0.0.0.0' if APP_ENV == 'production' else '127.0.0.1'}:{PORT}"  # noqa: S104
worker_class = StreamWorker
workers, threads = (read_plain(os.environ, name) for name in ("WEB_CONCURRENCY", "WEB_THREADS"))
preload_app = True
timeout = 60
keepalive = 75 if PROXY_COUNT else 10
"""Seconds that an idle connection stays open: longer than who calls keeps it (a proxy a minute, HTTP clients five
seconds), or a request may meet a connection that is just being closed."""

graceful_timeout = STREAMS_MAY_TAKE + SETTLING_MAY_TAKE + 3
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True
accesslog = None
loglevel = "warning" if APP_ENV == "development" else "info"
forwarded_allow_ips = ""
"""Nobody: the app itself believes PROXY_COUNT proxies, no more."""

is_told_to_stop = threading.Event()


def on_starting(_server: Any) -> None:
    """Load the vendors' packages before the fork where a key says that they are wanted: not at the first question.

    What is loaded by now stays: to look through it for garbage would stop all streams for a tenth of a second.
    """
    for vendor in ("openai", "anthropic"):
        if os.environ.get(f"{vendor.upper()}_API_KEY"):
            importlib.import_module(f"app.providers.{vendor}")
    gc.collect()
    gc.freeze()


def when_ready(server: Any) -> None:
    """Connections inherit the listener's timeouts: a reader that never reads frees its thread."""
    for listener in server.LISTENERS:
        for option, seconds in ((socket.SO_RCVTIMEO, NO_MORE), (socket.SO_SNDTIMEO, SILENCE)):
            listener.sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", seconds, 0))


def is_worth_logging(record: logging.LogRecord) -> bool:
    """A client that fell silent is its own affair: gunicorn would log its whole stack."""
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))


def post_worker_init(_worker: Any) -> None:
    """At SIGTERM start the time that running answers have."""
    logging.getLogger("gunicorn.error").addFilter(is_worth_logging)
    watchdog.start()
    let_requests_end = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        is_told_to_stop.set()
        let_requests_end(number, frame)  # type: ignore[operator, misc]

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=end_answers, daemon=True).start()


def end_answers() -> None:
    """Once told to stop: let answers finish, then interrupt and settle what still runs."""
    is_told_to_stop.wait()
    live.is_ending = True
    deadline = time.monotonic() + STREAMS_MAY_TAKE
    while live.by_call and time.monotonic() < deadline:
        time.sleep(0.1)
    live.end_all(SETTLING_MAY_TAKE)


def worker_exit(_server: Any, _worker: Any) -> None:
    """Answers whose reader has left hold no connection: wait for them too."""
    if is_told_to_stop.is_set():
        end_answers()
