"""BENCH 4: reserve and settle from Python, against the very same statements in pgbench."""

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from psycopg.sql import Literal
from sqlalchemy import event
from sqlalchemy.engine import Engine

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.identity.actor import Actor
from app.models.metering.reservation import reserve_with, settle_with
from app.providers.base import Prompt, PromptMessage, TokenUsage
from bench.environment import PROJECT, QUESTION, Stage, stage
from bench.metrics import MODEL, Measure, either, ratio_of
from tests.support.environment import process_environment

ACCOUNTS = 1000
PROCESSES, THREADS = 2, 6
SECONDS, ROUNDS = either(6, 3), either(3, 2)
PROMPT = Prompt(MODEL, (PromptMessage("user", QUESTION),), 4096)
USED = TokenUsage(uncached_input=12, output=100, source="reported", raw={"prompt_tokens": 12})
COPIES = """
INSERT INTO accounts SELECT (jsonb_populate_record(a, jsonb_build_object('id', a.id + n))).*
FROM accounts a, generate_series(1, %d) n WHERE a.credits_nanos > 0 ORDER BY n
"""


def measured() -> tuple[list[Measure], list[str]]:
    """4, over many accounts and on one; nothing where there is no pgbench."""
    if not shutil.which("pgbench"):
        return [], ["pgbench is not installed, so that 4 is not in this run."]
    with stage() as running:
        running.tollgate(chats=1)
        running.postgres.execute(COPIES % ACCOUNTS, database="bench")
        script = running.folder / "pair.sql"
        script.write_text(python(running, "script"))
        script.chmod(0o644)
        measures = [compared(running, kind, target) for kind, target in (("many", 0.25), ("one", 0.4))]
        return measures, [without_rules(running)]


def without_rules(running: Stage) -> str:
    """What psycopg alone comes to with the same statements, in turns with pgbench."""
    first = first_account(running)
    script = [str(running.folder / "pair.sql"), running.postgres.url("bench"), str(first), str(first + ACCOUNTS)]
    alone, theirs = [], []
    for _ in range(ROUNDS):
        alone.append(by_processes(running, "bench.baseline_pairs", *script))
        theirs.append(from_pgbench(running, "many"))
    ratio = median(alone) / median(theirs)
    return f"The same statements of many accounts by psycopg alone, no rule looked at: {ratio:.2f} of pgbench"


def compared(running: Stage, kind: str, target: float) -> Measure:
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(by_processes(running, "bench.reserve_settle", kind))
        theirs.append(from_pgbench(running, kind))
    name = f"reserve + settle, {'many accounts' if kind == 'many' else 'one hot account'}, against pgbench"
    return ratio_of(4, name, "/s", median(ours), median(theirs), target=target, is_most=False)


def by_processes(running: Stage, module: str, *arguments: str) -> float:
    """Pairs per second of some processes with some threads each."""
    environment = process_environment(running.environment)
    command = [sys.executable, "-m", module, *arguments]
    started = [
        subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    return sum(float(child.communicate()[0]) for child in started) / SECONDS


def from_pgbench(running: Stage, kind: str) -> float:
    first = first_account(running)
    last = first if kind == "one" else first + ACCOUNTS
    command = [
        "pgbench",
        "-n",
        "-M",
        "prepared",
        "-c",
        str(PROCESSES * THREADS),
        "-j",
        "2",
        "-T",
        str(SECONDS),
    ]
    command += ["-D", f"first={first}", "-D", f"last={last}", "-f", str(running.folder / "pair.sql")]
    command += [running.postgres.url("bench")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(re.findall(r"tps = ([\d.]+)", said)[-1])


def first_account(running: Stage) -> int:
    results = running.postgres.execute("SELECT min(id) FROM accounts WHERE credits_nanos > 0", database="bench")
    return int(str(results[0][0]))


def python(running: Stage, what: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench.reserve_settle", what],
        cwd=PROJECT, env=process_environment(running.environment), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


class Pairs:
    """The work of one process: pairs of the two steps, each committed."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.count = 0
        with app.app_context():
            _model, self.price = AIModel.to_sell(MODEL, utcnow())
            account = "SELECT min(id) FROM accounts WHERE credits_nanos > 0"
            self.first = db.session.connection().exec_driver_sql(account).scalar_one()
            user = "SELECT user_id FROM memberships WHERE account_id = %s"
            self.user = db.session.connection().exec_driver_sql(user, (self.first,)).scalar_one()
            db.session.expunge_all()

    def pair(self, account_id: int) -> None:
        actor = Actor(self.user, account_id, "owner", "ada@example.com", "Ada", True)
        with self.app.app_context():
            reservation, _no_ids = reserve_with(None, actor, PROMPT, self.price, is_alone=True)
        with self.app.app_context():
            settle_with(None, reservation, USED, "done", is_alone=True)
        self.count += 1

    def spread(self, kind: str, thread: int) -> Callable[[int], int]:
        """Which account comes next."""
        step = 0 if kind == "one" else 7919
        return lambda generation: self.first + (generation * step + thread * 131) % (ACCOUNTS if step else 1)

    def run(self, kind: str) -> float:
        """Pairs in SECONDS of all threads."""
        self.pair(self.first)
        self.count, until = 0, time.monotonic() + SECONDS

        def work(thread: int) -> None:
            account, generation = self.spread(kind, thread), 0
            while time.monotonic() < until:
                self.pair(account(generation))
                generation += 1

        threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return float(self.count)

    def script(self) -> str:
        """A pair's statements as SQLAlchemy sends them, for pgbench: `:account` is drawn, `:id` the usage row's."""
        sent: list[str] = ["\\set account random(:first, :last)"]

        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            line = " ".join((statement % {name: written(name, value) for name, value in parameters.items()}).split())
            sent.append(f"{line} \\gset" if "INSERT INTO usages" in line else f"{line};")

        event.listen(Engine, "before_cursor_execute", note)
        self.pair(self.first)
        return "\n".join(sent) + "\n"


def written(name: str, value: Any) -> str:
    """A parameter as pgbench has it: the account and the usage row as variables, all else as it is."""
    if name in ("account", "account_id"):
        return ":account"
    if name == "usage":
        return ":id"
    return Literal(value).as_string(None)


def main() -> None:
    from wsgi import app  # noqa: PLC0415 - only where the process is Tollgate's

    pairs = Pairs(app)
    print(pairs.script() if sys.argv[1] == "script" else pairs.run(sys.argv[1]))


if __name__ == "__main__":
    main()
