"""What the measurements run on: PostgreSQL, Redis, a provider, Tollgate and the proxies, each a process on loopback."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.metrics import MODEL, TOKENS
from devserver import processes
from devserver.ports import free_port, is_free
from devserver.redis_server import RedisServer
from tests.support.environment import app_environment, process_environment
from tests.support.postgres import PostgresServer
from tests.support.running_app import RunningApp, await_that

PROJECT = Path(__file__).resolve().parent.parent
QUESTION = "How do the tides work?"
Request = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """Something that streams answers: a name, how it is asked, and the process whose cost counts."""

    name: str
    pid: int
    ask: Callable[[str], Request]

    def load(self, count: int, at_once: int, question: str = QUESTION) -> dict[str, Any]:
        """Ask so often, so many at once; the findings of `bench.load`. Fails where an answer did not come whole."""
        results = load([self.ask(question) for _ in range(count)], at_once)
        if results["failed"]:
            raise RuntimeError(f"{self.name}: {results['failed']} of {count} answers failed")
        return results


@dataclass
class Stage:
    """The processes that run, and what Tollgate's were started with."""

    postgres: PostgresServer
    environment: dict[str, str]
    provider_port: int
    running: ExitStack
    folder: Path

    def tollgate(self, chats: int, processes: int = 1, project: Path = PROJECT) -> Target:
        """Migrated, seeded, with the bench's people; each question is asked in a chat of its own."""
        own = self.environment | {"WEB_CONCURRENCY": str(processes)}
        web = RunningApp(own, folder=self.folder, names=("web",), project=project)
        web.run("flask", "db", "upgrade")
        web.run("flask", "seed")
        made = json.loads(web.run("python", "-m", "bench.seed", str(chats)).splitlines()[-1])
        self.running.enter_context(web)
        headers, unused = {"Authorization": f"Bearer {made['key']}"}, iter(made["chats"])

        def ask(question: str) -> Request:
            path = f"/api/chats/{next(unused)}/messages"
            return {"port": web.port, "path": path, "headers": headers, "body": {"content": question}}

        return Target("Tollgate", web.processes["web"].pid, ask)

    def bare(self, kind: str, processes: int = 1, module: str = "bench.baseline") -> Target:
        """The bare proxy that is called `kind` in that module."""
        port = free_port()
        options = [
            "--workers",
            str(processes),
            "--worker-class",
            "gthread",
            "--threads",
            "264",
            "--bind",
            f"127.0.0.1:{port}",
            "--log-level",
            "warning",
        ]
        command = [sys.executable, "-m", "gunicorn", "-c", "/dev/null", *options, f"{module}:app"]
        addresses = {"OPENAI_BASE_URL": self.provider_url, "BARE_DATABASE_URL": self.postgres.url("bench")}
        pid = self.start(command, port, **addresses)
        return Target(f"bare Flask, {kind}", pid, asking(port, f"/{kind}"))

    def direct(self) -> Target:
        return Target("the provider itself", 0, asking(self.provider_port, "/v1/chat/completions"))

    @property
    def provider_url(self) -> str:
        return f"http://127.0.0.1:{self.provider_port}/v1"

    def start(self, command: list[str], port: int, **variables: str) -> int:
        """Start a process that ends with the stage, and wait until its port answers; its id."""
        child, _log = self.begin(command, f"{port}.log", **variables)
        await_that(lambda: not is_free(port) or child.poll() is not None, 120)
        return child.pid

    def begin(self, command: list[str], name: str, **variables: str) -> tuple[subprocess.Popen[bytes], Path]:
        """Start a process that ends with the stage; it, and the file that it writes to."""
        file = self.folder / name
        with file.open("wb") as log:
            child = processes.start(command, environment=process_environment(variables), folder=PROJECT, output=log)
        self.running.callback(processes.stop, child)
        return child, file


@contextmanager
def stage(*, is_sqlite: bool = False) -> Iterator[Stage]:
    """PostgreSQL, Redis and a provider, with what is asked of them; all ended at exit."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        postgres = PostgresServer(durable=True)
        postgres.start()
        running.callback(postgres.remove)
        redis = RedisServer()
        redis.start()
        running.callback(redis.stop)
        postgres.execute("CREATE DATABASE bench")
        database = f"sqlite:///{folder / 'bench.db'}" if is_sqlite else postgres.url("bench")
        made = Stage(postgres, {}, free_port(), running, folder)
        server = [
            "-m",
            "tests.support.provider_server",
            "--port",
            str(made.provider_port),
            "--tokens",
            str(TOKENS),
        ]
        made.start([sys.executable, *server], made.provider_port)
        key = {"OPENAI_BASE_URL": made.provider_url, "OPENAI_API_KEY": "sk-bench"}
        made.environment = app_environment(DATABASE_URL=database, REDIS_URL=redis.url, **key)
        yield made


def asking(port: int, path: str, model: str = MODEL, **headers: str) -> Callable[[str], Request]:
    """How a proxy that speaks OpenAI's format is asked for a stream."""

    def ask(question: str) -> Request:
        body = {"model": model, "messages": [{"role": "user", "content": question}], "max_tokens": 4096}
        streamed = body | {"stream": True, "stream_options": {"include_usage": True}}
        return {"port": port, "path": path, "headers": headers, "body": streamed}

    return ask


def load(requests: list[Request], at_once: int) -> dict[str, Any]:
    """Run the load in a process of its own; its findings."""
    job = json.dumps({"requests": requests, "at_once": at_once})
    command = [sys.executable, "-m", "bench.load"]
    done = subprocess.run(command, input=job, capture_output=True, text=True, check=True, cwd=PROJECT)
    results: dict[str, Any] = json.loads(done.stdout)
    return results
