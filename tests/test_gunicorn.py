"""The web process under clients that misbehave, as gunicorn.conf.py sets it up."""

import runpy
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import requests

from app.models.metering.usage import Usage
from tests.support import Database, people
from tests.support.crowding import patient
from tests.support.people import CREDIT
from tests.support.running_app import RunningApp, await_that

PROJECT = Path(__file__).parents[1]
THREADS, A_PLATFORM_WAITS = 4, 30
POST = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
HALF_SENT = {
    "a head": b"GET /healthz HTTP/1.1\r\nHost: 127.0",
    "a long head": b"GET /healthz HTTP/1.1\r\n" + b"X-Long: %s\r\n" % (b"a" * 4000) * 20,
    "a body": POST + b"Content-Length: 100\r\n\r\nemail=",
    "a long body": POST + b"Content-Length: 10000000\r\n\r\n" + b"a" * 100_000,
    "a body that is too long": POST + b"Content-Length: 100000000\r\n\r\n" + b"a" * 100_000,
    "chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n186a0\r\n" + b"a" * 90_000,
    "chunks without the last": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nemail\r\n",
    "a body that waits for a word": POST + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
}


@contextmanager
def silent(running: RunningApp, request: bytes, *, address: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A client at `address` that sends `request`, whole or not, and then neither writes nor reads."""
    with socket.create_connection(("127.0.0.1", running.port), source_address=(address, 0)) as connection:
        connection.sendall(request)
        yield connection


@pytest.fixture(scope="module")
def shared_environment() -> dict[str, str]:
    return {"WEB_THREADS": str(THREADS)}


@pytest.fixture
def running(shared_app: RunningApp) -> RunningApp:
    return shared_app


@pytest.fixture(scope="module", autouse=True)
def slow(shared_app: RunningApp) -> Iterator[tuple[socket.socket, threading.Thread]]:
    """Sends a byte of its body now and then, from the first test of the module on; with the thread that does."""

    def go_on() -> None:
        with suppress(OSError):
            for _ in range(5):
                half.sendall(b".")
                time.sleep(1)

    with silent(shared_app, HALF_SENT["a body"]) as half:
        sending = threading.Thread(target=go_on)
        sending.start()
        yield half, sending
        sending.join()


@pytest.mark.parametrize("half", HALF_SENT)
def test_clients_that_send_half_a_request_take_no_thread(running: RunningApp, half: str) -> None:
    """Ten for each thread, whatever is missing; meanwhile others are served."""
    with ExitStack() as clients:
        for _ in range(10 * THREADS):
            clients.enter_context(silent(running, HALF_SENT[half]))
        for page in ("healthz", "login"):
            began = time.monotonic()
            assert requests.get(f"{running.url}/{page}", timeout=90).status_code == 200
            assert time.monotonic() - began < patient(2)


def test_one_network_takes_no_more_places_than_its_share(
    running: RunningApp, slow: tuple[socket.socket, threading.Thread]
) -> None:
    """A quarter of the connections that a process holds, once half of them are taken; others find theirs."""
    slow[1].join()  # or it would be one that has no place
    with ExitStack() as clients:
        halves = [clients.enter_context(silent(running, HALF_SENT["a body"])) for _ in range(2 * 250 + 50)]
        await_that(lambda: len([half for half in halves if answered(half)]) >= 50, patient(10))
        assert [answered(half) for half in halves[:400]] == [b""] * 400
        assert {answered(half) for half in halves[500:]} == {b"429"}
        with silent(running, HALF_SENT["a head"], address="127.0.0.2") as other:
            time.sleep(0.2)
            other.sendall(b".0.1\r\n\r\n")
            other.settimeout(90)
            assert other.recv(100).split()[1] == b"200"


def answered(line: socket.socket) -> bytes:
    """The status that came, if one did; it stays to be read again."""
    line.setblocking(False)
    try:
        return line.recv(100, socket.MSG_PEEK).split()[1]
    except BlockingIOError:
        return b""


def test_who_waits_for_a_word_gets_it(running: RunningApp) -> None:
    with silent(running, HALF_SENT["a body that waits for a word"]) as line:
        assert line.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        line.sendall(b"a" * 100)
        assert line.recv(100).split()[1] == b"400"


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


@pytest.mark.parametrize(("path", "lingering"), [("login", THREADS - 1), ("healthz", 5 * THREADS)])
def test_clients_that_linger_do_not_hold_up_the_others(running: RunningApp, path: str, lingering: int) -> None:
    """Each takes a thread for two seconds; whether the process lives is answered without one."""
    whole = b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    with ExitStack() as clients:
        for _ in range(lingering):
            clients.enter_context(silent(running, whole))
        time.sleep(0.3)
        began = time.monotonic()
        assert requests.get(f"{running.url}/{path}", timeout=30).status_code == 200
    assert time.monotonic() - began < patient(1.5)


def test_who_hangs_up_while_no_thread_is_free_begins_no_call_and_an_idle_process_ends_at_sigterm(
    start_app: Callable[..., RunningApp], session: Database
) -> None:
    """One ends its own side alone, one goes at once: both are served. Behind a client that lingers for two seconds one
    goes, one ends its own side alone, one waits.
    """
    key = people.api_key(people.person("ada", credits=1000 * CREDIT))
    session.commit()
    running = start_app("web", WEB_THREADS="1")
    body = b'{"model": "demo-fast", "messages": [{"role": "user", "content": "hi"}]}'
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
    ask = head.encode() + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with silent(running, ask) as half_closed, silent(running, ask):
        half_closed.shutdown(socket.SHUT_WR)
        assert half_closed.recv(65536).split()[1] == b"200"
    with silent(running, b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"):
        time.sleep(0.3)
        with silent(running, ask):
            pass
        with silent(running, ask) as half_closed, silent(running, ask) as waiting:
            half_closed.shutdown(socket.SHUT_WR)
            statuses = [line.recv(65536).split()[1] for line in (half_closed, waiting)]
    assert statuses == [b"503", b"200"]
    assert session.query(Usage).count() == 3
    assert running.terminate("web", within=15) == 0


@pytest.mark.parametrize("header", ["X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-For", "Script-Name"])
def test_without_a_proxy_forwarded_headers_change_nothing(running: RunningApp, header: str) -> None:
    plain = requests.get(f"{running.url}/chat", allow_redirects=False, timeout=30)
    forged = requests.get(f"{running.url}/chat", headers={header: "https"}, allow_redirects=False, timeout=30)
    assert (forged.status_code, forged.headers["Location"]) == (plain.status_code, plain.headers["Location"])


@pytest.mark.parametrize("coding", ["chunked", "identity, chunked", "chunked, chunked", "xchunked"])
def test_a_request_of_two_lengths_is_refused(running: RunningApp, coding: str) -> None:
    """Or a proxy in front and we would not agree where the next one begins."""
    head = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: {coding}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection:
        connection.sendall(head.encode() + b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.split()[1] in {b"400", b"501"}
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_deploy_in_production_is_over_before_the_platform_kills_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    own = runpy.run_path(str(PROJECT / "gunicorn.conf.py"))
    assert own["STREAMS_MAY_TAKE"] + own["SETTLING_MAY_TAKE"] < own["graceful_timeout"] <= A_PLATFORM_WAITS - 5


def test_who_does_not_go_on_is_sent_away(slow: tuple[socket.socket, threading.Thread]) -> None:
    """A byte now and then is not going on."""
    slow[0].settimeout(patient(25))
    with suppress(ConnectionResetError):
        assert slow[0].recv(1) == b""
