"""Reads a provider: the follower of an answer reads it too, step by step, in its own thread.

A token wakes nobody. A thread is made only for what nobody reads, and for a gateway's stream until its first event,
since the status that its head has must not wait without end.
"""

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


class ProviderReader:
    """What came so far (`told`), and the steps that read on; whoever has the turn takes the next one."""

    told: Sized
    steps: Iterator[None]

    def __init__(self) -> None:
        self.ending: Any = None
        self.changed = threading.Condition()
        self._turn = threading.Lock()
        self._reads_for: Follower | None = None
        self._read_at = self._quiet_since = self._pinged_at = time.monotonic()

    def await_more(self, seen: int, follower: Follower = NOBODY) -> bool:
        """Return once more than `seen` has come, or the end, or nothing for a while; says whether it has ended."""
        began = time.monotonic()
        while not self._has_more(seen):
            if self._turn.acquire(blocking=False):
                self._step(follower, began)
            elif not self._await_turn(seen, began + PING_SECONDS):
                break
        return self.ending is not None

    def _await_turn(self, seen: int, until: float) -> bool:
        """While another one reads: whether more has come, or the turn is free, by that time."""
        with self.changed:
            left = until - time.monotonic()
            return self.changed.wait_for(lambda: self._has_more(seen) or not self._turn.locked(), timeout=left)

    def tend(self) -> None:
        """Every second: tell a follower that has waited for long, and give a thread to what nobody reads."""
        with self.changed:
            now = time.monotonic()
            if self._reads_for and now - self._quiet_since > PING_SECONDS:
                self._reads_for.ping()
                self._quiet_since = self._pinged_at = now
        if now - self._read_at > UNREAD_SECONDS and not self._turn.locked():
            threading.Thread(target=self.read_on, daemon=True).start()

    def read_on(self) -> None:
        """Read to the end, as long as nobody else does."""
        while self.ending is None and self._turn.acquire(blocking=False):
            self._step(NOBODY, time.monotonic())

    def _has_more(self, seen: int) -> bool:
        return len(self.told) > seen or self.ending is not None

    def _step(self, follower: Follower, waits_since: float) -> None:
        """With the turn, which whoever waits may take after it; a step may bring nothing that is told."""
        self._reads_for, self._quiet_since = follower, max(waits_since, self._pinged_at)
        try:
            next(self.steps, None)
        finally:
            with self.changed:
                self._reads_for, self._read_at = None, time.monotonic()
                self._turn.release()
                self.changed.notify_all()
