"""Who may be killed: every kind of process, with kill -9, and started again as a supervisor would."""

from collections.abc import Callable

from tests.faults.environment import Stage


class Victims:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        running = stage.running
        self.ways: dict[str, Callable[[], None]] = {
            "gunicorn worker": stage.kill_gunicorn_worker,
            "gunicorn and all its workers": lambda: running.restart("web"),
            "RQ worker": lambda: running.restart("worker"),
            "clock": lambda: running.restart("clock"),
            "Redis, without persistence": stage.kill_redis,
        }
        if stage.postgres:
            self.ways |= {
                "PostgreSQL": stage.crash_database,
                "a session of PostgreSQL": stage.kill_session,
            }

    def kill(self, kind: str) -> None:
        self.ways[kind]()

    def bring_back(self) -> None:
        """Whatever died by the way, such as a master whose last worker did not start, is there again."""
        for name, process in list(self.stage.running.processes.items()):
            if "." not in name and process.poll() is not None:
                self.stage.running.start(name)
        self.stage.running.await_ready()
