"""The processes of a run that do not keep running, with small ones in their place."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from devserver import supervisor as module
from devserver.supervisor import Supervisor
from tests.support.environment import process_environment


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """One that looks after a process that goes on."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    supervisor = Supervisor(process_environment({}))
    supervisor.start("redis", python("import time; time.sleep(60)"))
    yield supervisor
    supervisor.stop()
    for child in children_of(supervisor):
        child.stdout.close()
    for number, handler in before.items():
        signal.signal(number, handler)


def children_of(supervisor: Supervisor) -> list[subprocess.Popen[bytes]]:
    return [child for _command, child, _started in supervisor.running.values()]


def look_after_them(supervisor: Supervisor) -> None:
    while True:
        supervisor.look_after()


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_process_that_cannot_start_ends_the_run_with_its_words(
    supervisor: Supervisor, capfd: pytest.CaptureFixture[str]
) -> None:
    supervisor.start("web", python("raise SystemExit(\"WEB_THREADS is 'many'\")"))
    with pytest.raises(SystemExit, match=r"^web has ended \(exit code 1\); see its message above"):
        look_after_them(supervisor)
    supervisor.stop()
    assert None not in [child.poll() for child in children_of(supervisor)]
    assert "web      | WEB_THREADS is 'many'" in capfd.readouterr().out


def test_a_process_that_ends_later_is_started_again(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "STARTS_WELL", 0.0)
    supervisor.start("worker", python("import time; time.sleep(60)"))
    first = supervisor.running["worker"][1]
    first.kill()
    first.wait()
    first.stdout.close()
    supervisor.look_after()
    assert supervisor.running["worker"][1] is not first
    assert "worker has ended (signal 9); starting it again" in capfd.readouterr().out
