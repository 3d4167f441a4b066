"""An address that cannot be reached."""

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def unreachable_address() -> Iterator[str]:
    """An address on which connecting hangs: a listener that accepts nobody and whose queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            actor = stack.enter_context(socket.socket())
            actor.setblocking(False)
            actor.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
