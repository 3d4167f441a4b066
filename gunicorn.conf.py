"""gunicorn: a thread for each stream, an end to whoever neither sends nor reads, and time to finish at a deploy."""

import importlib
import logging
import os
import re
import signal
import socket
import struct
import threading
import time
from functools import partial
from pathlib import Path
from selectors import EVENT_READ
from types import FrameType
from typing import Any

from gunicorn import http
from gunicorn.workers.gthread import TConn, ThreadWorker

from app.db.patience import watch
from app.generation.registry import live

APP_ENV = os.environ.get("APP_ENV", "production")
SILENCE = 30
"""Seconds that one read or write on a connection may take."""

HALF_MAY_TAKE = 10
"""Seconds that a request may take until its head, and a body of up to `SMALL` bytes, is here."""

SMALL = 65_536
LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,9})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
EXPECTS = re.compile(rb"^expect:", re.IGNORECASE | re.MULTILINE)
"""Who expects to be told to go on sends no body before."""

STREAMS_MAY_TAKE = 1 if APP_ENV == "development" else 14
"""Seconds that answers have to end by themselves after SIGTERM; then they are interrupted, at no charge."""

SETTLING_MAY_TAKE = 3 if APP_ENV == "development" else 8


class StreamWorker(ThreadWorker):
    """gunicorn's thread worker: half a request takes no thread, and the thread that served a connection closes it.

    Closing waits up to two seconds for the client to go; in the thread that accepts, as gunicorn does it, a few
    clients that linger would keep everybody waiting.
    """

    def enqueue_req(self, conn: TConn) -> None:
        """A request takes a thread once it is here; until then it waits with the poller, ten seconds at most."""
        conn.parser = conn.parser or http.get_parser(conn.cfg, conn.sock, conn.client)
        conn.data_ready = True
        if is_here(conn):
            conn.whole_by = None
            super().enqueue_req(conn)
            return
        conn.timeout = conn.whole_by = getattr(conn, "whole_by", None) or time.monotonic() + HALF_MAY_TAKE
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def handle(self, conn: TConn) -> Any:
        keep_open = super().handle(conn)
        if not keep_open:
            conn.close(graceful=True)
            conn.close = lambda graceful=False: None
        return keep_open


def is_here(conn: TConn) -> bool:
    """Whether the head of the next request has come, and its body where that is small; or there is no more to come."""
    conn.sock.setblocking(False)
    try:
        piece = conn.sock.recv(SMALL)
        is_over = not piece
    except BlockingIOError:
        piece, is_over = b"", False
    except OSError:
        piece, is_over = b"", True
    request = conn.parser.unreader.take_buffered() + piece
    conn.parser.unreader.unread(request)
    head, end, body = request.partition(b"\r\n\r\n")
    length = None if EXPECTS.search(head) else LENGTH.search(head)
    missing = min(int(length[1]), SMALL) - len(body) if length else 0
    return is_over or len(request) > SMALL or bool(end and missing <= 0)


bind = f"{'0.0.0.0' if APP_ENV == 'production' else '127.0.0.1'}:{os.environ.get('PORT', '5000')}"  # noqa: S104
worker_class = StreamWorker
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "264"))
preload_app = True
timeout = 60
keepalive = 75 if os.environ.get("PROXY_COUNT", "0") not in {"", "0"} else 10
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
    """Load the vendors' packages before the fork where a key says that they are wanted: not at the first question."""
    for vendor in ("openai", "anthropic"):
        if os.environ.get(f"{vendor.upper()}_API_KEY"):
            importlib.import_module(f"app.providers.{vendor}")


def when_ready(server: Any) -> None:
    """Connections inherit the listener's timeouts: a reader that never reads frees its thread."""
    for listener in server.LISTENERS:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            listener.sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", SILENCE, 0))


def is_worth_logging(record: logging.LogRecord) -> bool:
    """A client that fell silent is its own affair: gunicorn would log its whole stack."""
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))


def post_worker_init(_worker: Any) -> None:
    """At SIGTERM start the time that running answers have."""
    logging.getLogger("gunicorn.error").addFilter(is_worth_logging)
    watch.start()
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
