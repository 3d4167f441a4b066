"""What the database refused, in words and at the field that it is about."""

from __future__ import annotations

import re

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

RULES = {
    "surcharge_within_price": ("surcharge_cents", "The surcharge is more than the price."),
    "margin_in_range": ("margin_bps", "A margin is at least 0 % and less than 100 %."),
    "parallel_calls_positive": ("parallel_calls", "At least one call at a time."),
    "default_is_free": (
        "status",
        "The default plan is free and active: make another plan the default first.",
    ),
    "one_default": (None, "There is one default plan already."),
    "price_positive": ("price_cents", "A pack has a price."),
    "sizes_positive": ("context_window", "Sizes are more than 0."),
    "hours_of_a_day": ("from_minute", "Minutes of a day lie between 0 and 1,440."),
    "uq_model_prices": ("effective_from", "There is a price of this model from that moment already."),
}
NEGATIVE = re.compile(r"ck_[a-z]+_(\w+)_not_negative")
TAKEN = re.compile(r"UNIQUE constraint failed: \w+\.(\w+)|Key \(\"?(\w+)")
UNKNOWN = "The database refused this: it contradicts what is stored. Nothing was changed."
CHANGED = "Somebody else changed this meanwhile. Look at it again; nothing was changed."


def explain(error: IntegrityError | StaleDataError) -> tuple[str | None, str]:
    """The field (None: the whole form) and the words."""
    if isinstance(error, StaleDataError):
        return None, CHANGED
    said = str(error.orig)
    for name, rule in RULES.items():
        if name in said:
            return rule
    if negative := NEGATIVE.search(said):
        return negative[1], "This cannot be negative."
    if "UNIQUE" in said or "unique" in said:
        column = TAKEN.search(said)
        return (column[1] or column[2]) if column else None, "This is taken already."
    return None, UNKNOWN
