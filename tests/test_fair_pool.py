"""Connections of PostgreSQL's pool are given in turn, and none is lost by who gave up waiting."""

import sqlite3
import threading
from functools import partial

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.db.fair_pool import FairPool
from tests.support.running_app import await_that


def pool_of_one(timeout: float) -> FairPool:
    return FairPool(
        lambda: sqlite3.connect(":memory:", check_same_thread=False),
        pool_size=1,
        max_overflow=0,
        timeout=timeout,
        reset_on_return=None,
    )


def test_who_waits_longest_is_next_and_the_last_holder_comes_after_all() -> None:
    pool, order, threads = pool_of_one(timeout=20), [], []
    held = pool.connect()

    def wait(name: str) -> None:
        connection = pool.connect()
        order.append(name)
        connection.close()

    for count, name in enumerate("abcde", start=1):
        threads.append(threading.Thread(target=wait, args=[name]))
        threads[-1].start()
        await_that(partial(is_waiting, pool, count))
    held.close()
    wait("holder")
    for thread in threads:
        thread.join()

    assert order == [*"abcde", "holder"]
    assert pool.checkedin() == 1


def is_waiting(pool: FairPool, count: int) -> bool:
    return len(pool._pool.waiting) == count


def test_who_gave_up_takes_no_connection_with_them() -> None:
    pool = pool_of_one(timeout=0.05)
    held = pool.connect()

    with pytest.raises(PoolTimeoutError):
        pool.connect()
    held.close()
    pool.connect().close()

    assert (pool.checkedin(), len(pool._pool.waiting)) == (1, 0)
