"""What processes cost, read from the kernel: CPU time and memory of a process and of all that it started."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    lists = [started_by(task) for task in Path(f"/proc/{pid}/task").iterdir()]
    return [pid, *(each for children in lists for child in children for each in family(int(child)))]


def started_by(thread: Path) -> list[str]:
    """The processes that a thread started; none where it has ended meanwhile."""
    try:
        return (thread / "children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and of its descendants."""
    stats = (Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in family(pid))
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / TICKS


def megabytes(pid: int) -> float:
    """What the largest of the family holds in memory: the one web process, without its arbiter."""
    return max(resident(each) for each in family(pid)) / 1024


def resident(pid: int) -> int:
    """Kilobytes in memory, what is shared with others included."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@contextmanager
def sampled(look: Callable[[], float], every: float = 0.25) -> Iterator[list[float]]:
    """Look now and then while the block runs; what was seen."""
    seen, over = [look()], threading.Event()

    def watch() -> None:
        while not over.wait(every):
            seen.append(look())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()
