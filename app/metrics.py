"""/metrics: the figures that a Prometheus watches, the same from whichever process it asks."""

import hmac
from collections.abc import Iterator, Mapping

import redis
from flask import Blueprint, Flask, Response, current_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from rq import Worker
from rq.registry import FailedJobRegistry, StartedJobRegistry
from sqlalchemy import func, select, text

from app.admin.access import admit, awaits_second_factor
from app.extensions import db
from app.jobs import last_runs, queue
from app.models.billing.call_audit import CallAudit
from app.models.metering.usage import Usage
from app.models.metering.usage_rollup import start_of
from app.models.operations.webhook_event import StripeEvent
from app.observability.counters import LADDER, sums
from app.payments.sweeper import lost_calls
from app.web.access import NotSignedIn, public, sent_token

metrics = Blueprint("metrics", __name__)
CLOSED = "Send `Authorization: Bearer <METRICS_TOKEN>`, or sign in as an admin."
COUNTERS = {
    "calls": ("calls", "Calls to models that ended, by how.", ("model", "outcome")),
    "tokens": ("tokens", "Tokens of the calls that ended.", ("model", "bucket")),
    "pieces": ("pieces", "Images and searches of the calls that ended.", ("model", "kind")),
    "cost": ("provider_cost_nanos", "What the providers took, in nano-dollars.", ("model",)),
    "absorbed": ("absorbed_cost_nanos", "What of it no user paid, in nano-dollars.", ("model",)),
    "problems": ("refusals", "Requests answered with a problem, by its code.", ("code",)),
}
"""Meter in Redis -> name, help and labels of the counter."""

SESSIONS = text(
    "SELECT coalesce(state, 'other'), count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() GROUP BY 1 ORDER BY 1"
)
MOST_SESSIONS = text("SELECT current_setting('max_connections')::int")


def init_app(app: Flask) -> None:
    app.register_blueprint(metrics)


@metrics.get("/metrics")
@public
def show() -> Response:
    """For whoever has the token, and for admins; outside production for everybody where no token is set."""
    check_reader()
    return Response(generate_latest(Figures()), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def check_reader() -> None:
    token = current_app.config["METRICS_TOKEN"]
    if token and hmac.compare_digest(sent_token().encode(), token.encode()):
        return
    if not token and current_app.config["APP_ENV"] != "production":
        return
    try:
        admit()
    except NotSignedIn:
        raise NotSignedIn(CLOSED) from None
    if awaits_second_factor():
        raise NotSignedIn("Show your second factor in the admin first.")


class Figures(Collector):
    """All figures, read as they are asked for."""

    def collect(self) -> Iterator[Metric]:
        yield from reservations()
        yield from events()
        yield from sessions()
        yield from call_audit()
        try:
            totals = [*counted(), *queued()]
        except redis.RedisError:
            totals = []
        yield gauge("redis_up", "Whether Redis answers.", int(bool(totals)))
        yield from totals


def gauge(name: str, help_text: str, value: float | None) -> GaugeMetricFamily:
    """A gauge of one value; named without a value where there is none."""
    family = GaugeMetricFamily(f"tollgate_{name}", help_text)
    if value is not None:
        family.add_metric([], value)
    return family


def gauges(name: str, help_text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"tollgate_{name}", help_text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def reservations() -> Iterator[Metric]:
    """The calls that run: by a partial index, so that it does not matter how many there have been."""
    held = func.coalesce(func.sum(Usage.reserved_nanos), 0)
    count, nanos = db.session.execute(select(func.count(), held).where(Usage.state == "running")).one()
    overdue = len(lost_calls())
    yield gauge("reservations_open", "Calls that run.", count)
    yield gauge("reservations_open_nanos", "What they hold of balances, in nano-dollars.", int(nanos))
    yield gauge("reservations_overdue", "Those whose lease has run out: the sweeper's work.", overdue)


def events() -> Iterator[Metric]:
    waiting = select(func.count(), func.min(StripeEvent.created_at)).where(StripeEvent.state == "received")
    count, oldest = db.session.execute(waiting).one()
    unsolved = select(StripeEvent.state, func.count()).where(StripeEvent.state.in_(("parked", "failed")))
    states = {"received": count, "parked": 0, "failed": 0}
    states |= dict(db.session.execute(unsolved.group_by(StripeEvent.state)).all())
    yield gauges("stripe_events", "Events of Stripe's that are not done, by state.", "state", states)
    help_text = "When the oldest event came that waits to be processed."
    yield gauge("stripe_event_oldest_timestamp_seconds", help_text, oldest.timestamp() if oldest else None)


def sessions() -> Iterator[Metric]:
    """Connections as PostgreSQL counts them, all processes together; SQLite has none."""
    is_server = db.engine.dialect.name == "postgresql"
    states: dict[str, int] = dict(db.session.execute(SESSIONS).all()) if is_server else {}
    most = db.session.scalar(MOST_SESSIONS) if is_server else None
    yield gauges("database_connections", "Connections to the database, by state.", "state", states)
    yield gauge("database_connections_limit", "How many the database allows.", most)


def call_audit() -> Iterator[Metric]:
    """What the nightly audit of calls came to; no value before the first."""
    last = CallAudit.last()
    ended = start_of(last.day).timestamp() if last else None
    differing = "What of them their buckets and prices do not explain."
    yield gauge("call_audit_day_timestamp_seconds", "The day whose calls were audited last.", ended)
    yield gauge("call_audit_calls", "The calls of that day.", last.calls if last else None)
    yield gauge("call_audit_differences", differing, last.differing if last else None)


def counted() -> list[Metric]:
    """What all processes have counted. A Redis that was emptied begins at 0, as a process does that restarts."""
    totals = sums()
    families: dict[str, CounterMetricFamily] = {
        meter: CounterMetricFamily(f"tollgate_{name}", help_text, labels=labels)
        for meter, (name, help_text, labels) in COUNTERS.items()
    }
    for (meter, *labels), amount in sorted(totals.items()):
        if meter in families:
            families[meter].add_metric(labels, amount)
    return [*families.values(), first_tokens(totals)]


def first_tokens(totals: dict[tuple[str, ...], int]) -> Metric:
    """How long the first tokens took from the request on, by model."""
    family = HistogramMetricFamily(
        "tollgate_first_token_seconds", "From a question to the first token of its answer.", labels=["model"]
    )
    for model in sorted({name for meter, name, *_ in totals if meter == "first_token"}):
        count, steps = 0, []
        for end in LADDER:
            count += totals.get(("first_token", model, str(end)), 0)
            steps.append((written(end), count))
        family.add_metric([model], steps, totals.get(("first_token_ms", model), 0) / 1000)
    return family


def written(end: float) -> str:
    return "+Inf" if end == float("inf") else str(end)


def queued() -> list[Metric]:
    jobs = queue()
    states = {
        "waiting": jobs.count,
        "running": StartedJobRegistry(queue=jobs).get_job_count(cleanup=False),
        "failed": FailedJobRegistry(queue=jobs).get_job_count(cleanup=False),
    }
    runs = {name: moment.timestamp() for name, moment in sorted(last_runs().items())}
    help_text = "When each job last ran to its end, and when the clock last enqueued one."
    return [
        gauges("queue_jobs", "Jobs of the queue, by state.", "state", states),
        gauge("workers", "Workers that are signed on.", len(Worker.all(queue=jobs))),
        gauges("last_run_timestamp_seconds", help_text, "job", runs),
    ]
