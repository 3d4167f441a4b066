"""What a member or a key has spent in an account: by the totals of the days, and by the calls not added up yet."""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import BigInteger, bindparam, cast, func, select

from app.db.compiled_statement import CompiledStatement, Row
from app.models.base import at_once
from app.models.catalog.setting import SETTINGS, Setting
from app.models.metering.usage import COUNTED, USAGES
from app.models.metering.usage_rollup import LOOKS, Watermark, start_of

END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)


def read_at_mark(
    statement: CompiledStatement, first: date, watermark: type[Watermark] = Watermark, **whose: Any
) -> Row | None:
    """A row that ends with the watermark, read again where that is another than the statement was given."""
    mark, row = Setting.stored().get(watermark.KEY), None
    with at_once() as connection:
        for _ in range(LOOKS):
            since = max(start_of(first), datetime.fromisoformat(mark) if mark else start_of(first))
            row = statement.first(connection, whose | {"first": first, "since": since, "until": END_OF_TIME})
            if row is None or row[-1] == mark:
                break
            mark = row[-1]  # calls were added up meanwhile, and would count twice
    return row


def in_all(days: Any, column: str, parameter: str, first: str = "first") -> Any:
    """What a member or a key has spent in an account: by the totals, and by the calls that are not added up yet.

    `first` is the parameter of the day from which on it counts.
    Of a range with two ends PostgreSQL expects few rows, whatever the values: a plan made once is a good one then.
    """
    since, until = (bindparam(name, type_=USAGES.c.created_at.type) for name in ("since", "until"))
    past = part_of(days, days.c.paid_nanos, column, parameter, first)
    live = part_of(USAGES, COUNTED, column, parameter, first).where(USAGES.c.created_at.between(since, until))
    return cast(past.scalar_subquery() + live.scalar_subquery(), BigInteger)


def part_of(table: Any, nanos: Any, column: str, parameter: str, first: str) -> Any:
    own = table.c.account_id == bindparam("account"), table.c[column] == bindparam(parameter)
    sums = select(func.coalesce(func.sum(nanos), 0)).where(*own)
    return sums.where(table.c.day >= bindparam(first, type_=table.c.day.type))


def mark_of(watermark: type[Watermark]) -> Any:
    return select(SETTINGS.c.value).where(SETTINGS.c.key == watermark.KEY).scalar_subquery()
