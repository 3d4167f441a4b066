"""Faults that pass: each is there while its block runs, and mended after it."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from tests.faults.environment import Stage
from tests.support.troubles import CLOCK_IS_BACK, CLOCK_JUMPS, NAMES_ARE_AWAY, NAMES_ARE_BACK


def ways(stage: Stage) -> dict[str, Callable[[], AbstractContextManager[None]]]:
    every = {
        "Redis is full": lambda: full_redis(stage),
        "Redis takes no writes": lambda: read_only_redis(stage),
        "the disk is full": lambda: full_disk(stage),
        "the clock is an hour ahead": lambda: signalled(stage, CLOCK_JUMPS, CLOCK_IS_BACK),
        "no name is resolved": lambda: signalled(stage, NAMES_ARE_AWAY, NAMES_ARE_BACK),
    }
    return every | ({"PostgreSQL hangs": lambda: hanging(stage)} if stage.postgres else {})


@contextmanager
def full_redis(stage: Stage) -> Iterator[None]:
    with stage.redis.connection() as redis:
        redis.config_set("maxmemory", 1)
        yield
        redis.config_set("maxmemory", 0)


@contextmanager
def read_only_redis(stage: Stage) -> Iterator[None]:
    """A replica of one that is not there: it keeps what it has, and takes nothing."""
    with stage.redis.connection() as redis:
        redis.replicaof("127.0.0.1", 1)
        yield
        redis.replicaof("no", "one")


@contextmanager
def full_disk(stage: Stage) -> Iterator[None]:
    """No file of whoever writes the database may grow, as if nothing were left on the disk. PostgreSQL gives up."""
    if stage.postgres:
        stage.postgres.limit_files(1)
        yield
        if stage.postgres.process.poll() is None:
            stage.postgres.limit_files(None)
        else:
            stage.postgres.start()
        return
    web = family(stage.running.processes["web"].pid)
    was = resource.prlimit(web[0], resource.RLIMIT_FSIZE)
    for pid in web:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, was[1]))
    yield
    for pid in family(web[0]):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, was)


@contextmanager
def hanging(stage: Stage) -> Iterator[None]:
    stage.postgres.pause()
    yield
    stage.postgres.resume()


@contextmanager
def signalled(stage: Stage, begins: int, ends: int) -> Iterator[None]:
    """A trouble of the processes' own: see `tests/support/troubles.py`."""
    signal_all(stage, begins)
    yield
    signal_all(stage, ends)


def signal_all(stage: Stage, number: int) -> None:
    for process in stage.running.processes.values():
        for pid in family(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def family(pid: int) -> list[int]:
    """A process and its children, as they are now."""
    with suppress(OSError):
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    return []
