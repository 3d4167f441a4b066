"""What a test brings over a running process by a signal: its clock an hour ahead, no name that is resolved.

A process listens where TOLLGATE_TROUBLES is set; what it forks meanwhile is born into the same trouble.
"""

import ipaddress
import signal
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine

CLOCK_JUMPS, CLOCK_IS_BACK, NAMES_ARE_AWAY, NAMES_ARE_BACK = (signal.SIGRTMIN + number for number in range(3, 7))
JUMP = timedelta(hours=1)


def listen() -> None:
    resolve, jumps = socket.getaddrinfo, []

    def jump() -> None:
        jumps.append(time_machine.travel(datetime.now(UTC) + JUMP, tick=True))
        jumps[-1].start()

    def come_back() -> None:
        while jumps:
            jumps.pop().stop()

    def resolve_none(host: Any, *arguments: Any, **options: Any) -> Any:
        """An address is one without a name server."""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution") from None
        return resolve(host, *arguments, **options)

    acts = {
        CLOCK_JUMPS: jump,
        CLOCK_IS_BACK: come_back,
        NAMES_ARE_AWAY: lambda: setattr(socket, "getaddrinfo", resolve_none),
        NAMES_ARE_BACK: lambda: setattr(socket, "getaddrinfo", resolve),
    }
    for number in tuple(acts):
        signal.signal(number, lambda told, _frame: acts[told]())
