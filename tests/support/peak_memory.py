"""How much memory a piece of work takes."""

import tracemalloc
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def with_peak(work: Callable[[], Result]) -> tuple[Result, int]:
    """What `work` returns, and the most bytes that Python held for it at once."""
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
