"""When a price row holds, by the clock of one zone, and at which tier a vendor serves. Pure. billing-rules.md 3."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

ORDINARY = ""
ORDINARY_WORDS = frozenset({"", "auto", "default", "on_demand", "standard", "standard_only"})
"""What vendors call the tier that their price list is about."""

WHOLE_DAY = 1440
EVERY_DAY = "1234567"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Schedule:
    """`weekdays` are ISO digits (1 is Monday), `excepted_dates` ISO dates with spaces between; all in `zone`."""

    from_minute: int = 0
    until_minute: int = WHOLE_DAY
    weekdays: str = EVERY_DAY
    excepted_dates: str = ""
    zone: str = "UTC"

    @property
    def is_always(self) -> bool:
        whole = self.from_minute == 0 and self.until_minute == WHOLE_DAY
        return whole and self.weekdays == EVERY_DAY and not self.excepted_dates

    @property
    def breadth(self) -> tuple[int, int, int]:
        """The narrower of two schedules has the lower one."""
        return self.until_minute - self.from_minute, len(self.weekdays), -len(self.excepted_dates)

    def covers(self, at: datetime) -> bool:
        local = at.astimezone(zone_named(self.zone))
        minute = local.hour * 60 + local.minute
        is_in_hours = self.from_minute <= minute < self.until_minute
        is_on_day = str(local.isoweekday()) in self.weekdays
        return is_in_hours and is_on_day and local.date() not in dates_in(self.excepted_dates)


class Scheduled(Protocol):
    """A price from a moment on, at the times of its schedule, of one service tier."""

    @property
    def effective_from(self) -> datetime: ...
    @property
    def schedule(self) -> Schedule: ...
    @property
    def tier(self) -> str: ...


P = TypeVar("P", bound=Scheduled)


def in_force(prices: Iterable[P], at: datetime, tier: str = ORDINARY) -> P | None:
    """Of the prices that hold at that moment the latest, of these the narrowest.

    Those of that service tier come first; where there are none the ordinary ones hold.
    """
    holding = [price for price in prices if price.effective_from <= at and price.schedule.covers(at)]
    of_tier = [price for price in holding if price.tier == tier]
    served = of_tier or [price for price in holding if price.tier == ORDINARY]
    return min(served, key=lambda p: (-p.effective_from.timestamp(), p.schedule.breadth), default=None)


@cache
def zone_named(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@cache
def dates_in(text: str) -> frozenset[date]:
    return frozenset(date.fromisoformat(day) for day in text.split())


def price_tier(word: str | None) -> str:
    """The tier that a vendor's word stands for: empty for the ordinary one."""
    said = (word or "").strip().lower()
    return ORDINARY if said in ORDINARY_WORDS else said
