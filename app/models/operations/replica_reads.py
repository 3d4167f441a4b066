"""What is read from the replica: reports, exports, usage pages and the lab. Money never is: `at_once` is the primary's.

Without `DATABASE_REPLICA_URL`, or while it is away or far behind, all is read where it is written.
"""

import logging
import time

from flask import g
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from app.db.replica import REPLICA
from app.extensions import db

log = logging.getLogger(__name__)
MOST_SECONDS_BEHIND = 300
PAUSE = 30.0
"""Seconds until a replica that was away is asked again."""

LAG = text(
    "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 0"
    " WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()"
    " AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0"
    " ELSE coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0) END"
)
"""Seconds behind. One that has replayed all that a living connection brought is behind by none, however old that is."""

away_until = 0.0


def replica() -> tuple[Engine, int] | None:
    """The replica and how many seconds it is behind, where it can be read from now."""
    global away_until  # noqa: PLW0603 - this process's own look at it
    engine = db.engines.get(REPLICA)
    if engine is None or time.monotonic() < away_until:
        return None
    try:
        with engine.connect() as connection:
            behind = int(connection.scalar(LAG) or 0)
    except SQLAlchemyError as error:
        log.warning("the replica is away: %s", type(error).__name__)
        behind = MOST_SECONDS_BEHIND + 1
    if behind > MOST_SECONDS_BEHIND:
        away_until = time.monotonic() + PAUSE
        return None
    return engine, behind


def read_from_replica() -> None:
    """From here on this request's session reads from the replica, if it can. It writes nothing anymore.

    What was read before stays as it is, apart from the session.
    """
    if standby := replica():
        db.session.expunge_all()
        db.session.rollback()
        g.replica, g.seconds_behind = standby
