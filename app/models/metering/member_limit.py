"""What each member of a team uses in a month: checked at the gate, moved by reserve and settle.

Prepared, not ORM, and for teams only: this is on the path of every message. The account is held meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Date,
    Table,
    Update,
    and_,
    bindparam,
    case,
    extract,
    func,
    select,
    update,
)

from app.db.compiled_statement import CompiledStatement
from app.extensions import db
from app.models.base import at_once
from app.models.identity.account import Account
from app.models.identity.membership import Membership
from app.models.metering.account_state import AccountState
from app.models.metering.refusal import Refusal, seconds_until
from app.models.metering.usage import COUNTED, USAGES

MEMBERS: Table = Membership.__table__  # type: ignore[assignment]
ACCOUNTS: Table = Account.__table__  # type: ignore[assignment]


def month_of(day: date) -> date:
    """The first day of its month."""
    return date(day.year, day.month, 1)


def next_month(at: datetime) -> datetime:
    """When the month (UTC) of this moment is over."""
    years, month = divmod(at.month, 12)
    return datetime(at.year + years, month + 1, 1, tzinfo=at.tzinfo)


@dataclass(frozen=True, slots=True)
class MemberUse:
    """What a member of a team may use in a month, and what they have; running calls count as reserved."""

    limit: int | None
    used: int

    @property
    def left(self) -> int | None:
        return None if self.limit is None else max(0, self.limit - self.used)


def member_use(account_state: AccountState, user_id: int, at: datetime) -> MemberUse | None:
    """None where there are no members: outside of teams."""
    if account_state.kind != "team":
        return None
    which = {"account": account_state.account_id, "user": user_id}
    with at_once() as connection:
        limit, extra, until, counted_in, counted = READ.first(connection, which) or NO_MEMBER
    if limit is not None and until is not None and at.date() <= until:
        limit += extra
    return MemberUse(limit, counted if counted_in == month_of(at.date()) else 0)


def spendable(account_state: AccountState, user_id: int, at: datetime) -> int:
    """What is available to this person: of the balance, and of their own limit where a team has set one."""
    available, member = account_state.balance(at).available, member_use(account_state, user_id, at)
    return available if member is None or member.left is None else min(available, member.left)


def check_member(member: MemberUse | None, at: datetime) -> None:
    """The member's own limit of the month: something of it must be left for a call to begin."""
    if member is not None and member.left == 0:
        raise member_limit_reached(member, at)


def member_limit_reached(member: MemberUse, at: datetime, **details: Any) -> Refusal:
    """`details` may be what this call needs, and a cheaper model that would pass."""
    ends = next_month(at)
    details |= {
        "limit": member.limit or 0,
        "used": member.used,
        "left": member.left or 0,
        "way_out": "members",
    }
    return Refusal("member_limit_reached", retry_after=seconds_until(ends, at), resets_at=ends, **details)


def hold_for_member(account_state: AccountState, user_id: int, day: date, ceiling: int) -> None:
    """Count a call that begins with the most that it may cost; a new month begins with nothing used."""
    if account_state.kind == "team":
        which = {"account": account_state.account_id, "user": user_id}
        HOLD.run(db.session.connection(), {**which, "month": month_of(day), "ceiling": ceiling})


def settle_for_member(account_state: AccountState, user_id: int, day: date, difference: int) -> None:
    """Count a call that ends with what it came to, in the month that it began in, if that is still the month."""
    if account_state.kind == "team":
        which = {"account": account_state.account_id, "user": user_id}
        SETTLE.run(db.session.connection(), {**which, "month": month_of(day), "difference": difference})


def held_for_member(moved: CTE) -> CTE:
    """`hold_for_member` as a part of the statement that moves the account."""
    is_team = MEMBERS.c.account_id == moved.c.account_id, moved.c.kind == "team"
    return COUNT_IN.where(*is_team).cte("member")


def settled_for_member(closed: CTE, held: CTE) -> CTE:
    """`settle_for_member` as a part of the statement that closes the call."""
    paid = closed.c.allowance_paid_nanos + closed.c.credits_paid_nanos
    is_team = MEMBERS.c.account_id == closed.c.account_id, held.c.kind == "team"
    return count_out(paid - bindparam("reserved", type_=BigInteger)).where(*is_team).cte("member")


def used_in(month: date, account_id: int, user_id: int) -> int:
    """What the rows say that a member's calls of the month cost, for one who comes (back) into a team."""
    theirs = USAGES.c.account_id == account_id, USAGES.c.user_id == user_id, USAGES.c.day >= month
    return int(db.session.scalar(select(func.coalesce(func.sum(COUNTED), 0)).where(*theirs)) or 0)


def unexplained() -> Iterator[tuple[int, int, int, int]]:
    """Memberships of teams whose counter is not what the rows say: account, user, stored, explained."""
    for row in db.session.execute(AUDIT):
        if row.used_nanos != row.explained:
            yield row.account_id, row.user_id, row.used_nanos, int(row.explained)


THIS = and_(MEMBERS.c.account_id == bindparam("account"), MEMBERS.c.user_id == bindparam("user"))
NO_MEMBER = (None, 0, None, None, 0)
READ = CompiledStatement(
    select(
        MEMBERS.c.monthly_limit_nanos,
        MEMBERS.c.extra_nanos,
        MEMBERS.c.extra_until,
        MEMBERS.c.used_month,
        MEMBERS.c.used_nanos,
    ).where(THIS)
)
MONTH = bindparam("month", type_=Date)
SO_FAR = case((MEMBERS.c.used_month == MONTH, MEMBERS.c.used_nanos), else_=0)
COUNT_IN = (
    update(MEMBERS)
    .where(THIS)
    .values(used_month=MONTH, used_nanos=SO_FAR + bindparam("ceiling", type_=BigInteger))
)


def count_out(difference: Any) -> Update:
    after = MEMBERS.c.used_nanos + difference
    return (
        update(MEMBERS)
        .where(THIS, MEMBERS.c.used_month == MONTH)
        .values(used_nanos=case((after > 0, after), else_=0))
    )


HOLD, SETTLE = CompiledStatement(COUNT_IN), CompiledStatement(count_out(bindparam("difference")))
BY_MEMBER = (
    select(
        USAGES.c.account_id,
        USAGES.c.user_id,
        extract("year", USAGES.c.day).label("year"),
        extract("month", USAGES.c.day).label("month"),
        func.sum(COUNTED).label("used"),
    )
    .join(ACCOUNTS, and_(ACCOUNTS.c.id == USAGES.c.account_id, ACCOUNTS.c.kind == "team"))
    .group_by(
        USAGES.c.account_id, USAGES.c.user_id, extract("year", USAGES.c.day), extract("month", USAGES.c.day)
    )
    .subquery()
)
SAME_MONTH = and_(
    BY_MEMBER.c.account_id == MEMBERS.c.account_id,
    BY_MEMBER.c.user_id == MEMBERS.c.user_id,
    BY_MEMBER.c.year == extract("year", MEMBERS.c.used_month),
    BY_MEMBER.c.month == extract("month", MEMBERS.c.used_month),
)
AUDIT = (
    select(
        MEMBERS.c.account_id,
        MEMBERS.c.user_id,
        MEMBERS.c.used_nanos,
        func.coalesce(BY_MEMBER.c.used, 0).label("explained"),
    )
    .select_from(
        MEMBERS.join(ACCOUNTS, ACCOUNTS.c.id == MEMBERS.c.account_id).outerjoin(BY_MEMBER, SAME_MONTH)
    )
    .where(ACCOUNTS.c.kind == "team")
    .order_by(MEMBERS.c.id)
)
