"""HTTP/1.1 under the vendors' SDKs: cheap to read from, and cut off at once from any thread."""

import base64
import contextlib
import select
import socket
import ssl
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from http.client import OK, HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx2

from app.providers.chunks import Chunks

IDLE_SECONDS = 30
WAITING_READ, FLOWING_READ = 4_096, 65_536
"""Bytes of a read. What it may take is held while it waits: a few events, and more only behind a read that was full."""
LONGEST_ERROR = 1_000_000
LONGEST_ANSWER = 160_000_000
"""Bytes: four large images in base64."""

Origin = tuple[str, str, int]
"""Scheme, host and port."""


class Cut(Exception):
    """The call was broken off by `Line.cut`."""


class Line:
    """One call's hold on its socket, which any thread may cut at any time.

    Shutting a socket down wakes whoever is blocked in it; closing it from another thread would not.
    A connection that went back to the pool is out of reach: it may serve somebody else already. `has_broken`: a
    connection failed it, so that its next try takes a new one, and no idle one that may have been closed meanwhile.
    """

    def __init__(self) -> None:
        self.is_cut = False
        self.has_broken = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def hold(self, held: socket.socket) -> None:
        with self._lock:
            self._socket = held
        if self.is_cut:
            raise Cut

    def release(self) -> bool:
        """Let go of the socket; says whether it is still whole."""
        with self._lock:
            self._socket = None
            return not self.is_cut

    def cut(self) -> None:
        with self._lock:
            self.is_cut = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    @property
    def takes_all(self) -> bool:
        """Whether a read takes all that is there. Of an encrypted connection it takes a record: with most an event."""
        return not isinstance(self._socket, ssl.SSLSocket)

    def limit_wait(self, seconds: float) -> None:
        """From now on wait no longer than this for more."""
        with self._lock:
            if self._socket is not None:
                self._socket.settimeout(seconds)


@cache
def tls() -> ssl.SSLContext:
    """Whom this process trusts: a quarter of a megabyte, read when first needed and once for all providers."""
    return httpx2.create_ssl_context()


current_line: ContextVar[Line] = ContextVar("current_line")
"""The line of the call that this thread is making: the SDKs have no room for it in their arguments."""


class Transport(httpx2.BaseTransport):
    """Connections kept per origin and handed to one call at a time; as many as there are calls."""

    def __init__(self) -> None:
        self._idle: dict[Origin, deque[tuple[HTTPConnection, float]]] = defaultdict(deque)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        line = current_line.get()
        timeouts = request.extensions["timeout"]
        url = request.url
        origin = (url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80))
        idle = None if line.has_broken else self._idle_connection(origin)
        connection = idle or self._new_connection(origin, timeouts["connect"])
        try:
            if connection.sock is None:
                connect(connection)
            line.hold(connection.sock)
            response = exchange(connection, request, timeouts["read"])
        except BaseException:
            line.has_broken = True
            line.release()
            connection.close()
            raise
        body = Body(self, origin, connection, response, line)
        return httpx2.Response(response.status, headers=response.getheaders(), stream=body)

    def keep(self, origin: Origin, connection: HTTPConnection) -> None:
        """Keep a connection for the next call to this origin; close the one that was idle for too long."""
        idle = self._idle[origin]
        idle.append((connection, time.monotonic()))
        oldest, since = idle.popleft()
        if time.monotonic() - since < IDLE_SECONDS:
            idle.appendleft((oldest, since))
            return
        oldest.close()

    def _idle_connection(self, origin: Origin) -> HTTPConnection | None:
        """The connection used last, if the other side still holds it open."""
        idle = self._idle[origin]
        while True:
            try:
                connection, since = idle.pop()
            except IndexError:
                return None
            if time.monotonic() - since < IDLE_SECONDS and not is_readable(connection.sock):
                return connection
            connection.close()

    def _new_connection(self, origin: Origin, timeout: float) -> HTTPConnection:
        scheme, host, port = origin
        if scheme == "http":
            return HTTPConnection(host, port, timeout=timeout)
        proxy = getproxies().get("https")
        if not proxy or proxy_bypass(host):
            return HTTPSConnection(host, port, timeout=timeout, context=tls())
        return self._tunnel(httpx2.URL(proxy), host, port, timeout)

    def _tunnel(self, proxy: httpx2.URL, host: str, port: int, timeout: float) -> HTTPConnection:
        tunnel = HTTPSConnection(proxy.host, proxy.port or 80, timeout=timeout, context=tls())
        headers = {}
        if proxy.username:
            login = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
            headers["Proxy-Authorization"] = f"Basic {login}"
        tunnel.set_tunnel(host, port, headers)
        return tunnel

    def close(self) -> None:
        for idle in self._idle.values():
            while idle:
                idle.pop()[0].close()


