"""BENCH 5: the gate, the balance, the usage page and the overview with a long history, against a short one.

HISTORY_CALLS=100000000 python -m bench history: as many calls as that, which takes 40 GB of disk and an hour.
"""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from statistics import median
from typing import Any

from sqlalchemy import event, func, select
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import db
from app.generation.jobs import add_up_calls
from app.models.base import utcnow
from app.models.billing.call_audit import audit_calls
from app.models.catalog.ai_model import AIModel
from app.models.identity.user import UserSession
from app.models.metering.refusal import Refusal
from app.models.metering.reservation import settle
from app.models.metering.usage import USAGES
from bench.environment import PROJECT, Stage, stage
from bench.metrics import MODEL, Measure, either, ratio_of
from bench.reserve_settle import PROMPT, USED
from bench.seed import RICH
from tests.support.calls import reserve
from tests.support.client import SeparateClient
from tests.support.environment import process_environment

SHORT, LONG = 10_000, int(os.environ.get("HISTORY_CALLS") or either(10_000_000, 1_000_000))
ROUNDS, TIMES, PAGES, AUDITS = either(5, 3), either(150, 60), either(20, 8), 3
AUDITED = 4_000
TARGETS = {"the usage page": 2.0, "the overview": 3.0}
FILL = """
SET session_replication_role = replica;
INSERT INTO usages (id, account_id, user_id, operation, model, price_id, state, outcome, day, created_at, settled_at,
  reserved_nanos, max_output_tokens, uncached_input, output, cache_read, cache_write_5m, cache_write_1h,
  images, searches, source, raw, cost_nanos, allowance_paid_nanos, credits_paid_nanos, absorbed_nanos)
SELECT nextval('usages_id_seq'), m.account_id, m.user_id, 'chat', p.name, r.id, 'settled', 'done',
  made.at::date, made.at, made.at, 41000000, 4096, 500, 500, 0, 0, 0, 0, 0, 'reported', '{}', 6250000, 0, 6250000, 0
FROM (SELECT now() - n * interval '2 seconds' AS at FROM generate_series(%d, 1, -1) n) made,
  (SELECT min(account_id) account_id, min(user_id) user_id FROM memberships
   WHERE account_id = (SELECT min(id) FROM accounts WHERE credits_nanos > 0)) m,
  (SELECT id, name FROM models WHERE name = 'bench-model') p, (SELECT min(id) id FROM model_prices) r;
"""
REBUILT = """
SELECT indexdef, format('DROP INDEX %I', indexname) FROM pg_indexes
WHERE tablename = 'usages' AND indexdef NOT LIKE 'CREATE UNIQUE%'
"""


def measured() -> list[Measure]:
    """5, in turns, and the proof that no statement of a message goes over all calls."""
    with stage() as running:
        running.tollgate(chats=1)
        running.postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'bench'")
        running.postgres.execute("CREATE DATABASE short TEMPLATE bench")
        for database, calls in (("short", SHORT), ("bench", LONG)):
            fill(running, database, calls)
        seen: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for _ in range(ROUNDS):
            for database in ("bench", "short"):
                for name, milliseconds in timed(running, database).items():
                    seen[name][database].append(milliseconds)
    title = f"with {LONG:,} calls, against {SHORT:,}"
    return [
        ratio_of(
            5,
            f"{name} {title}",
            "ms",
            median(by["bench"]),
            median(by["short"]),
            target=TARGETS.get(name, 1.2),
        )
        for name, by in seen.items()
    ]


def fill(running: Stage, database: str, calls: int) -> None:
    """That many calls of one account, newest last; indexes are made again afterwards, which is quicker."""
    indexes = running.postgres.execute(REBUILT, database=database)
    for _made, dropped in indexes:
        running.postgres.execute(str(dropped), database=database)
    running.postgres.execute(FILL % calls, database=database)
    for made, _dropped in indexes:
        running.postgres.execute(f"SET maintenance_work_mem = '1GB'; {made}", database=database)
    running.postgres.execute("VACUUM ANALYZE usages", database=database)
    running.postgres.execute("CHECKPOINT", database=database)


