"""Forbids the tests' own process any network but loopback."""

import socket
from typing import Any

import pytest

LOOPBACK = ("127.", "::1", "localhost")


class NetworkForbidden(Exception):
    """A test reached for a machine that is not this one."""


def _is_local(address: Any) -> bool:
    return not isinstance(address, tuple) or str(address[0]).startswith(LOOPBACK)


def forbid_other_machines(patch: pytest.MonkeyPatch) -> None:
    """From now on connecting and looking up names work for loopback and Unix sockets only."""
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _refuse_others(address)
        return connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_others(address)
        return connect_ex(self, address)

    def guarded_look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        _refuse_others((host or "127.0.0.1",))
        return look_up(host, *arguments, **options)

    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    patch.setattr(socket, "getaddrinfo", guarded_look_up)


def _refuse_others(address: Any) -> None:
    if not _is_local(address):
        raise NetworkForbidden(f"the tests talk to this machine only, not to {address[0]}")
