"""The embedded Redis: a `redis-server` on a Unix socket or a port."""

import signal
import subprocess
import time
from pathlib import Path

import redis

from devserver import processes
from devserver.redis_binary import find_redis_server


class RedisMissing(Exception):
    """No `redis-server` on this machine."""


class RedisServer:
    """A Redis of our own on `socket` or on a loopback `port`; with `folder` it keeps its data there."""

    def __init__(self, *, socket: Path | None = None, port: int = 0, folder: Path | None = None) -> None:
        self.url = f"unix://{socket}" if socket else f"redis://127.0.0.1:{port}/0"
        self.process: subprocess.Popen[bytes] | None = None
        self._options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "60 1" if folder else ""]
        self._options += ["--daemonize", "no", "--loglevel", "warning"]
        if socket:
            self._options += ["--unixsocket", str(socket), "--unixsocketperm", "700"]
        if folder:
            self._options += ["--dir", str(folder), "--dbfilename", "redis.rdb", "--logfile", "redis.log"]

    def start(self) -> None:
        """Start and wait until it answers; RedisMissing where there is no binary."""
        self.process = processes.start(self.command(), output=subprocess.DEVNULL)
        self._await_answer(self.process)

    def command(self) -> list[str]:
        """What starts it. RedisMissing where there is no binary."""
        binary = find_redis_server()
        if binary is None:
            raise RedisMissing(
                "There is no redis-server on this machine. On Debian: apt-get install redis-server"
            )
        return [binary, *self._options]

    def stop(self) -> None:
        if self.process:
            processes.stop(self.process)

    def kill(self) -> None:
        """kill -9: what was not saved is lost."""
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def connection(self) -> "redis.Redis":
        return redis.Redis.from_url(self.url)

    def _await_answer(self, process: "subprocess.Popen[bytes]", seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        with self.connection() as connection:
            while process.poll() is None and time.monotonic() < deadline:
                try:
                    connection.ping()
                except redis.ConnectionError:
                    time.sleep(0.02)
                else:
                    return
        raise RuntimeError(f"redis-server did not start (exit code {process.poll()}): {self.url}")
