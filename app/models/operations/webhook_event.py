"""Stored Stripe events, and which of two syncs of one object is newer."""

from datetime import datetime, timedelta
from typing import Any, Self

from sqlalchemy import Table, bindparam, or_, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from app.db.compiled_statement import CompiledStatement, StatementConnection
from app.db.types import BigId
from app.extensions import db
from app.models.base import INSERTS, Model, ModelBase, insert_once, one_of, partial_index, utcnow
from app.models.operations.retries import Retries

OPEN = text("state = 'received'")
LEASE = timedelta(seconds=10)
RETRIES = Retries(16, LEASE, steady=4, longest=timedelta(hours=1))
"""A worker that dies costs an event seconds, and so do three that die one after another; given up after five hours."""


class StripeEvent(Model):
    """A webhook that was stored: a signal to look, never data, so of its body only ids are kept.

    state: received -> done | parked (a mismatch that a person looks at) | failed (after many attempts).
    """

    __tablename__ = "stripe_events"
    __table_args__ = (
        one_of("state", "received", "done", "parked", "failed"),
        partial_index("ix_stripe_events_open", "next_try_at", where=OPEN),
    )

    stripe_id: Mapped[str] = mapped_column(unique=True)
    type: Mapped[str] = mapped_column(index=True)
    about: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(default="received")
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(default="")
    next_try_at: Mapped[datetime] = mapped_column(default=utcnow)
    processed_at: Mapped[datetime | None]
    account_id: Mapped[int | None] = mapped_column(BigId, index=True)

    @classmethod
    def store(
        cls, stripe_id: str, kind: str, about: dict[str, str], connection: StatementConnection | None = None
    ) -> tuple[int, bool]:
        """Keep an event, once; its id, and whether there is something left to do for it.

        In the session's transaction, where no `connection` is given.
        """
        now = utcnow()
        row = {"stripe_id": stripe_id, "type": kind, "about": about, "created_at": now}
        row |= {"state": "received", "attempts": 0, "error": "", "next_try_at": now}
        connection = connection or db.session.connection()
        if stored := STORE[connection.dialect.name].first(connection, row):
            return stored[0], True
        event_id, state = KNOWN.one(connection, {"stripe_id": stripe_id})
        return event_id, state == "received"

    @classmethod
    def next_due(cls, at: datetime) -> int | None:
        """The open event whose attempt has been due for longest; none that somebody claims at this moment."""
        waiting = cls.state == "received", RETRIES.is_due(cls.next_try_at, cls.attempts, at)
        oldest = select(cls.id).where(*waiting).order_by(cls.next_try_at, cls.id).limit(1)
        return db.session.scalar(oldest.with_for_update(skip_locked=True))

    @classmethod
    def claim(cls, event_id: int, at: datetime) -> Self | None:
        """Count an attempt at an open event before it is made, so that one which kills its worker is noticed."""
        event = db.session.get(cls, event_id, populate_existing=True)
        if event is None or event.state != "received":
            return None
        event.attempts += 1
        event.next_try_at = at + RETRIES.pause(event.attempts)
        if event.attempts > RETRIES.most:
            event.state, event.error = "failed", event.error or "its worker died at each attempt"
            return None
        return event

    @classmethod
    def is_parked_about(cls, stripe_id: str) -> bool:
        """Whether an event about that object of Stripe's waits for a person."""
        parked = select(cls.id).where(cls.state == "parked", cls.about["id"].as_string() == stripe_id)
        return db.session.scalar(parked.limit(1)) is not None

    def finish(self, account_id: int | None = None) -> None:
        self.state, self.error, self.processed_at = "done", "", utcnow()
        self.account_id = account_id or self.account_id

    def park(self, why: str) -> None:
        """A mismatch: nothing was credited; a person has to look."""
        self.state, self.error, self.processed_at = "parked", why[:1000], utcnow()

    def fail(self, why: str) -> None:
        """Tried again later; at last given up and shown."""
        self.error = why[:1000]
        if self.attempts >= RETRIES.most:
            self.state = "failed"

    def reopen(self) -> None:
        """Process again: applying twice is safe."""
        self.state, self.attempts, self.next_try_at = "received", 0, utcnow()


EVENTS: Table = StripeEvent.__table__  # type: ignore[assignment]
STORE = {
    name: CompiledStatement(insert(EVENTS).on_conflict_do_nothing().returning(EVENTS.c.id))
    for name, insert in INSERTS.items()
}
KNOWN = CompiledStatement(select(EVENTS.c.id, EVENTS.c.state).where(EVENTS.c.stripe_id == bindparam("stripe_id")))


class SyncVersion(ModelBase):
    """Looks at one thing of Stripe's, in the order in which they began.

    Each look takes a version before it fetches; what it saw is applied only where no look that began
    later has been applied before. So no lock is held while Stripe is asked, and still no older answer
    wins: an answer that is left out began earlier, and all that it could tell the later one saw too.
    """

    __tablename__ = "sync_versions"

    stripe_id: Mapped[str] = mapped_column(primary_key=True)
    begun: Mapped[int] = mapped_column(default=0)
    applied: Mapped[int] = mapped_column(default=0)

    @classmethod
    def begin(cls, stripe_id: str) -> int:
        """A version, higher than all before. The caller commits before it fetches."""
        raised = update(cls).where(cls.stripe_id == stripe_id).values(begun=cls.begun + 1).returning(cls.begun)
        db.session.execute(insert_once(cls).values(stripe_id=stripe_id, begun=0, applied=0))
        return db.session.scalars(raised).one()

    @classmethod
    def is_newest(cls, stripe_id: str, version: int) -> bool:
        """Whether nothing newer has been applied; if so, this one counts as applied from now on."""
        newer = update(cls).where(cls.stripe_id == stripe_id, cls.applied < version).values(applied=version)
        return db.session.scalar(newer.returning(cls.applied)) is not None


def stuck(at: datetime) -> int:
    """How many events wait for longer than 90 seconds or were given up."""
    late = StripeEvent.created_at < at - timedelta(seconds=90)
    open_or_failed = or_(StripeEvent.state == "failed", (StripeEvent.state == "received") & late)
    return db.session.query(StripeEvent).where(open_or_failed).count()
