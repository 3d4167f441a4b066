"""Jobs of the back office that the clock rings for."""

from app.admin.figures import add_up
from app.models.base import utcnow


def add_up_calls() -> None:
    """Add up the calls that have ended, so that no page need read them all."""
    add_up(utcnow())
