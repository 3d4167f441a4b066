"""Counts what happens in this process and adds it up in Redis once a second: every process shows the same sums."""

import atexit
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

import redis
from flask import Flask, current_app

from app.jobs import connect
from app.providers.base import PIECES, TOKEN_BUCKETS, TokenUsage

KEY = "tollgate:meters"
PAUSE = 1.0
LADDER = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, float("inf"))
"""The upper ends, in seconds, of the classes in which waits for a first token are counted."""

Counts = Mapping[tuple[str, ...], int]


class Counters:
    """This process's counts that Redis does not have yet, and the thread that brings them there.

    A count is named by its meter and the values of its labels: `("calls", "gpt-4o", "done")`. Nobody waits for
    Redis; while it is away the counts are kept. A process that is killed loses what it counted in the last second.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: Counter[tuple[str, ...]] = Counter()
        self.app: Flask | None = None
        self.porter: threading.Thread | None = None

    def add(self, counts: Counts) -> None:
        with self.lock:
            self.app = current_app._get_current_object()  # type: ignore[attr-defined]
            self.waiting.update(counts)
            if self.porter is None or not self.porter.is_alive():
                self.porter = threading.Thread(target=self._bring_all, daemon=True)
                self.porter.start()

    def flush(self) -> bool:
        """Add what was counted to the sums in Redis; False where Redis is away. What did not get there is kept."""
        with self.lock:
            counted, self.waiting = self.waiting, Counter()
        if self.app is None or not counted:
            return True
        is_there = False
        try:
            with self.app.app_context(), suppress(redis.RedisError):
                connection = connect()
                with connection.pipeline() as pipeline:
                    for labels, amount in counted.items():
                        pipeline.hincrby(KEY, json.dumps(labels), amount)
                    pipeline.execute()
                is_there = True
        finally:
            if not is_there:
                with self.lock:
                    self.waiting.update(counted)
        return is_there

    def _bring_all(self) -> None:
        """Until there is nothing more to bring, or Redis is away: the next count starts anew."""
        has_more = True
        while has_more:
            time.sleep(PAUSE)
            is_there = self.flush()
            with self.lock:
                has_more = is_there and bool(self.waiting)
                if not has_more:
                    self.porter = None


meters = Counters()
atexit.register(meters.flush)


def sums() -> dict[tuple[str, ...], int]:
    """What all processes have counted since Redis began; RedisError where it is away."""
    totals: dict[bytes, bytes] = connect().hgetall(KEY)  # type: ignore[assignment]
    return {tuple(json.loads(labels)): int(amount) for labels, amount in totals.items()}


def count_call(
    model: str, outcome: str, usage: TokenUsage, *, cost: int, absorbed: int, waited: float | None = None
) -> None:
    """Count a settled call: its buckets, what the provider took and what of it we bear, both in nanos.

    `waited` is the time to its first token in seconds; None where there was none.
    """
    counts = {("calls", model, outcome): 1, ("cost", model): cost, ("absorbed", model): absorbed}
    counts |= {("tokens", model, bucket): getattr(usage, bucket) for bucket in TOKEN_BUCKETS}
    counts |= {("pieces", model, kind): getattr(usage, kind) for kind in PIECES}
    if waited is not None:
        step = next(end for end in LADDER if waited <= end)
        counts |= {("first_token", model, str(step)): 1, ("first_token_ms", model): round(waited * 1000)}
    meters.add({labels: amount for labels, amount in counts.items() if amount})


def count_problem(code: str) -> None:
    """Count a request that was answered with this code instead of what was asked for."""
    meters.add({("problems", code): 1})
