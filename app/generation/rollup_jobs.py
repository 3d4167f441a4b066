"""Jobs of the back office of the clock."""

from app.extensions import db
from app.models.base import utcnow
from app.models.metering.usage_rollup import add_up


def add_up_calls() -> None:
    """Add up the calls that have ended, so that no page need read them all."""
    add_up(utcnow())
    db.session.commit()
