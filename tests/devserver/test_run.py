"""`make run`: from an empty folder to a page, again with the data kept, and nothing left behind."""

import os
import runpy
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
from flask import Flask

from app import addresses, config
from app.jobs import is_reachable
from devserver import ports
from devserver.supervisor import STARTS_WELL
from tests.conftest import app_in, close
from tests.devserver.conftest import DevelopmentRun, cloned
from tests.support import people
from tests.support.crowding import patient
from tests.support.running_app import await_that
from tests.support.test_apps import made_apps

READY = "Tollgate is ready: "
LAST_WORDS = (READY, "Admin: admin@example.com ", "Sandbox payments: http://", "Emails: ")
Start = Callable[..., DevelopmentRun]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevelopmentRun]:
    """A run that has said its last words, in a folder of its own; the last test ends it."""
    run = DevelopmentRun(cloned(tmp_path_factory))
    run.await_words("/dev/mail")
    yield run
    if run.process.poll() is None:
        run.signal(signal.SIGTERM)
        run.process.wait(patient(30))


def test_everything_runs_and_the_last_words_are_where_it_is_and_who_the_admin_is(running: DevelopmentRun) -> None:
    last = [line for line in running.said.splitlines() if line.startswith(LAST_WORDS)]
    starts = [f"{READY}http://127.0.0.1:{running.port}", *LAST_WORDS[1:]]
    assert [line.startswith(start) for line, start in zip(last, starts, strict=True)] == [True] * 4
    assert requests.get(f"http://127.0.0.1:{running.port}/readyz", timeout=60).status_code == 200
    for line in ("working", "ticking"):
        running.await_words(line)


def test_beside_a_run_its_database_redis_and_payments_are_reached_and_the_next_keeps_the_password_until_it_is_changed(
    running: DevelopmentRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    instance = running.folder / "instance"
    for module in (addresses, config, ports):
        monkeypatch.setattr(module, "INSTANCE", instance)
    app = app_in(monkeypatch, {"APP_ENV": "development"})
    made_apps.forget()  # those of the next runs are made later
    with app.app_context():
        assert is_reachable()
        await_that(lambda: agrees(app), patient(30))  # events of the plans may still be on their way
    close(app)

    first = (instance / "first-admin").read_text()
    assert first.strip() in running.said
    assert prepared_again(capsys) == first
    with closing(sqlite3.connect(instance / "tollgate.db")) as database, database:
        database.execute("UPDATE users SET password_hash = ?", [people.hashed_password()])
    assert prepared_again(capsys) == ""
    assert not (instance / "first-admin").exists()


def agrees(app: Flask) -> bool:
    told = app.test_cli_runner().invoke(args=["billing", "reconcile"]).output
    return told.strip() == "Stripe and our records agree."


def prepared_again(capsys: pytest.CaptureFixture[str]) -> str:
    """What the next run's preparation says of the admin."""
    capsys.readouterr()
    close(runpy.run_module("devserver.prepare", run_name="__main__")["app"])
    return capsys.readouterr().out


def test_two_runs_in_one_folder_are_refused(running: DevelopmentRun) -> None:
    second = DevelopmentRun(running.folder)
    assert second.process.wait(patient(5)) == 1
    assert f"already running in this folder: http://127.0.0.1:{running.port}" in second.said
    again = running.command("python", "-m", "devserver.ports")
    assert again.returncode == 1
    assert "already running in this folder" in again.stderr


@pytest.mark.long
def test_a_worker_that_is_killed_is_started_again(running: DevelopmentRun) -> None:
    """In `make test`: `test_supervisor.py`."""
    await_that(lambda: running.said.count("working") == 1, 60, failing=lambda: running.said)
    time.sleep(max(0.0, running.began + STARTS_WELL - time.monotonic()))
    os.kill(running.pid_of("-m app.worker"), signal.SIGKILL)
    running.await_words("worker has ended (signal 9); starting it again")
    await_that(lambda: running.said.count("working") == 2, 60, failing=lambda: running.said)


def test_a_signal_stops_everything_and_leaves_nothing(running: DevelopmentRun) -> None:
    is_stopped_by(running, signal.SIGINT)


def is_stopped_by(run: DevelopmentRun, number: signal.Signals) -> None:
    run.signal(number)
    assert run.process.wait(patient(30)) == 0
    assert run.left_behind() == []
    assert not (run.folder / "instance" / "redis.sock").exists()


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_what_is_still_starting(start_run: Start, number: signal.Signals) -> None:
    run = start_run()
    run.await_words("Starting Redis")
    time.sleep(1)
    is_stopped_by(run, number)


@pytest.mark.long
def test_a_run_that_is_killed_takes_its_processes_along(start_run: Start) -> None:
    run = start_run()
    run.await_words(READY)
    run.process.kill()
    run.process.wait()
    await_that(lambda: not run.left_behind(), 30, failing=lambda: str(run.left_behind()))


def test_a_port_in_use_is_named_at_once(start_run: Start) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        run = start_run(PORT=str(port))
        assert run.process.wait(patient(5)) == 1
    assert f"Port {port} is in use" in run.said


def test_a_port_that_is_no_port_is_refused(start_run: Start) -> None:
    run = start_run(PORT="http")
    assert run.process.wait(patient(5)) == 1


def test_a_folder_that_cannot_be_written_is_named(start_run: Start, folder: Path) -> None:
    instance, aside = folder / "instance", folder / "instance.aside"
    instance.rename(aside)
    instance.write_text("in the way")
    run = start_run()
    code = run.process.wait(patient(30))
    instance.unlink()
    aside.rename(instance)
    assert code == 1
    assert f"cannot write to {instance}" in run.said


@pytest.mark.long
def test_a_web_process_that_cannot_start_ends_the_run_with_its_words(start_run: Start) -> None:
    """In `make test`: `test_supervisor.py`."""
    run = start_run(WEB_THREADS="many")
    assert run.process.wait(patient(30)) == 1
    assert "'many'" in run.said
    assert run.left_behind() == []
