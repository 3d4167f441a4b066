"""BENCH 6: webhooks stored per second against a bare route, how soon they are applied, and 10,000 of them shuffled."""

import json
import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from bench.environment import PROJECT, Stage, stage
from bench.metrics import Measure, either, ratio_of
from devserver.ports import free_port
from tests.support.environment import process_environment
from tests.support.running_app import RunningApp, await_that

SECRET = "whsec_bench"  # noqa: S105
ROUNDS, STORED, AT_ONCE = either(5, 3), either(2000, 500), 16
SHUFFLED = either(10_000, 1_000)
STEADY, PER_SECOND = either(400, 100), 10
PATIENCE = 1800


def measured() -> list[Measure]:
    with stage() as running:
        app = started(running)
        bodies = paid_for(running, app)
        rates = stored(running, app)
        app.start("worker")
        finished(running)
        steady, shuffled = bodies[:STEADY], bodies[STEADY : STEADY + SHUFFLED]
        deliver(running, app.port, steady, at_once=4, per_second=PER_SECOND)
        finished(running)
        soon = applied_within(running, [json.loads(body)["id"] for body in steady])
        random.shuffle(shuffled)
        deliver(running, app.port, [*shuffled, *bodies[STEADY + SHUFFLED :]], at_once=AT_ONCE)
        finished(running)
        results = json.loads(app.run("python", "-m", "bench.purchases", "check").splitlines()[-1])
    wrong, name = sum(results.values()), "webhooks stored, against a bare route that verifies and inserts"
    return [
        ratio_of(6, name, "/s", *rates, target=0.5, is_most=False),
        Measure(6, f"webhooks stored to applied, {PER_SECOND} a second: p99", f"{soon:,.0f} ms", "", soon, 2000),
        Measure(
            6,
            f"{SHUFFLED:,} events shuffled: lost, twice, not explained or not done",
            f"{wrong}",
            "",
            wrong,
            0,
        ),
    ]


def started(running: Stage) -> RunningApp:
    """The web process of an app with a Stripe of its own, migrated and seeded."""
    port = free_port()
    running.start([sys.executable, "-m", "sandbox", "--port", str(port)], port)
    keys = {"STRIPE_SECRET_KEY": "sk_test_bench", "STRIPE_WEBHOOK_SECRET": SECRET}
    own = running.environment | keys | {"STRIPE_API_BASE": f"http://127.0.0.1:{port}"}
    app = RunningApp(own, folder=running.folder, names=("web",))
    app.run("flask", "db", "upgrade")
    app.run("flask", "seed")
    running.running.enter_context(app)
    return app


def paid_for(running: Stage, app: RunningApp) -> list[bytes]:
    """Events of purchases that were paid at Stripe's, and of which nobody has told the app."""
    file = running.folder / "events"
    app.run("python", "-m", "bench.purchases", "make", str(STEADY + SHUFFLED), str(file))
    return file.read_bytes().splitlines()


def stored(running: Stage, app: RunningApp) -> tuple[float, float]:
    """Events per second of types that are only stored, ours and the bare route's; no worker runs."""
    bare = bare_route(running)
    ours, theirs = [], []
    for number in range(ROUNDS):
        bodies = [noted(f"evt_{number}_{index}") for index in range(STORED)]
        ours.append(STORED / deliver(running, app.port, bodies, at_once=AT_ONCE))
        theirs.append(STORED / deliver(running, bare, bodies, at_once=AT_ONCE))
    return median(ours), median(theirs)


def noted(stripe_id: str) -> bytes:
    """A notice that nothing follows of, of a usual size."""
    about = {"id": "pi_1", "object": "payment_intent", "customer": "cus_1", "description": "x" * 2000}
    event = {"id": stripe_id, "object": "event", "type": "payment_intent.created", "livemode": False}
    return json.dumps(event | {"data": {"object": about}}).encode()


def bare_route(running: Stage) -> int:
    """The port of the bare route, under the same gunicorn."""
    port = free_port()
    options = ["--worker-class", "gthread", "--threads", "264", "--bind", f"127.0.0.1:{port}"]
    command = [sys.executable, "-m", "gunicorn", "-c", "/dev/null", *options, "bench.baseline_webhooks:app"]
    url = running.postgres.url("bench")
    running.start(command, port, BARE_DATABASE_URL=url, STRIPE_WEBHOOK_SECRET=SECRET)
    return port


def deliver(running: Stage, port: int, bodies: Iterable[bytes], *, at_once: int, per_second: float = 0) -> float:
    """Deliver each once from a process of its own; how many seconds that took. Fails where one was refused."""
    file: Path = running.folder / "deliveries"
    file.write_bytes(b"\n".join(bodies))
    command = [sys.executable, "-m", "bench.deliveries", str(file), str(port), SECRET, str(at_once)]
    done = subprocess.run(
        [*command, str(per_second)], cwd=PROJECT, env=process_environment({}), capture_output=True, check=True
    )
    results: dict[str, Any] = json.loads(done.stdout)
    if results["refused"]:
        raise RuntimeError(f"{results['refused']} webhooks were refused")
    return float(results["seconds"])


def finished(running: Stage) -> None:
    """Until no event waits any more."""
    waiting = "SELECT count(*) FROM stripe_events WHERE state = 'received'"
    await_that(lambda: int(str(running.postgres.execute(waiting, database="bench")[0][0])) == 0, PATIENCE)


def applied_within(running: Stage, ids: list[str]) -> float:
    """Milliseconds from stored to applied of all but one per cent of these events."""
    names = ", ".join(f"'{stripe_id}'" for stripe_id in ids)
    quantile = "percentile_cont(0.99) WITHIN GROUP (ORDER BY processed_at - created_at)"
    query = f"SELECT extract(epoch FROM {quantile}) * 1000 FROM stripe_events WHERE stripe_id IN ({names})"
    return float(str(running.postgres.execute(query, database="bench")[0][0]))
