"""The order of syncs: each takes a version before it fetches, and only the newest is applied (`SyncVersion`)."""

from __future__ import annotations

from app.jobs import commit
from app.models.operations.webhook_event import SyncVersion


def begin_sync(subject: str) -> int:
    """A version for a sync of that subject of Stripe's; nothing is held while it is fetched."""
    version = SyncVersion.begin(subject)
    commit()
    return version
