"""What the measurements run on: PostgreSQL, Redis, a provider, Tollgate and the proxies, each a process on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devserver import children
from devserver.ports import free_port
from devserver.redis_server import RedisServer
from tests.support.environment import app_environment, process_environment
from tests.support.postgres import PostgresServer
from tests.support.running_app import RunningApp, await_that

PROJECT = Path(__file__).resolve().parent.parent
TOKENS = 100
MODEL = "bench-model"


@dataclass
class Stage:
    """The addresses of everything that runs; `database` is PostgreSQL's."""

    postgres: PostgresServer
    database: str
    provider_port: int
    web: RunningApp
    bare_port: int
    folder: Path
    key: str = ""

    def environment(self) -> dict[str, str]:
        return self.web.own


@contextmanager
def stage(*, database: str = "postgresql", processes: int = 1) -> Iterator[Stage]:
    """Everything started, the database migrated and seeded with the bench's people; all ended at exit."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        postgres = PostgresServer(durable=True)
        postgres.start()
        running.callback(postgres.remove)
        redis = RedisServer(port=free_port())
        redis.start()
        running.callback(redis.stop)
        provider_port = start_provider(running)
        address = {"OPENAI_BASE_URL": f"http://127.0.0.1:{provider_port}/v1", "OPENAI_API_KEY": "sk-bench"}
        url = created(postgres, folder, database)
        own = app_environment(DATABASE_URL=url, REDIS_URL=redis.url, LOG_LEVEL="WARNING", **address)
        web = RunningApp(own | {"WEB_CONCURRENCY": str(processes)}, folder=folder, names=("web",))
        web.run("flask", "db", "upgrade")
        web.run("flask", "seed")
        key = web.run("python", "-m", "bench.people").splitlines()[-1]
        running.enter_context(web)
        bare = start_bare(running, address)
        yield Stage(postgres, url, provider_port, web, bare, folder, key)


def created(postgres: PostgresServer, folder: Path, kind: str) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder / 'bench.db'}"
    postgres.execute("CREATE DATABASE bench")
    return postgres.url("bench")


def start_provider(running: ExitStack) -> int:
    port = free_port()
    command = [sys.executable, "-m", "tests.support.provider_server", "--port", str(port), "--tokens", str(TOKENS)]
    started(running, command, process_environment({}), port)
    return port


def start_bare(running: ExitStack, address: dict[str, str]) -> int:
    port = free_port()
    options = ["--worker-class", "gthread", "--threads", "264", "--bind", f"127.0.0.1:{port}", "--log-level", "warning"]
    command = [sys.executable, "-m", "gunicorn", "-c", "/dev/null", *options, "bench.bare:app"]
    started(running, command, process_environment(address), port)
    return port


def started(running: ExitStack, command: list[str], environment: dict[str, str], port: int) -> None:
    """Start a process that is stopped with the stage, and wait until its port answers."""
    child = children.start(command, environment=environment, folder=PROJECT, output=subprocess.DEVNULL)
    running.callback(children.stop, child)
    await_that(lambda: answers(port), 120)


def answers(port: int) -> bool:
    probe = subprocess.run(["bash", "-c", f"</dev/tcp/127.0.0.1/{port}"], capture_output=True, check=False)
    return probe.returncode == 0


def load(requests: list[dict[str, Any]], at_once: int) -> dict[str, Any]:
    """Run the load in a process of its own; its findings."""
    job = json.dumps({"requests": requests, "at_once": at_once})
    command = [sys.executable, "-m", "bench.load"]
    done = subprocess.run(command, input=job, capture_output=True, text=True, check=True, cwd=PROJECT, env=os.environ)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
