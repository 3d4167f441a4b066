"""Requests on their way in: none takes a thread before it is here, whole. docs/deploy.md, docs/security.md 28.

What was sent so far waits with the poller: a head and a short body in memory, a longer body in a file that has no name.
Ten seconds are for the head, then it must come at `SLOWEST` on the average. What waits has a bound for one network and
one for all.
"""

import re
import socket
import time
from collections import Counter
from contextlib import suppress
from io import SEEK_END
from tempfile import TemporaryFile
from typing import IO, Any

from app.config import LARGEST_REQUEST
from app.providers.chunks import Chunks
from app.web.network_address import network_of

PATIENCE = 10
"""Seconds that a request may take, beside those for its length."""

SLOWEST = 8_000
"""Bytes a second: a photo from a phone with a bad line comes at more."""

SMALL = 65_536
PIECE = 4 * SMALL
ROOM, SHARE = 256 * 1024 * 1024, 64 * 1024 * 1024
"""Bytes of bodies that wait in files: in all, and of one network."""

LENGTH = re.compile(rb"^content-length:[ \t]*0*(\d{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
CHUNKED = re.compile(rb"^transfer-encoding:", re.IGNORECASE | re.MULTILINE)
EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)
FORWARDED = re.compile(rb"^x-forwarded-for:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
LATER = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Waiting:
    """What waits in files in this process, by the network that it came from."""

    def __init__(self) -> None:
        self.bytes: Counter[str] = Counter()

    def takes(self, network: str, more: int) -> bool:
        """Whether there is room for so many bytes more; they count from now on, until `leave`."""
        if self.bytes[network] + more > SHARE or self.bytes.total() + more > ROOM:
            return False
        self.bytes[network] += more
        return True

    def leave(self, network: str, count: int) -> None:
        """They wait no more."""
        self.bytes[network] -= count
        self.bytes += Counter()


class Incoming:
    """A request, as much of it as is here. `begun` is what was read behind the request before it."""

    def __init__(self, waiting: Waiting, peer: str, proxies: int, begun: bytes = b"") -> None:
        self.waiting, self.network, self.proxies = waiting, network_of(peer), proxies
        self.began, self.received, self.counted = time.monotonic(), 0, 0
        self.head, self.start, self.body = b"", b"", b""
        self.file: IO[bytes] | None = None
        self.length = 0
        self.chunks: Chunks | None = None
        self.is_over = self.is_refused = False
        self.feed(begun)

    @property
    def whole_by(self) -> float:
        return self.began + PATIENCE + self.received / SLOWEST

    @property
    def is_whole(self) -> bool:
        """Whether a thread would not wait for more of it."""
        if self.is_over:
            return True
        if not self.head:
            return False
        return self.chunks.is_over if self.chunks else self.received >= self.length

    def read(self, line: socket.socket) -> None:
        """What has come meanwhile. Where nothing more can come, or too much, nothing more is read."""
        line.setblocking(False)
        try:
            piece = line.recv(PIECE)
            self.is_over = not piece
        except BlockingIOError:
            return
        except OSError:
            self.is_over = True
            return
        had_head = bool(self.head)
        self.feed(piece)
        if self.head and not had_head and not self.is_whole and EXPECTS.search(self.start):
            line.send(GO_ON)
        if self.is_over:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RD)

    def feed(self, piece: bytes) -> None:
        if not self.head:
            self.start += piece
            head, end, piece = self.start.partition(b"\r\n\r\n")
            if not end:
                self.is_over = self.is_over or len(self.start) > SMALL
                return
            self._begin(head + end)
        self.received += len(piece)
        if self.chunks:
            self.chunks.feed(piece)
        self._keep(piece)
        self.is_over = self.is_over or max(self.length, self.received) > LARGEST_REQUEST

    def _begin(self, head: bytes) -> None:
        self.head = EXPECTS.sub(b"", head)
        length = LENGTH.search(head)
        self.length = int(length[1]) if length else 0
        self.chunks = Chunks() if CHUNKED.search(head) else None
        hops = [hop.decode("latin-1") for line in FORWARDED.findall(head) for hop in line.split(b",")]
        if 0 < self.proxies <= len(hops):
            self.network = network_of(hops[-self.proxies])

    def _keep(self, piece: bytes) -> None:
        if self.file is None and len(self.body) + len(piece) <= SMALL:
            self.body += piece
            return
        if not self.waiting.takes(self.network, len(piece)):
            self.is_refused = True
            return
        self.counted += len(piece)
        try:
            self.file = self.file or TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `leave`
            self.is_refused = self.file.write(piece) < len(piece)
        except OSError:  # the disk is full
            self.is_refused = True

    def give(self, unreader: Any) -> None:
        """Have gunicorn read what is here, then what comes."""
        unreader.unread((self.head or self.start) + self.body)
        if self.file is not None:
            self.file.seek(0)
            file, read_on = self.file, unreader.chunk
            unreader.chunk = lambda size=None: file.read(size or PIECE) or read_on(size)

    def leave(self, unreader: Any) -> None:
        """It was answered, or nobody wants it any more: nothing of it waits. What stands behind it is kept."""
        if self.file is not None:
            vars(unreader).pop("chunk", None)
            unreader.buf.seek(0, SEEK_END)
            unreader.buf.write(self.file.read())
            self.file.close()
        self.waiting.leave(self.network, self.counted)
        self.file, self.counted = None, 0
