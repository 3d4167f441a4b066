"""gunicorn: a thread for each stream, and an end to whoever neither sends nor reads."""

import os
import socket
import struct
from pathlib import Path
from typing import Any

is_public = os.environ.get("APP_ENV", "production") == "production"
bind = f"{'0.0.0.0' if is_public else '127.0.0.1'}:{os.environ.get('PORT', '5000')}"  # noqa: S104
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "264"))
timeout = 60
graceful_timeout = 25
"""Seconds for streams to end by themselves at SIGTERM: platforms kill after 30."""

worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True
accesslog = None
forwarded_allow_ips = ""
"""Nobody: the app itself believes PROXY_COUNT proxies, no more."""

SILENCE = 30
"""Seconds that one read or write on a connection may take."""


def when_ready(server: Any) -> None:
    """Connections inherit the listener's timeouts: a reader that never reads frees its thread."""
    for listener in server.LISTENERS:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            listener.sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", SILENCE, 0))
