"""Those that write to SQLite take turns, across threads and processes, and always give theirs back."""

import fcntl
import gc
import multiprocessing
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from app.db import sqlite
from app.db.sqlite import TurnConnection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "turns.db"
    with closing(connection_to(path)) as first:
        first.execute("PRAGMA journal_mode=WAL")
        first.execute("CREATE TABLE t (x INTEGER UNIQUE)")
    return path


@pytest.fixture
def two(path: Path) -> Iterator[tuple[TurnConnection, TurnConnection]]:
    with closing(connection_to(path)) as one, closing(connection_to(path)) as other:
        yield one, other


def connection_to(path: Path) -> TurnConnection:
    return sqlite3.connect(path, factory=TurnConnection, check_same_thread=False, timeout=0)


def put(connection: TurnConnection, number: int) -> None:
    connection.cursor().execute("\n insert into t values (?)", (number,))
    connection.commit()


def numbers(connection: TurnConnection) -> list[int]:
    return [number for (number,) in connection.cursor().execute("SELECT x FROM t ORDER BY x")]


Two = tuple[TurnConnection, TurnConnection]


def test_a_commit_that_fails_leaves_no_turn_taken_and_nothing_written(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "PATIENCE", 1)
    one, other = two
    one.execute("PRAGMA foreign_keys=ON")
    one.execute("CREATE TABLE child (x REFERENCES t (x) DEFERRABLE INITIALLY DEFERRED)")
    one.cursor().execute("INSERT INTO child VALUES (7)")
    with pytest.raises(sqlite3.IntegrityError):
        one.commit()
    put(other, 1)
    assert other.cursor().execute("SELECT count(*) FROM child").fetchone() == (0,)


def test_who_writes_second_waits_for_the_first_and_readers_do_not(two: Two) -> None:
    one, other = two
    one.cursor().execute("INSERT INTO t VALUES (1)")
    waiting = threading.Thread(target=put, args=(other, 2))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    with closing(sqlite3.connect(one.execute("PRAGMA database_list").fetchone()[2])) as reader:
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (0,)
    one.commit()
    waiting.join(5)
    assert numbers(one) == [1, 2]


def test_a_connection_that_is_dropped_gives_its_turn_back(path: Path, two: Two) -> None:
    dropped = connection_to(path)
    dropped.cursor().execute("INSERT INTO t VALUES (1)")
    del dropped
    gc.collect()
    put(two[0], 2)
    assert numbers(two[1]) == [2]


def test_a_database_that_cannot_be_opened_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        connection_to(tmp_path / "nowhere" / "x.db")
    gc.collect()


@pytest.mark.parametrize("end", ["rollback", "close"])
def test_a_turn_ends_without_a_commit_too(two: Two, end: str) -> None:
    one, other = two
    one.cursor().execute("INSERT INTO t VALUES (1)")
    getattr(one, end)()
    put(other, 2)
    assert numbers(other) == [2]


def test_a_statement_that_fails_keeps_the_turn_until_the_rollback(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "PATIENCE", 0.05)
    one, other = two
    put(one, 1)
    with pytest.raises(sqlite3.IntegrityError):
        put(one, 1)
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        put(other, 2)
    one.rollback()
    other.cursor().executemany("insert into t values (?)", [(2,), (3,)])
    other.commit()
    assert numbers(one) == [1, 2, 3]


def test_the_turn_of_a_process_ends_with_it(path: Path, two: Two) -> None:
    processes = multiprocessing.get_context("fork")
    holds = processes.Event()
    holder = processes.Process(target=hold, args=(path, holds))
    holder.start()
    assert holds.wait(10)
    waiting = threading.Thread(target=put, args=(two[0], 2))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    holder.kill()
    waiting.join(5)
    holder.join(5)
    assert numbers(two[1]) == [2]


def hold(path: Path, holds: Event) -> None:
    """Take a turn and keep it."""
    connection = connection_to(path)
    connection.cursor().execute("INSERT INTO t VALUES (0)")
    holds.set()
    time.sleep(60)


def test_who_waits_too_long_for_another_process_is_told_so(
    path: Path, two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "PATIENCE", 0.1)
    with (path.parent / "turns.db-turn").open("ab") as elsewhere:
        fcntl.flock(elsewhere, fcntl.LOCK_EX)
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            put(two[0], 1)
        two[0].rollback()
    put(two[1], 2)
    put(two[0], 3)
    assert numbers(two[0]) == [2, 3]


def test_many_threads_write_each_their_own(path: Path) -> None:
    def write(first: int) -> None:
        with closing(connection_to(path)) as own:
            for number in range(first, first + 50):
                put(own, number)

    threads = [threading.Thread(target=write, args=(50 * number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with closing(connection_to(path)) as reader:
        assert numbers(reader) == list(range(300))
