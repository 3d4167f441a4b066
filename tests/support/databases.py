"""Databases for tests: each kind is migrated and seeded once, then copied for each test."""

import fcntl
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import ClassVar

from tests.support.environment import SWITCHES
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import PostgresServer

KINDS = ("sqlite", "postgresql")


class Databases:
    """Hands out fresh copies of a template that `prepare(url)` has migrated and seeded."""

    made_before: ClassVar[dict[str, str]] = {}
    """Templates that were made before this process was forked."""

    def __init__(self, folder: Path, prepare: Callable[[str], None], shared: Path) -> None:
        """`shared`: a folder of all test processes of this run, where the first leaves a migrated SQLite."""
        self._folder, self._shared = folder, shared
        self._prepare = prepare
        self._numbers = count(1)
        self._templates = dict(self.made_before)
        self._postgres: PostgresServer | None = None
        self._bouncer: PgBouncer | None = None

    @property
    def postgres(self) -> PostgresServer:
        """The server of this test process, started when first asked for."""
        if self._postgres is None:
            self._postgres = PostgresServer()
            self._postgres.start()
        return self._postgres

    @property
    def bouncer(self) -> PgBouncer:
        """The PgBouncer before that server, started when first asked for."""
        if self._bouncer is None:
            self._bouncer = PgBouncer(self.postgres)
            self._bouncer.start()
        return self._bouncer

    def fresh(self, kind: str) -> str:
        """The address of a database of its own, migrated and seeded; of `pgbouncer`: by way of one."""
        template = self._template("sqlite" if kind == "sqlite" else "postgresql")
        if kind == "sqlite":
            return _sqlite_url(Path(shutil.copy(template, self._folder / f"{next(self._numbers)}.db")))
        name = f"test_{next(self._numbers)}"
        self.postgres.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        is_direct = kind == "postgresql" and SWITCHES.get("PGBOUNCER") != "1"
        return self.postgres.url(name) if is_direct else self.bouncer.url(name)

    def empty(self, kind: str) -> str:
        """The address of a database without a single table."""
        name = f"empty_{next(self._numbers)}"
        if kind == "sqlite":
            return _sqlite_url(self._folder / f"{name}.db")
        self.postgres.execute(f"CREATE DATABASE {name}")
        return self.postgres.url(name)

    def drop(self, url: str) -> None:
        """Remove a copy, whoever is still connected to it."""
        if url.startswith("sqlite"):
            for file in self._folder.glob(f"{Path(url.removeprefix('sqlite:///')).name}*"):
                file.unlink()
            return
        self.postgres.execute(f"DROP DATABASE IF EXISTS {url.rsplit('/', 1)[1]} WITH (FORCE)")

    def close(self) -> None:
        if self._bouncer:
            self._bouncer.stop()
        if self._postgres:
            self._postgres.remove()

    def _template(self, kind: str) -> str:
        if kind not in self._templates:
            self._templates[kind] = self._shared_file() if kind == "sqlite" else self._migrated(kind).rsplit("/", 1)[1]
        return self._templates[kind]

    def _migrated(self, kind: str) -> str:
        url = self.empty(kind)
        self._prepare(url)
        return url

    def _shared_file(self) -> str:
        """The path of a SQLite file, made by who comes first."""
        made = self._shared / "migrated.db"
        with (self._shared / "migrated.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                shutil.copy(_settled(self._migrated("sqlite")), made)
        return str(made)


def _sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def _settled(url: str) -> str:
    """The path of a SQLite file whose write-ahead log has been folded into it."""
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path
