"""Two PostgreSQL under Patroni, one the synchronous standby of the other; etcd; HAProxy, which leads to the primary."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psycopg

from devserver import processes
from devserver.ports import free_port
from tests.support.postgres import find_binaries, unprivileged_user

NAMES = ("one", "two")
TOOLS = {"patroni": "patroni", "etcd": "etcd-server", "haproxy": "haproxy"}
"""By the program's name: the package of Debian that brings it."""

AGREED: dict[str, Any] = {
    "ttl": 15,
    "loop_wait": 3,
    "retry_timeout": 5,
    "synchronous_mode": True,
    "postgresql": {"use_pg_rewind": False, "parameters": {"max_connections": 200, "timezone": "UTC"}},
}
LEADING = """
global
    maxconn 500
defaults
    mode tcp
    timeout connect 2s
    timeout client 30m
    timeout server 30m
    timeout check 1s
listen primary
    bind 127.0.0.1:{port}
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""


def path_of(tool: str) -> str | None:
    return shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin")


def missing() -> str:
    """What has to be installed first; nothing where all is there."""
    packages = [package for tool, package in TOOLS.items() if path_of(tool) is None]
    return f"apt-get install --no-install-recommends {' '.join(packages)}" if packages else ""


class Cluster:
    """`url()` leads to whichever of the two is the primary."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tollgate-patroni-"))
        self.user = unprivileged_user()
        if self.user:
            os.chown(self.folder, *(int(part) for part in self.user.split(":")))
        self.port, self.etcd_port = free_port(), free_port()
        self.ports = {name: (free_port(), free_port()) for name in NAMES}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self._start_etcd()
        for name in NAMES:
            self._start_patroni(name)
        servers = [
            f"    server {name} 127.0.0.1:{postgres} check port {told}" for name, (postgres, told) in self.ports.items()
        ]
        own = self.folder / "haproxy.cfg"
        own.write_text(LEADING.format(port=self.port, servers="\n".join(servers)))
        self._start("haproxy", "-f", str(own), user=None)
        self._await(self.standby_is_synchronous)
        return self

    def __exit__(self, *_: object) -> None:
        for name in [*NAMES, "haproxy", "etcd"]:
            if name in self.processes:
                self.kill(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def primary(self) -> str:
        """The name of the one that takes writes."""
        for name, (port, _told) in self.ports.items():
            if self._asked(port, "SELECT pg_is_in_recovery()") == [(False,)]:
                return name
        raise RuntimeError("there is no primary")

    def standby_is_synchronous(self) -> bool:
        states = self._asked(self.port, "SELECT sync_state FROM pg_stat_replication")
        return states == [("sync",)]

    def kill(self, name: str) -> None:
        """kill -9 of a process and of all that it started, as if its machine had lost its power."""
        pids = [self.processes[name].pid]
        lock = self.folder / name / "postmaster.pid"
        if lock.exists():
            postmaster = int(lock.read_text().split()[0])
            with suppress(OSError):
                children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
                pids += [postmaster, *map(int, children)]
        for pid in pids[1:]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        processes.kill(self.processes[name])
        for pid in pids[1:]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in self.folder.glob("*.log"))

    def _start_etcd(self) -> None:
        peers, clients = (f"http://127.0.0.1:{port}" for port in (free_port(), self.etcd_port))
        self._start(
            "etcd",
            *("--name", "etcd", "--data-dir", str(self.folder / "etcd")),
            *("--listen-client-urls", clients, "--advertise-client-urls", clients),
            *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
            *("--initial-cluster", f"etcd={peers}"),
            user=self.user,
        )

    def _start_patroni(self, name: str) -> None:
        postgres, told = (f"127.0.0.1:{port}" for port in self.ports[name])
        own = self.folder / f"{name}.yml"
        who = {"username": "postgres"}
        server = {
            "listen": postgres,
            "connect_address": postgres,
            "data_dir": str(self.folder / name),
            "bin_dir": str(find_binaries()),
            "pgpass": str(self.folder / f"{name}.pgpass"),
            "authentication": {"superuser": who, "replication": who},
            "parameters": {"unix_socket_directories": str(self.folder)},
            "pg_hba": [f"host {what} all 127.0.0.1/32 trust" for what in ("all", "replication")],
        }
        start = {"dcs": AGREED, "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, {"auth": "trust"}]}
        settings = {"scope": "tollgate", "name": name, "bootstrap": start, "postgresql": server}
        settings |= {"restapi": {"listen": told, "connect_address": told}}
        own.write_text(json.dumps(settings | {"etcd3": {"host": f"127.0.0.1:{self.etcd_port}"}}))
        self._start("patroni", str(own), user=self.user, name=name)

    def _start(self, tool: str, *arguments: str, user: str | None, name: str | None = None) -> None:
        own = name or tool
        with (self.folder / f"{own}.log").open("ab") as log:
            command = [str(path_of(tool)), *arguments]
            self.processes[own] = processes.start(command, folder=self.folder, output=log, user=user)

    def _asked(self, port: int, question: str) -> list[tuple[Any, ...]]:
        address = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        with suppress(psycopg.OperationalError), psycopg.connect(address, connect_timeout=2) as asking:
            return asking.execute(question.encode()).fetchall()
        return []

    def _await(self, is_so: Callable[[], bool], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline or any(child.poll() is not None for child in self.processes.values()):
                raise RuntimeError(f"the cluster did not start:\n{self.logs()}")
            time.sleep(0.2)
