"""Requests come in pieces of any size, and gunicorn reads what was sent: each byte, once."""

import random
import socket
from collections.abc import Iterator
from contextlib import closing
from errno import ENOSPC
from io import BytesIO
from typing import Any

import pytest
from gunicorn.http.unreader import SocketUnreader

from app import intake
from app.config import LARGEST_REQUEST
from app.intake import PATIENCE, SHARE, SLOWEST, SMALL, Incoming, Waiting

HEAD = b"POST / HTTP/1.1\r\nHost: here\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        yield ours, theirs


def incoming(**changes: Any) -> Incoming:
    return Incoming(**{"waiting": Waiting(), "peer": "192.0.2.1", "proxies": 0} | changes)


def forget(request: Incoming) -> None:
    """As where its sender was sent away."""
    with socket.socket() as line:
        request.leave(SocketUnreader(line))


def with_length(body: bytes, _chance: random.Random) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def in_chunks(body: bytes, chance: random.Random) -> bytes:
    parts, rest = [], body
    while rest:
        size = chance.randint(1, len(rest))
        parts.append(b"%x%s\r\n%s\r\n" % (size, chance.choice([b"", b";a=b"]), rest[:size]))
        rest = rest[size:]
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(parts) + b"0\r\nX-After: 1\r\n\r\n"


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("written", [with_length, in_chunks])
def test_each_byte_is_read_once_however_it_came(
    ends: tuple[socket.socket, socket.socket], written: Any, seed: int
) -> None:
    ours, theirs = ends
    chance = random.Random(seed)  # noqa: S311
    body = b"".join(b"%07d\n" % n for n in range(chance.choice([0, 1, 20, SMALL // 8, SMALL // 2])))
    sent = written(body, chance)
    cuts = sorted(chance.sample(range(1, len(sent)), min(len(sent) - 1, 6)))
    request = incoming()
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        assert not request.is_whole
        theirs.sendall(sent[start:end] + (NEXT if end == len(sent) else b""))
        for _ in range(1 + (end - start) // intake.PIECE):
            request.read(ours)
    assert (request.is_whole, request.is_over) == (True, False)
    assert read_by_gunicorn(request, ours, len(sent)) == (sent, NEXT)
    assert request.waiting.bytes.total() == 0


def read_by_gunicorn(request: Incoming, line: socket.socket, length: int) -> tuple[bytes, bytes]:
    """The request as a worker reads it, and what is left for the one behind it."""
    line.setblocking(False)
    unreader = SocketUnreader(line)
    request.give(unreader)
    read = unreader.read(length)
    request.leave(unreader)
    return read, unreader.take_buffered()


@pytest.mark.parametrize(
    "chunk",
    [
        b"5\nemail",
        b"-5\r\nemail",
        b"+5\r\nemail",
        b"0x5\r\nemail",
        b"\r\n",
        b"5 5\r\nemail",
        b"ffffffffff\r\n",
    ],
)
def test_what_is_no_chunk_is_not_waited_for(ends: tuple[socket.socket, socket.socket], chunk: bytes) -> None:
    ours, theirs = ends
    request = incoming()
    theirs.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
    request.read(ours)
    assert request.is_whole


@pytest.mark.parametrize("length", [LARGEST_REQUEST + 1, 10**17])
def test_what_is_too_long_is_not_waited_for(ends: tuple[socket.socket, socket.socket], length: int) -> None:
    ours, theirs = ends
    request = incoming()
    theirs.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % length)
    request.read(ours)
    assert request.is_whole
    ours.setblocking(True)
    assert ours.recv(1) == b""


def test_a_length_with_zeros_before_it_is_waited_for() -> None:
    assert not incoming(begun=HEAD + b"Content-Length: " + b"5".zfill(30) + b"\r\n\r\nfour").is_whole


def test_a_body_has_time_for_its_length_and_no_more() -> None:
    request = incoming(begun=HEAD + b"Content-Length: 10000000\r\n\r\n" + b"a" * SLOWEST * 3)
    assert request.whole_by - request.began == pytest.approx(PATIENCE + 3)
    forget(request)


def test_what_waits_has_a_bound_for_each_network_and_for_all() -> None:
    waiting = Waiting()
    assert waiting.takes("192.0.2.1", SHARE)
    assert not waiting.takes("192.0.2.1", 1)
    networks = [f"192.0.2.{number}" for number in range(2, 20)]
    assert [waiting.takes(network, SHARE) for network in networks] == [True] * 3 + [False] * 15
    waiting.leave("192.0.2.1", SHARE)
    assert waiting.takes("192.0.2.9", SHARE)


def test_a_body_without_room_is_refused() -> None:
    waiting = Waiting()
    waiting.takes("192.0.2.1", SHARE)
    begun = HEAD + b"Content-Length: 100000\r\n\r\n" + b"a" * 99_999
    assert incoming(waiting=waiting, begun=begun).is_refused
    another = incoming(waiting=waiting, begun=begun, peer="192.0.2.2")
    assert not another.is_refused
    forget(another)
    assert waiting.bytes.total() == SHARE


@pytest.mark.parametrize("fits", [0, 10])
def test_a_body_that_the_disk_does_not_take_is_refused(monkeypatch: pytest.MonkeyPatch, fits: int) -> None:
    """An error here would end the process, with all that it answers."""

    class Full(BytesIO):
        def write(self, piece: Any) -> int:
            if not fits:
                raise OSError(ENOSPC, "No space left on device")
            return super().write(piece[:fits])

    monkeypatch.setattr(intake, "TemporaryFile", lambda **_options: Full())
    request = incoming(begun=HEAD + b"Content-Length: 200000\r\n\r\n" + b"x" * 2 * SMALL)
    assert request.is_refused
    forget(request)
    assert request.waiting.bytes.total() == 0


@pytest.mark.parametrize(
    ("proxies", "network"), [(0, "192.0.2.1"), (1, "198.51.100.2"), (2, "198.51.100.1"), (3, "192.0.2.1")]
)
def test_behind_proxies_the_share_is_the_clients(proxies: int, network: str) -> None:
    begun = HEAD + b"X-Forwarded-For: 198.51.100.1, 198.51.100.2\r\n\r\n"
    assert incoming(proxies=proxies, begun=begun).network == network
