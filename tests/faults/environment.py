"""All that Tollgate runs on, as processes that may be killed: gunicorn, worker, clock, database, Redis, Stripe."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from flask import Flask

from app.extensions import db
from app.models.catalog.plan import Plan
from app.models.identity.account import Account
from devserver import processes
from devserver.ports import free_port
from devserver.redis_server import RedisServer
from tests.conftest import app_in, close, migrate_and_seed
from tests.faults.load import Pulse
from tests.support import people
from tests.support.environment import app_environment
from tests.support.people import CREDIT
from tests.support.postgres import PostgresServer
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp
from tests.support.running_sandbox import SECRET, StartedSandbox

MODEL = "gpt-test"


class Stage:
    """`running` are the app's processes; `app` is the same app in this process, to look into the database with.

    `delay`: seconds that each way between the processes and PostgreSQL takes.
    """

    def __init__(self, kind: str, folder: Path, *, delay: float = 0.0, **own: str) -> None:
        self.kind, self.folder, self.delay, self.own = kind, folder, delay, own
        self.patch = pytest.MonkeyPatch()
        self.postgres = PostgresServer(durable=True, connections=100) if kind == "postgresql" else None
        self.redis = RedisServer()
        self.provider = ProviderServer(tokens=20, delay=0.01)
        self.sandbox = StartedSandbox()
        self.running: RunningApp
        self.app: Flask
        self.pulse: Pulse
        self.line: subprocess.Popen[bytes] | None = None

    @property
    def database_url(self) -> str:
        return self.postgres.url() if self.postgres else f"sqlite:///{self.folder / 'tollgate.db'}"

    def __enter__(self) -> Self:
        if self.postgres:
            self.postgres.start()
        self.redis.start()
        self.provider.__enter__()
        migrate_and_seed(self.database_url)
        own = self.environment() | self.own
        self.app = app_in(self.patch, own)
        with self.app.app_context():
            people.model(MODEL)
            Plan.default().parallel_calls = 1000
            db.session.commit()
        names = ("web", "worker", "clock")
        self.running = RunningApp(own | self.distant(), folder=self.folder, names=names).__enter__()
        self.sandbox.running.point_webhooks(f"{self.running.url}/webhooks/stripe", SECRET)
        self.pulse = Pulse(self.running.url)
        self.pulse.start()
        return self

    def environment(self) -> dict[str, str]:
        return app_environment(
            DATABASE_URL=self.database_url,
            REDIS_URL=self.redis.url,
            OPENAI_API_KEY="sk-faults",
            OPENAI_BASE_URL=self.provider.openai_url.replace("127.0.0.1", "localhost"),
            STRIPE_SECRET_KEY="sk_test_sandbox",
            STRIPE_API_BASE=self.sandbox.url,
            STRIPE_WEBHOOK_SECRET=SECRET,
        )

    def distant(self) -> dict[str, str]:
        """PostgreSQL by way of a line that delays, a process of its own."""
        if not (self.postgres and self.delay):
            return {}
        port = free_port()
        line = [self.postgres.port, port, self.delay]
        command = [sys.executable, "-m", "tests.support.distant", "127.0.0.1", *map(str, line)]
        self.line = processes.start(command, output=subprocess.DEVNULL)
        return {"DATABASE_URL": self.database_url.replace(f":{self.postgres.port}/", f":{port}/")}

    def __exit__(self, *_: object) -> None:
        self.pulse.stop()
        for name in self.running.processes:
            self.running.kill(name)
        self.sandbox.stop()
        self.provider.__exit__()
        close(self.app)
        self.patch.undo()
        self.redis.stop()
        if self.line:
            processes.kill(self.line)
        if self.postgres:
            self.postgres.remove()

    @contextmanager
    def looking(self) -> Iterator[Any]:
        """The database as it is now."""
        with self.app.app_context():
            yield db.session

    def person(self, name: str, credits: int = 100_000) -> dict[str, str]:
        """A new person with credits; the headers of their program."""
        with self.looking():
            account = people.person(name, credits=credits * CREDIT)
            return {"Authorization": f"Bearer {people.api_key(account)}"}

    def account_of(self, name: str) -> int:
        with self.looking() as session:
            return int(session.query(Account.id).filter_by(name=name.title()).scalar())

    def credits_of(self, name: str) -> int:
        """What a person has bought or was granted and not spent, in credits."""
        with self.looking() as session:
            return int(session.get_one(Account, self.account_of(name)).credits_nanos // CREDIT)

    def gunicorn_workers(self) -> list[int]:
        """The processes that serve; their parent starts another where one dies."""
        master = self.running.processes["web"].pid
        return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]

    def kill_gunicorn_worker(self) -> None:
        with suppress(ProcessLookupError, IndexError, FileNotFoundError):
            os.kill(self.gunicorn_workers()[0], signal.SIGKILL)

    def kill_redis(self) -> None:
        """Nothing was saved: all that was queued is lost."""
        self.redis.kill()
        self.redis.start()

    def crash_database(self) -> None:
        """kill -9 of PostgreSQL and all its sessions; it recovers from its log. SQLite has no process to kill."""
        if self.postgres:
            self.postgres.crash()
            self.postgres.start()

    def kill_session(self) -> None:
        """kill -9 of one session of PostgreSQL, which then ends them all and recovers."""
        if self.postgres:
            with suppress(psycopg.OperationalError, ProcessLookupError):
                result = self.postgres.execute(SESSIONS)
                for (pid,) in result[:1]:
                    os.kill(int(str(pid)), signal.SIGKILL)


SESSIONS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
