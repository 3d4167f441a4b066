"""Models whose provider has just failed: for a while their fallbacks are asked first. Each process learns by itself."""

import threading
import time

SECONDS = 30.0
_until: dict[str, float] = {}
_lock = threading.Lock()


def begin(model: str) -> None:
    _until[model] = time.monotonic() + SECONDS


def end(model: str) -> None:
    _until.pop(model, None)


def is_on(model: str) -> bool:
    """Whether it is still to be left alone. Once the time is over the first call tries it, and others keep away."""
    with _lock:
        until = _until.get(model)
        if until is None or time.monotonic() < until:
            return until is not None
        begin(model)
        return False
