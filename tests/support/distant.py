"""A server at a distance: a line on loopback that delays what passes and counts the round trips."""

import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class DistantServer:
    """Relays connections to a server; `delay` in seconds, each way.

    `trips` counts how often a client sent something after it had heard from the server: what is sent in one go, or
    before the answer to what came before, is one. `lose(n)`: the trip of that number from now on breaks its connection,
    before the server hears of it, or once it has answered and before the client does.
    """

    def __init__(self, host: str, port: int, *, delay: float = 0.0, own_port: int = 0) -> None:
        self.server = host, port
        self.delay = delay
        self.trips = 0
        self._lost: tuple[int, bool] | None = None
        self._listener = socket.create_server(("127.0.0.1", own_port))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def url(self, of_server: str) -> str:
        """The server's address by way of this line."""
        parts = urlsplit(of_server)
        user, at, _host = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    def lose(self, number: int, *, is_answered: bool) -> None:
        self._lost = self.trips + number, is_answered

    def _is_lost(self, is_client: bool) -> bool:
        """Whether what comes now is lost with its connection; that happens once."""
        if self._lost is None or self._lost != (self.trips, not is_client):
            return False
        self._lost = None
        return True

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _address = self._listener.accept()
                try:
                    far = socket.create_connection(self.server)
                except ConnectionRefusedError:
                    near.close()
                    continue
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                has_answered = threading.Event()
                has_answered.set()
                for source, sink in ((near, far), (far, near)):
                    is_client = source is near
                    relay = (source, sink, has_answered, is_client)
                    threading.Thread(target=self._relay, args=relay, daemon=True).start()

    def _relay(
        self, source: socket.socket, sink: socket.socket, has_answered: threading.Event, is_client: bool
    ) -> None:
        with suppress(OSError):
            while piece := source.recv(262144):
                if not is_client:
                    has_answered.set()
                elif has_answered.is_set():
                    has_answered.clear()
                    self.trips += 1
                if self._is_lost(is_client):
                    break
                if self.delay:
                    time.sleep(self.delay)
                sink.sendall(piece)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def main() -> None:
    """`python -m tests.support.distant HOST PORT OWN_PORT SECONDS`: as a process of its own."""
    host, port, own_port, delay = sys.argv[1:]
    DistantServer(host, int(port), delay=float(delay), own_port=int(own_port)).accept()


if __name__ == "__main__":
    main()
