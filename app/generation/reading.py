"""Reading a provider: whoever follows an answer reads it too, step by step, in its own thread.

No thread reads for another one, and none is made, as long as somebody follows: a token wakes nobody.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sized
from typing import Any

PING_SECONDS = 15.0
UNREAD_SECONDS = 1.0
"""How long a provider waits for somebody to read on, before a thread of its own does."""


class Follower:
    """Whoever follows. One who knows the connection can say there that it is not dead."""

    def ping(self) -> None:
        """Say so, without waiting. Called in another thread, while its own waits for the provider."""


NOBODY = Follower()


class Reading:
    """What came so far (`told`), and the steps that read on; whoever has the turn takes the next one."""

    def __init__(self) -> None:
        self.ending: Any = None
        self.told: Sized = ()
        self.steps: Iterator[None] = iter(())
        self.changed = threading.Condition()
        self._turn = threading.Lock()
        self._reads_for: Follower | None = None
        self._heard_at = time.monotonic()

    def await_more(self, seen: int, follower: Follower = NOBODY) -> bool:
        """Return once more than `seen` has come, or the end, or nothing for a while; says whether it has ended."""
        while not self._has_more(seen) and self._turn.acquire(blocking=False):
            self._step(follower)
        if not self._has_more(seen):
            with self.changed:
                self.changed.wait_for(lambda: self._has_more(seen), timeout=PING_SECONDS)
        return self.ending is not None

    def tend(self) -> None:
        """Every second: tell a follower that has waited for long, and give a thread to what nobody reads."""
        with self.changed:
            silence = time.monotonic() - self._heard_at
            if self._reads_for and silence > PING_SECONDS:
                self._reads_for.ping()
                self._heard_at = time.monotonic()
        if silence > UNREAD_SECONDS and not self._turn.locked():
            threading.Thread(target=self.read_on, daemon=True).start()

    def read_on(self) -> None:
        """Read to the end, as long as nobody else does."""
        while self.ending is None and self._turn.acquire(blocking=False):
            self._step(NOBODY)

    def _has_more(self, seen: int) -> bool:
        return len(self.told) > seen or self.ending is not None

    def _step(self, follower: Follower) -> None:
        self._reads_for = follower
        try:
            next(self.steps, None)
        finally:
            with self.changed:
                self._reads_for, self._heard_at = None, time.monotonic()
            self._turn.release()
