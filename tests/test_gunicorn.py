"""The web process under clients that misbehave, as gunicorn.conf.py sets it up."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

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
def silent(running: RunningApp, request: bytes) -> Iterator[socket.socket]:
    """A client that sends `request`, whole or not, and then neither writes nor reads."""
    with socket.create_connection(("127.0.0.1", running.port)) as connection:
        connection.sendall(request)
        yield connection


@pytest.fixture(scope="module")
def shared_environment() -> dict[str, str]:
    return {"WEB_THREADS": str(THREADS)}


@pytest.fixture
def running(shared_app: RunningApp) -> RunningApp:
    return shared_app


def test_clients_that_send_half_a_request_take_no_thread_and_are_sent_away(running: RunningApp) -> None:
    """A hundred for each thread; one of them sends a byte now and then."""
    with ExitStack() as clients:
        halves = [clients.enter_context(silent(running, HALF_SENT[n % 2])) for n in range(100 * THREADS)]
        began = time.monotonic()
        assert requests.get(f"{running.url}/healthz", timeout=90).status_code == 200
        assert time.monotonic() - began < patient(2)
        for _ in range(5):
            halves[0].sendall(b".")
            time.sleep(1)
        for half in (halves[0], halves[-1]):
            half.settimeout(patient(25))
            with suppress(ConnectionResetError):
                assert half.recv(1) == b""


def test_a_request_in_pieces_is_answered(running: RunningApp) -> None:
    """And the next one on the same connection, whose head came along with the first one's body."""
    body = b'{"content": "' + b"x" * 100_000 + b'"}'
    head = b"POST /webhooks/stripe HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection:
        for piece in (head[:20], head[20:], body[:70_000], body[70_000:] + b"GET /healthz HTTP/1.1\r\n"):
            connection.sendall(piece)
            time.sleep(0.1)
        connection.sendall(b"Host: 127.0.0.1\r\nConnection: close\r\n\r\n")
        answers = b"".join(iter(lambda: connection.recv(65536), b""))
    assert [line.split()[1] for line in answers.splitlines() if line.startswith(b"HTTP/1.1 ")] == [
        b"400",
        b"200",
    ]


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


@pytest.mark.parametrize("coding", ["chunked", "identity, chunked", "chunked, chunked", "xchunked"])
def test_a_request_of_two_lengths_is_refused(running: RunningApp, coding: str) -> None:
    """Or a proxy in front and we would not agree where the next one begins."""
    head = (
        f"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: {coding}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection:
        connection.sendall(head.encode() + b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.split()[1] in {b"400", b"501"}
    assert answer.count(b"HTTP/1.1 ") == 1


def test_an_idle_web_process_ends_at_sigterm(start_app: Callable[..., RunningApp]) -> None:
    running = start_app("web")
    requests.get(f"{running.url}/healthz", timeout=30)
    assert running.terminate("web", within=15) == 0
