"""Commits, then enqueues the jobs that the transaction asked for; what is lost, the sweeper finds."""

from __future__ import annotations

from app.extensions import db
from app.jobs import enqueue
from app.models.operations.webhook_event import SyncVersion

CALLED_FOR = "jobs called for"


def enqueue_after_commit(name: str, *identifiers: int | str) -> None:
    """Have a job of `app.payments.jobs` run once the running transaction is committed."""
    waiting = db.session().info.setdefault(CALLED_FOR, [])
    if (name, identifiers) not in waiting:
        waiting.append((name, identifiers))


def commit() -> None:
    db.session.commit()
    for name, identifiers in db.session().info.pop(CALLED_FOR, []):
        enqueue(f"app.payments.jobs.{name}", *identifiers)


def rollback() -> None:
    db.session.rollback()
    db.session().info.pop(CALLED_FOR, None)


def begin_sync(subject: str) -> int:
    """A version for a sync of that subject of Stripe's; nothing is held while it is fetched."""
    version = SyncVersion.begin(subject)
    commit()
    return version
