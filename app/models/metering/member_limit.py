"""What each member of a team may use in a month: a ceiling that the reservation holds. billing-rules.md 5.

Without a limit nothing is summed up. Calls of earlier days count by the totals.
"""

from collections import defaultdict
from datetime import date, datetime
from typing import Any

from sqlalchemy import bindparam, case, func, select

from app.db.compiled_statement import CompiledStatement
from app.extensions import db
from app.models.identity.membership import Membership, extras_on
from app.models.metering.account_state import AccountState
from app.models.metering.spending_limit import SpendingLimit
from app.models.metering.spent_so_far import in_all, mark_of, read_at_mark
from app.models.metering.usage import COUNTED, USAGES
from app.models.metering.usage_rollup import AccountDay, Watermark, in_one_look, start_of

MEMBERS: Any = Membership.__table__
DAYS: Any = AccountDay.__table__


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
IN_ALL, MARK = in_all(DAYS, "user_id", "user"), mark_of(Watermark)
SPENT = CompiledStatement(select(IN_ALL, MARK))
IF_LIMITED = case((MEMBERS.c.monthly_limit_nanos.is_not(None), IN_ALL), else_=0)
LIMITED = CompiledStatement(select(*LIMITS, IF_LIMITED, MARK).where(*THIS))
