"""Commits, then rings for the jobs that the transaction called for: what is not heard, the sweeper finds."""

from __future__ import annotations

from app.extensions import db
from app.models.operations.webhook_event import Sighting
from app.jobs import enqueue

CALLED_FOR = "jobs called for"


def call_for(name: str, *identifiers: int | str) -> None:
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


def ticket_for(subject: str) -> int:
    """A ticket for a look at that subject of Stripe's; nothing is held while it is fetched."""
    ticket = Sighting.begin(subject)
    commit()
    return ticket
