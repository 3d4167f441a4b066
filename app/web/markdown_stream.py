"""An answer as HTML while it streams: only the blocks that changed."""

import time
from collections.abc import Callable

from app.web.markdown import SECONDS, Blocks, render

SHARE, LONGEST_WAIT = 50, 2.0
"""What took t seconds is done again after SHARE x t, but within the longest wait, in seconds."""


class StreamRenderer:
    """Renders an answer while it comes. Each change is `(index, html)`: the page sets that block, or appends it.

    The last block is rendered again at most every `interval` seconds, and less often where that is dear (long
    code): it never takes more than a fraction of the time. A closed block is rendered once more and left alone,
    so the work grows with the length of the answer, not with its square.
    """

    def __init__(self, *, interval: float = 0.125, clock: Callable[[], float] = time.perf_counter) -> None:
        self._interval = interval
        self._clock = clock
        self._tail = ""
        self._index = 0
        self._shown = ""
        self._has_new_line = False
        self._next_look = self._next_render = 0.0

    def feed(self, text: str) -> list[tuple[int, str]]:
        """Take more of the answer; returns what has changed on the page, often nothing."""
        self._tail += text
        self._has_new_line |= "\n" in text
        now, changes = self._clock(), []
        if self._has_new_line and now >= self._next_look:
            changes = self._closed()
            self._has_new_line = False
            self._next_look = now + self._wait_after(now)
        if changes or now >= self._next_render:
            changes += self._set(render(self._tail))
            self._next_render = now + self._wait_after(now)
        return changes

    def _wait_after(self, start: float) -> float:
        """How long what took from `start` until now is not done again."""
        return min(LONGEST_WAIT, max(self._interval, SHARE * (self._clock() - start)))

    def finish(self) -> list[tuple[int, str]]:
        """The answer is whole: the blocks that still have to be set."""
        changes = []
        for source in Blocks.of(self._tail, time.thread_time() + SECONDS).sources:
            changes += self._close(source)
        self._tail = ""
        return changes

    def _closed(self) -> list[tuple[int, str]]:
        """Take the blocks off the tail that no later text can change. Only whole lines tell where a block ends."""
        whole = self._tail.rfind("\n") + 1
        blocks = Blocks.of(self._tail[:whole], time.thread_time() + SECONDS)
        closed = blocks.sources[: blocks.closed]
        changes = []
        for source in closed:
            changes += self._close(source)
        if closed:
            self._tail = "".join(blocks.sources[len(closed) :]) + self._tail[whole:]
        return changes

    def _close(self, source: str) -> list[tuple[int, str]]:
        changes = self._set(render(source))
        self._index, self._shown = self._index + 1, ""
        return changes

    def _set(self, html: str) -> list[tuple[int, str]]:
        if html == self._shown:
            return []
        self._shown = html
        return [(self._index, html)]
