"""SQLite that is locked by another process, and a disk that is full."""

import sqlite3
import threading
from contextlib import closing

import pytest

from tests.faults.consistency import assert_whole
from tests.faults.environment import Stage
from tests.faults.load import Crowd, ask
from tests.faults.passing import full_disk
from tests.support.running_app import await_that

pytestmark = pytest.mark.databases("sqlite")


def test_answers_wait_for_a_database_that_is_locked(stage: Stage) -> None:
    crowd = Crowd(stage.running.url, stage.person("ada"))
    with closing(sqlite3.connect(stage.folder / "tollgate.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        crowd.ask(["hello"] * 4)
        threading.Event().wait(1)
        assert not crowd.ended
        other.execute("ROLLBACK")
    assert crowd.join() == {"done": 4}
    assert crowd.tries == 4
    assert_whole(stage)


def test_a_full_disk_refuses_and_the_answer_that_runs_is_settled_once_there_is_room(stage: Stage) -> None:
    stage.provider.configure(tokens=40, delay=0.02)
    crowd = Crowd(stage.running.url, stage.person("bea"))
    crowd.ask(["hello"])
    await_that(lambda: stage.provider.active == 1, 20)
    with full_disk(stage):
        await_that(lambda: not stage.provider.active, 20)
        assert ask(stage.running.url, crowd.headers, "more") == "503"
    assert crowd.join() == {"done": 1}
    assert ask(stage.running.url, crowd.headers, "more") == "done"
    assert_whole(stage)
