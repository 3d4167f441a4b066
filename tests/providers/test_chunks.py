"""Bodies in chunks: whole, cut anywhere, or malformed, after which their connection serves no other call."""

import socket
import threading

import httpx2
import pytest

from app.providers.chunks import Chunks
from app.providers.transport import Client, Line, current_line

WHOLE = b"5\r\nhello\r\n3;a=b\r\n, w\r\n0\r\nx: y\r\n\r\n"
MALFORMED = [b"5\r\nhello\r\nzz\r\n", b"5\r\nhelloXX0\r\n\r\n", b"5\nhello\r\n", b"-1\r\n"]


def fed(body: bytes, size: int) -> tuple[bytes, Chunks]:
    chunks = Chunks()
    return b"".join(chunks.feed(body[at : at + size]) for at in range(0, len(body), size)), chunks


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_body_is_the_same_however_it_is_cut(size: int) -> None:
    held, chunks = fed(WHOLE, size)
    assert (held, chunks.is_whole) == (b"hello, w", True)


@pytest.mark.parametrize("pieces", [[b"1", b"2\r\nab\r\n12345678901234\r\n0\r\n\r\n"], [b"0\r\n", b"2\r\nab\r\n\r\n"]])
def test_no_chunk_begins_within_a_size_or_a_trailer(pieces: list[bytes]) -> None:
    chunks = Chunks()
    held = b"".join(map(chunks.feed, pieces))
    assert (held, chunks.is_whole) == (b"ab\r\n12345678901234" if len(pieces[0]) == 1 else b"", True)


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("body", MALFORMED)
def test_a_malformed_body_is_over_and_never_whole(body: bytes, size: int) -> None:
    _held, chunks = fed(body, size)
    assert (chunks.is_malformed, chunks.is_whole) == (True, False)


@pytest.mark.parametrize(("body", "is_kept"), [(WHOLE, True), (MALFORMED[0], False)])
def test_a_connection_serves_again_only_after_a_whole_body(body: bytes, is_kept: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, Client() as client:

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
            asked.append(connection)

        asked: list[socket.socket] = []
        answering = threading.Thread(target=answer)
        answering.start()
        current_line.set(Line())
        response = client.send(
            client.build_request("GET", f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=5),
            stream=True,
        )
        try:
            assert response.read() == b"hello, w"
        except httpx2.HTTPError:
            assert not is_kept
        response.close()
        answering.join()
        assert bool(sum(map(len, client.transport._idle.values()))) is is_kept
        asked[0].close()
