"""Jobs of the back office that the clock rings for."""

from app.admin.figures import close_days
from app.models.base import utcnow


def close_days_that_are_over() -> None:
    """Add up the calls of the days that are over, so that the overview need not."""
    close_days(utcnow())
