"""What each member of a team may use in a month: a ceiling that the reservation holds. billing-rules.md 5.

Without a limit nothing is summed up. Calls of earlier days count by the totals.
"""

from collections import defaultdict
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import BigInteger, bindparam, case, cast, func, select

from app.db.compiled_statement import CompiledStatement, Row
from app.extensions import db
from app.models.base import at_once
from app.models.catalog.setting import SETTINGS, Setting
from app.models.identity.membership import Membership, extras_on
from app.models.metering.account_state import AccountState
from app.models.metering.spending_limit import SpendingLimit
from app.models.metering.usage import COUNTED, USAGES
from app.models.metering.usage_rollup import LOOKS, AccountDay, Watermark, in_one_look, start_of

MEMBERS: Any = Membership.__table__
DAYS: Any = AccountDay.__table__
END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)


def month_of(day: date) -> date:
    """The first day of its month."""
    return date(day.year, day.month, 1)


def next_month(at: datetime) -> datetime:
    """When the month (UTC) of this moment is over."""
    years, month = divmod(at.month, 12)
    return datetime(at.year + years, month + 1, 1, tzinfo=at.tzinfo)


def member_limit(account_state: AccountState, user_id: int, at: datetime) -> SpendingLimit | None:
    """A member's own limit of the month, with what was granted above it; None without one."""
    if account_state.kind != "team":
        return None
    row = read_at_mark(LIMITED, month_of(at.date()), account=account_state.account_id, user=user_id)
    limit, extras, used, _mark = row or NO_MEMBER
    if limit is None:
        return None
    limit += sum(nanos for nanos, _until in extras_on(extras, at.date()))
    about: Any = {
        "details": {"way_out": "members"},
        "counts": {"account_id": account_state.account_id, "user_id": user_id},
    }
    return SpendingLimit("member_limit_reached", limit, int(used), next_month(at), yields_to_balance=True, **about)


def spent_by(account_id: int, user_id: int, first: date) -> int:
    """What the calls of a person in an account that began on that day or later cost; running ones as reserved."""
    row = read_at_mark(SPENT, first, account=account_id, user=user_id)
    return int(row[0]) if row else 0


def read_at_mark(
    statement: CompiledStatement, first: date, watermark: type[Watermark] = Watermark, **whose: int | None
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


@in_one_look
def spent_by_members(since: datetime, account_id: int, first: date) -> dict[int, int]:
    """The same of each member, for a page; `since` is the watermark."""
    spent: dict[int, int] = defaultdict(int)
    lately = (USAGES.c.created_at >= max(since, start_of(first))) & (USAGES.c.day >= first)
    for table, nanos, which in ((DAYS, DAYS.c.paid_nanos, DAYS.c.day >= first), (USAGES, COUNTED, lately)):
        rows = select(table.c.user_id, func.sum(nanos)).where(table.c.account_id == account_id, which)
        for user_id, amount in db.session.execute(rows.group_by(table.c.user_id)):
            spent[user_id] += int(amount)
    return spent


NO_MEMBER = (None, (), 0, None)
THIS = MEMBERS.c.account_id == bindparam("account"), MEMBERS.c.user_id == bindparam("user")
LIMITS = MEMBERS.c.monthly_limit_nanos, MEMBERS.c.extras


def in_all(days: Any, column: str, parameter: str) -> Any:
    """What a member or a key has spent in an account: by the totals, and by the calls that are not added up yet.

    Of a range with two ends PostgreSQL expects few rows, whatever the values: a plan made once is a good one then.
    """
    since, until = (bindparam(name, type_=USAGES.c.created_at.type) for name in ("since", "until"))
    past = part_of(days, days.c.paid_nanos, column, parameter)
    live = part_of(USAGES, COUNTED, column, parameter).where(USAGES.c.created_at.between(since, until))
    return cast(past.scalar_subquery() + live.scalar_subquery(), BigInteger)


def part_of(table: Any, nanos: Any, column: str, parameter: str) -> Any:
    own = table.c.account_id == bindparam("account"), table.c[column] == bindparam(parameter)
    sums = select(func.coalesce(func.sum(nanos), 0)).where(*own)
    return sums.where(table.c.day >= bindparam("first", type_=table.c.day.type))


def mark_of(watermark: type[Watermark]) -> Any:
    return select(SETTINGS.c.value).where(SETTINGS.c.key == watermark.KEY).scalar_subquery()


IN_ALL, MARK = in_all(DAYS, "user_id", "user"), mark_of(Watermark)
SPENT = CompiledStatement(select(IN_ALL, MARK))
IF_LIMITED = case((MEMBERS.c.monthly_limit_nanos.is_not(None), IN_ALL), else_=0)
LIMITED = CompiledStatement(select(*LIMITS, IF_LIMITED, MARK).where(*THIS))
