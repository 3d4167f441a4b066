"""Database constraint errors in words, at the field they are about."""

import re

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

RULES = {
    "surcharge_within_price": ("surcharge_cents", "The surcharge can't be more than the price."),
    "margin_in_range": ("margin_bps", "The margin must be at least 0% and below 100%."),
    "parallel_calls_positive": ("parallel_calls", "Allow at least one call at a time."),
    "default_is_free": (
        "status",
        "The default plan must be free and active. Make another plan the default first.",
    ),
    "one_default": (None, "There is already a default plan."),
    "price_positive": ("price_cents", "A pack needs a price."),
    "sizes_positive": ("context_window", "Sizes must be above 0."),
    "hours_of_a_day": ("from_minute", "Use times from 0:00 to 24:00."),
    "uq_model_prices": ("effective_from", "This model already has a price from that moment."),
}
NEGATIVE = re.compile(r"ck_[a-z]+_(\w+)_not_negative")
TAKEN = re.compile(r"UNIQUE constraint failed: \w+\.(\w+)|Key \(\"?(\w+)")
UNKNOWN = "This conflicts with existing data, so nothing was changed."
CHANGED = "Someone else changed this in the meantime. Nothing was changed; check it again."


def explain(error: IntegrityError | StaleDataError) -> tuple[str | None, str]:
    """The field (None: the whole form) and the words."""
    if isinstance(error, StaleDataError):
        return None, CHANGED
    said = str(error.orig)
    for name, rule in RULES.items():
        if name in said:
            return rule
    if negative := NEGATIVE.search(said):
        return negative[1], "This can't be negative."
    if "UNIQUE" in said or "unique" in said:
        column = TAKEN.search(said)
        return (column[1] or column[2]) if column else None, "This is already in use."
    return None, UNKNOWN
