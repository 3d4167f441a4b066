"""A line to servers on loopback under one address: it can be cut and mended, and passes over a server that is away."""

import socket
import threading
from contextlib import suppress
from typing import Self

LINGER_AND_RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"


class CuttableLine:
    """Relays TCP connections to the `servers`, hosts and ports, in turn; `url` is its own address."""

    def __init__(self, *servers: tuple[str, int]) -> None:
        self._servers = list(servers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._is_cut = False
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Break every connection; new ones are broken too, until `mend`."""
        self._is_cut = True
        for end in self._open:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_AND_RESET)
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def mend(self) -> None:
        self._is_cut = False

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _address = self._listener.accept()
                if self._is_cut:
                    near.close()
                    continue
                far = self._connect()
                if far is None:
                    near.close()
                    continue
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._relay, args=(source, sink), daemon=True).start()

    def _connect(self) -> socket.socket | None:
        """To the server whose turn it is, or the next that is there."""
        for _ in self._servers:
            self._servers.append(self._servers.pop(0))
            with suppress(ConnectionRefusedError):
                return socket.create_connection(self._servers[-1])
        return None

    def _relay(self, source: socket.socket, sink: socket.socket) -> None:
        """Until either end is gone, by whatever way: the other is told at once."""
        with suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