def timed(running: Stage, database: str) -> dict[str, float]:
    """Milliseconds of each step over that database, by a process of its own."""
    environment = process_environment(running.environment | {"DATABASE_URL": running.postgres.url(database)})
    command = [sys.executable, "-m", "bench.history"]
    done = subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    results: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return results


class History:
    """The steps that are timed: a gate that opens, a gate that refuses, the balance, the usage page, the overview."""

    def __init__(self, app: Any) -> None:
        self.client, self.browser = app.test_client(), SeparateClient(app, app.response_class)
        self.actor, self.key = people_of(app)
        self.sign_in()
        add_up_calls()
        _model, self.price = AIModel.to_sell(MODEL, utcnow())
        db.session.commit()

    def opens(self) -> None:
        reservation = reserve(self.actor, PROMPT, self.price)
        db.session.commit()
        settle(reservation, USED, "done")
        db.session.commit()

    def refuses(self) -> None:
        """As `impoverish` left the account."""
        with suppress(Refusal):
            reserve(self.actor, PROMPT, self.price)
            raise AssertionError("a call began with nothing left")
        db.session.rollback()

    def impoverish(self, by: int) -> None:
        """Take credits away, or give them back."""
        moved = "UPDATE accounts SET credits_nanos = credits_nanos - %s, allowance_nanos = 0 WHERE id = %s"
        db.session.connection().exec_driver_sql(moved, (by, self.actor.account_id))
        db.session.commit()

    def balance(self) -> None:
        answer = self.client.get("/api/balance", headers={"Authorization": f"Bearer {self.key}"})
        assert answer.status_code == 200, answer.text

    def sign_in(self) -> None:
        """The owner of the long history, in a browser, with the run of the admin."""
        self.actor.user.admin_role = "owner"
        secret = UserSession.begin(self.actor.user, self.actor.account_id)
        db.session.commit()
        with self.browser.session_transaction() as cookie:
            cookie["_user_id"], cookie["_fresh"] = secret, True

    def audit(self) -> None:
        """Of the newest four thousand calls, which is about what two hours hold."""
        newest = select(func.max(USAGES.c.id) - AUDITED).scalar_subquery()
        since = db.session.scalar(select(USAGES.c.settled_at).where(USAGES.c.id == newest))
        assert audit_calls(since).calls >= AUDITED

    def page(self, path: str) -> Callable[[], None]:
        def step() -> None:
            answer = self.browser.get(path)
            assert answer.status_code == 200, (path, answer.status_code)

        return step


def people_of(app: Any) -> tuple[Any, str]:
    """The owner of the long history, and a key of theirs."""
    from app.models.identity.account import Account  # noqa: PLC0415
    from tests.support import people  # noqa: PLC0415

    account = db.session.query(Account).where(Account.credits_nanos > 0).order_by(Account.id).first()
    assert account is not None
    return people.actor(account), people.api_key(account)


def milliseconds(step: Callable[[], None], times: int = TIMES) -> float:
    """The median of many."""
    for _ in range(min(10, times)):
        step()
    seen = []
    for _ in range(times):
        began = time.perf_counter()
        step()
        seen.append((time.perf_counter() - began) * 1000)
    return median(seen)


def check_plans(history: History) -> None:
    """AssertionError where a statement on the path of a message reads all calls."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    history.opens()
    history.balance()
    event.remove(Engine, "before_cursor_execute", note)
    for statement, parameters in sent:
        try:
            plan = db.session.connection().exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()
        except SQLAlchemyError as error:
            raise AssertionError(f"no plan of {statement}") from error
        assert "Seq Scan on usages" not in "\n".join(plan), f"{statement}\n{plan}"
    db.session.rollback()


def main() -> None:
    from wsgi import app  # noqa: PLC0415 - only where the process is Tollgate's

    with app.app_context():
        history = History(app)
        results = {"the gate, reserve + settle": milliseconds(history.opens)}
        results["the balance page"] = milliseconds(history.balance)
        results["the usage page"] = milliseconds(history.page("/billing/usage"), PAGES)
        results["the overview"] = milliseconds(history.page("/admin/"), PAGES)
        results["the audit of 4,000 calls"] = milliseconds(history.audit, AUDITS)
        check_plans(history)
        history.impoverish(RICH)
        results["the gate, refused"] = milliseconds(history.refuses)
        history.impoverish(-RICH)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
