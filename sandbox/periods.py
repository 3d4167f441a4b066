"""Billing periods: where the next one ends, counted from the anchor so that 31 Jan -> 28 Feb -> 31 Mar."""

import calendar
from datetime import UTC, datetime, timedelta

from sandbox.store import Thing


def add_months(instant: datetime, months: int) -> datetime:
    index = instant.year * 12 + instant.month - 1 + months
    year, month = divmod(index, 12)
    day = min(instant.day, calendar.monthrange(year, month + 1)[1])
    return instant.replace(year=year, month=month + 1, day=day)


def shifted(anchor: int, recurring: Thing, times: int) -> int:
    begin = datetime.fromtimestamp(anchor, UTC)
    count = recurring["interval_count"] * times
    if recurring["interval"] == "month":
        return int(add_months(begin, count).timestamp())
    if recurring["interval"] == "year":
        return int(add_months(begin, 12 * count).timestamp())
    days = count * {"day": 1, "week": 7}[recurring["interval"]]
    return int((begin + timedelta(days=days)).timestamp())


def period_end(anchor: int, recurring: Thing, start: int) -> int:
    """The first instant on the anchor's grid after `start`."""
    times = 1
    while shifted(anchor, recurring, times) <= start:
        times += 1
    return shifted(anchor, recurring, times)
