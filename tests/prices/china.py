"""DeepSeek's days by the vendor's words, computed apart from the app: Monday to Friday in Beijing, without holidays."""

from datetime import date, datetime, timedelta, timezone

BEIJING = timezone(timedelta(hours=8))
HOLIDAYS = {
    2026: "1-1 1-2 2-16 2-17 2-18 2-19 2-20 2-23 4-6 5-1 5-4 5-5 6-19 9-25 10-1 10-2 10-5 10-6 10-7",
    2027: "1-1 2-5 2-8 2-9 2-10 4-5 5-3 5-4 6-9 9-15 10-1 10-4 10-5",
}
"""Weekdays off. 2026 as the State Council gave notice; 2027 as the law has them."""

FREE = {date(year, *map(int, day.split("-"))) for year, days in HOLIDAYS.items() for day in days.split()}


def is_free_day(at: datetime) -> bool:
    day = at.astimezone(BEIJING).date()
    return day.isoweekday() > 5 or day in FREE


def is_peak(at: datetime) -> bool:
    """9 to 12 and 14 to 18 o'clock on working days."""
    hour = at.astimezone(BEIJING).hour
    return not is_free_day(at) and (9 <= hour < 12 or 14 <= hour < 18)
