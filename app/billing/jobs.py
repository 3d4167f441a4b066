"""Jobs that RQ runs for billing: a few lines each, repeatable, found again by the sweeper if they are lost."""

from app.billing import sweeping


def sweep() -> int:
    return sweeping.sweep()
