"""The web process under clients that misbehave, as gunicorn.conf.py sets it up."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import requests

from tests.support.crowding import patient
from tests.support.running_app import RunningApp

THREADS = 4
HALF_SENT = (
    b"GET /healthz HTTP/1.1\r\nHost: 127.0",
    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nemail=",
)


@contextmanager
def silent(running: RunningApp, request: bytes) -> Iterator[None]:
    """A client that sends `request`, whole or not, and then neither writes nor reads."""
    with socket.create_connection(("127.0.0.1", running.port)) as connection:
        connection.sendall(request)
        yield


@pytest.fixture(scope="module")
def shared_environment() -> dict[str, str]:
    return {"WEB_THREADS": str(THREADS)}


@pytest.fixture
def running(shared_app: RunningApp) -> RunningApp:
    return shared_app


def test_clients_that_send_half_a_request_do_not_keep_the_threads(running: RunningApp) -> None:
    with ExitStack() as clients:
        for number in range(THREADS + 1):
            clients.enter_context(silent(running, HALF_SENT[number % 2]))
        assert requests.get(f"{running.url}/healthz", timeout=90).status_code == 200
    assert "BlockingIOError" not in running.log("web")


def test_clients_that_only_connect_cost_no_thread_for_long(running: RunningApp) -> None:
    with ExitStack() as clients:
        for _ in range(2 * THREADS):
            clients.enter_context(silent(running, b""))
        assert requests.get(f"{running.url}/healthz", timeout=30).status_code == 200


def test_clients_that_linger_do_not_hold_up_the_others(running: RunningApp) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    with ExitStack() as clients:
        for _ in range(THREADS - 1):
            clients.enter_context(silent(running, whole))
        time.sleep(0.3)
        began = time.monotonic()
        assert requests.get(f"{running.url}/healthz", timeout=30).status_code == 200
    assert time.monotonic() - began < patient(1.5)


@pytest.mark.parametrize(
    "header", ["X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-For", "Script-Name"]
)
def test_without_a_proxy_forwarded_headers_change_nothing(running: RunningApp, header: str) -> None:
    plain = requests.get(f"{running.url}/chat", allow_redirects=False, timeout=30)
    forged = requests.get(f"{running.url}/chat", headers={header: "https"}, allow_redirects=False, timeout=30)
    assert (forged.status_code, forged.headers["Location"]) == (plain.status_code, plain.headers["Location"])


def test_an_idle_web_process_ends_at_sigterm(start_app: Callable[..., RunningApp]) -> None:
    running = start_app("web")
    requests.get(f"{running.url}/healthz", timeout=30)
    assert running.terminate("web", within=15) == 0
