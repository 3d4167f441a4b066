"""The figures of the overview: from the totals, and the newest calls from themselves."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select, union_all

from app.admin.cell_formats import sold_title
from app.admin.form_fields import in_our_years
from app.extensions import db
from app.models.billing.refund import revenue_between
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import Plan
from app.models.catalog.worth import in_cents
from app.models.identity.account import Account
from app.models.metering.usage import Usage
from app.models.metering.usage_kinds import kind_title
from app.models.metering.usage_rollup import (
    AccountDay,
    DailyTotal,
    DayRange,
    accounts_of,
    begun_since,
    in_one_look,
    totals_of,
)

LONGEST = 366
NAMES = ("calls", "input_tokens", "output_tokens", "cost_nanos", "paid_nanos", "absorbed_nanos")


@dataclass(frozen=True, slots=True)
class Range(DayRange):
    """The days of a report."""

    @classmethod
    def typed(cls, first: str | None, last: str | None, today: date) -> "Range":
        """The range of the address; the last 30 days where it cannot be read."""
        end = min(day_of(last) or today, today)
        begin = min(day_of(first) or end - timedelta(days=29), end)
        return cls(max(begin, end - timedelta(days=LONGEST - 1)), end)

    def covers(self, day: Any) -> Any:
        return (day >= self.first) & (day <= self.last)

    def holds(self, column: Any) -> Any:
        return (column >= self.begins) & (column < self.ends)


def day_of(typed: str | None) -> date | None:
    try:
        return in_our_years(date.fromisoformat(typed or ""))
    except ValueError:
        return None


@dataclass(slots=True)
class Day:
    """One day of the business. Money in cents, use in nanos."""

    day: date
    revenue_cents: int = 0
    calls: int = 0
    cost_nanos: int = 0
    paid_nanos: int = 0
    absorbed_nanos: int = 0
    house_nanos: int = 0
    accounts: int = 0
    new: int = 0
    lost: int = 0

    @property
    def left_cents(self) -> int:
        """Revenue less what the providers cost."""
        return self.revenue_cents - in_cents(self.cost_nanos)


@dataclass(slots=True)
class Books:
    """A range of days, and the use in it by model, operation, kind and plan's id: {which: {figure: sum}}."""

    within: Range
    days: list[Day]
    by: dict[str, dict[Any, dict[str, int]]] = field(default_factory=dict)

    def sum(self, name: str) -> int:
        return sum(getattr(day, name) for day in self.days)


@in_one_look
def books_of(since: datetime, within: Range) -> Books:
    days = {day: Day(day) for day in within.days}
    books = Books(within, list(days.values()), {"model": {}, "operation": {}, "kind": {}, "plan": {}})
    for row in usage_rows(since, within):
        add_use(days[row.day], books, row)
    rows = account_rows(since, within)
    by_day = {
        "accounts": select(rows.c.day, func.count(rows.c.account_id.distinct())).group_by(rows.c.day),
        "house_nanos": house_cost(since, within),
        "revenue_cents": revenue(within),
    }
    for name, query in by_day.items():
        for moment, amount in db.session.execute(query):
            add(days, moment, name, int(amount))
    add_subscriptions(days, within)
    return books


def plan_titles() -> dict[int, str]:
    """What each plan is called, in the order of the pricing page; no two alike."""
    rows = db.session.execute(select(Plan.id, Plan.name, Plan.status).order_by(Plan.position, Plan.id))
    return {row.id: sold_title(row) for row in rows}


def usage_rows(since: datetime, within: Range) -> Iterator[Any]:
    """Rows of `DailyTotal`; `since` is the watermark, here as below."""
    yield from db.session.scalars(select(DailyTotal).where(within.covers(DailyTotal.day)))
    yield from db.session.execute(totals_of(newest_calls(since, within)))


def newest_calls(since: datetime, within: Range) -> Any:
    return within.covers(Usage.day) & begun_since(since)


def add_use(day: Day, books: Books, row: Any) -> None:
    day.calls += int(row.calls)
    day.cost_nanos += int(row.cost_nanos)
    day.paid_nanos += int(row.paid_nanos)
    day.absorbed_nanos += int(row.absorbed_nanos)
    groups = {
        "model": row.model,
        "operation": row.operation,
        "kind": kind_title(row.operation),
        "plan": row.plan_id,
    }
    for kind, name in groups.items():
        sums = books.by[kind].setdefault(name, dict.fromkeys(NAMES, 0))
        for figure in NAMES:
            sums[figure] += int(getattr(row, figure))


def account_rows(since: datetime, within: Range) -> Any:
    """(day, account_id, cost_nanos, absorbed_nanos) of every account and day in the range, as a subquery."""
    names = "day", "account_id", "cost_nanos", "absorbed_nanos"
    totals = select(*(getattr(AccountDay, name) for name in names)).where(within.covers(AccountDay.day))
    live = accounts_of(newest_calls(since, within)).subquery()
    return union_all(totals, select(*(live.c[name] for name in names))).subquery("account_rows")


def house_cost(since: datetime, within: Range) -> Select[Any]:
    """What guests cost: it is ours, and within the provider cost."""
    rows = account_rows(since, within)
    houses = select(Account.id).where(Account.kind == "house")
    return select(rows.c.day, rows.c.cost_nanos).where(rows.c.account_id.in_(houses))


def revenue(within: Range) -> Select[Any]:
    """Moments and cents of what came in and what was paid back."""
    moved = revenue_between(within.begins, within.ends)
    return select(moved.c.at, moved.c.cents)


def add(days: dict[date, Day], moment: Any, name: str, amount: int) -> None:
    day = days.get(moment.date() if isinstance(moment, datetime) else moment)
    if day is not None:
        setattr(day, name, getattr(day, name) + amount)


def add_subscriptions(days: dict[date, Day], within: Range) -> None:
    begun = select(Subscription.created_at).where(
        within.holds(Subscription.created_at),
        Subscription.stripe_id.is_not(None),
        Subscription.rejected_at.is_(None),
    )
    ended = select(Subscription.ended_at).where(within.holds(Subscription.ended_at), Subscription.rejected_at.is_(None))
    for name, query in (("new", begun), ("lost", ended)):
        for moment in db.session.scalars(query):
            add(days, moment, name, 1)