class Client(httpx2.Client):
    """Sends straight through the transport: there are no redirects, cookies or sign-in steps on the way to a vendor."""

    def __init__(self) -> None:
        self.transport = Transport()
        super().__init__(transport=self.transport)

    def build_request(
        self, method: str, url: httpx2.URL | str, *, timeout: Any = None, extensions: Any = None, **parts: Any
    ) -> httpx2.Request:
        """As the vendor's package made it: this client has no headers or parameters of its own to add."""
        timeouts = {"timeout": httpx2.Timeout(timeout).as_dict()}
        return httpx2.Request(method, url, extensions={**(extensions or {}), **timeouts}, **parts)

    def send(self, request: httpx2.Request, *, stream: bool = False, **_options: Any) -> httpx2.Response:
        response = self.transport.handle_request(request)
        response.request = request
        if not stream:
            response.read()
        return response


class Body(httpx2.SyncByteStream):
    """A response's bytes as they come; closing it gives the connection back, or away where bytes are left."""

    def __init__(
        self,
        transport: Transport,
        origin: Origin,
        connection: HTTPConnection,
        response: HTTPResponse,
        line: Line,
    ) -> None:
        self._transport = transport
        self._origin = origin
        self._connection = connection
        self._response = response
        self._line = line
        self._chunks = Chunks() if response.chunked else None
        self._most = WAITING_READ

    def __iter__(self) -> Iterator[bytes]:
        size, status = 0, self._response.status
        with errors_as_httpx2():
            while piece := self._next():
                size += len(piece)
                if status != OK and size > LONGEST_ERROR:
                    return
                if size > LONGEST_ANSWER:
                    raise HTTPException("the answer is too long")
                yield piece

    def _next(self) -> bytes:
        """What has come, of all chunks together; nothing at the end."""
        if self._chunks is None:
            return self._read(self._response)
        piece = b""
        while not piece and not self._chunks.is_over:
            came = self._read(self._response.fp)
            if not came:
                raise IncompleteRead(b"")
            piece = self._chunks.feed(came)
        if self._chunks.is_malformed and not piece:
            raise HTTPException("malformed chunk")
        return piece

    def _read(self, source: Any) -> bytes:
        came: bytes = source.read1(self._most)
        self._most = FLOWING_READ if len(came) >= self._most else WAITING_READ
        return came

    def close(self) -> None:
        is_read = self._chunks.is_whole if self._chunks else self._response.isclosed()
        self._response.close()
        if self._line.release() and is_read and self._connection.sock is not None:
            self._transport.keep(self._origin, self._connection)
            return
        self._connection.close()


def connect(connection: HTTPConnection) -> None:
    """What fails here failed before anything was sent."""
    try:
        connection.connect()
    except TimeoutError as error:
        raise httpx2.ConnectTimeout("connecting took too long") from error
    except (OSError, HTTPException) as error:
        raise httpx2.ConnectError("could not connect") from error


def exchange(connection: HTTPConnection, request: httpx2.Request, timeout: float) -> HTTPResponse:
    """Send the request and read the head of its response."""
    connection.sock.settimeout(timeout)
    with errors_as_httpx2():
        target = request.url.raw_path.decode("ascii")
        connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.raw:
            connection.putheader(name, value)
        connection.endheaders(request.read())
        return connection.getresponse()


@contextlib.contextmanager
def errors_as_httpx2() -> Iterator[None]:
    """The SDKs know httpx2's errors only."""
    try:
        yield
    except TimeoutError as error:
        raise httpx2.ReadTimeout("nothing came in time") from error
    except ssl.SSLError as error:
        raise httpx2.ReadError("the encrypted connection broke") from error
    except (OSError, HTTPException, ValueError) as error:
        raise httpx2.RemoteProtocolError("the connection broke") from error


def is_readable(held: socket.socket) -> bool:
    """An idle connection that has something to read was closed by the other side."""
    poll = select.poll()
    poll.register(held, select.POLLIN)
    return bool(poll.poll(0))
