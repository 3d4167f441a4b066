"""The statement of a month: what there was, what came, what each member used, what is left. To the nano."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import ColumnElement, Row, func, select, true

from app.extensions import db
from app.models.billing.ledger import LedgerEntry
from app.models.identity.account import Account
from app.models.identity.user import User
from app.models.metering.member_limit import next_month
from app.models.metering.usage import Usage

FINAL_AFTER = timedelta(hours=24)
"""After its end a month still hears of calls that ran over midnight, and of events that came late."""

MOVED = (
    func.coalesce(func.sum(LedgerEntry.allowance_nanos), 0),
    func.coalesce(func.sum(LedgerEntry.credits_nanos), 0),
)
PAID = (
    func.coalesce(func.sum(Usage.allowance_paid_nanos), 0),
    func.coalesce(func.sum(Usage.credits_paid_nanos), 0),
)


@dataclass(frozen=True, slots=True)
class Balances:
    """The two numbers of an account, or a difference of them, in nanos."""

    allowance: int
    credits: int

    @property
    def total(self) -> int:
        return self.allowance + self.credits

    def plus(self, other: "Balances") -> "Balances":
        return Balances(self.allowance + other.allowance, self.credits + other.credits)

    def minus(self, other: "Balances") -> "Balances":
        return Balances(self.allowance - other.allowance, self.credits - other.credits)


@dataclass(frozen=True, slots=True)
class MemberLine:
    """What one member's calls to one model came to."""

    member: str
    model: str
    calls: int
    paid: Balances


@dataclass(frozen=True, slots=True)
class Statement:
    """`closing` = `opening` + the entries - the lines. `ends_at` is the first moment that is not in it.

    `last_day` is the month's, or today while the month runs: its lines are sums up to then.
    """

    account: Account
    starts_at: datetime
    ends_at: datetime
    opening: Balances
    entries: Sequence[LedgerEntry]
    lines: Sequence[MemberLine]
    closing: Balances
    last_day: date
    is_final: bool

    @property
    def month(self) -> str:
        return f"{self.starts_at:%Y-%m}"


def sum_of(parts: Iterable[Balances]) -> Balances:
    total = Balances(0, 0)
    for part in parts:
        total = total.plus(part)
    return total


def month_start(text: str) -> datetime | None:
    """The beginning of a month that is written as 2026-11; None for anything else."""
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC) if len(text) == 7 else None
    except ValueError:
        return None


def months_of(account: Account, now: datetime) -> list[datetime]:
    """The months for which there is a statement, the newest first."""
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    first = account.created_at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    months = []
    while month >= first:
        months.append(month)
        month = (month - timedelta(days=1)).replace(day=1)
    return months


def statement_of(account: Account, starts_at: datetime, now: datetime) -> Statement:
    """The statement of the month that begins then; its opening is its closing less what is listed."""
    ends_at = next_month(starts_at)
    entries, lines = entries_of(account.id, starts_at, ends_at), lines_of(account.id, starts_at, ends_at)
    entered = sum_of(Balances(entry.allowance_nanos, entry.credits_nanos) for entry in entries)
    closing = balances_at(account.id, ends_at)
    opening = closing.minus(entered).plus(sum_of(line.paid for line in lines))
    last_day, is_final = min(now, ends_at - timedelta(days=1)).date(), now >= ends_at + FINAL_AFTER
    return Statement(account, starts_at, ends_at, opening, entries, lines, closing, last_day, is_final)


def balances_at(account_id: int, moment: datetime) -> Balances:
    """Both balances at that moment: what they are now, less what has changed since. One statement, so one moment."""
    later = LedgerEntry.account_id == account_id, LedgerEntry.created_at >= moment
    entries = select(*MOVED).where(*later).subquery()
    calls = select(*PAID).where(*settled(account_id, moment)).subquery()
    figures = Account.allowance_nanos, Account.credits_nanos, *entries.c, *calls.c
    query = select(*figures).select_from(Account).join(entries, true()).join(calls, true())
    row = db.session.execute(query.where(Account.id == account_id)).one()
    allowance, credits, moved_allowance, moved_credits, paid_allowance, paid_credits = map(int, row)
    return Balances(allowance - moved_allowance + paid_allowance, credits - moved_credits + paid_credits)


def settled(account_id: int, start: datetime) -> tuple[ColumnElement[bool], ...]:
    return Usage.account_id == account_id, Usage.state == "settled", Usage.settled_at >= start


def entries_of(account_id: int, start: datetime, end: datetime) -> Sequence[LedgerEntry]:
    own = LedgerEntry.account_id == account_id, LedgerEntry.created_at >= start, LedgerEntry.created_at < end
    return db.session.scalars(select(LedgerEntry).where(*own).order_by(LedgerEntry.created_at, LedgerEntry.id)).all()


def lines_of(account_id: int, start: datetime, end: datetime) -> list[MemberLine]:
    """What each member used of each model, the most first."""
    rows = db.session.execute(
        select(User.id, User.name, User.email, Usage.model, func.count(), *PAID)
        .join(User, User.id == Usage.user_id)
        .where(*settled(account_id, start), Usage.settled_at < end)
        .group_by(User.id, User.name, User.email, Usage.model)
    )
    lines = [line_of(row) for row in rows]
    return sorted(lines, key=lambda line: (-line.paid.total, line.member, line.model))


def line_of(row: Row[int, str, str, str, int, int, int]) -> MemberLine:
    user_id, name, email, model, calls, allowance, credits = row
    return MemberLine(name or email or f"Member {user_id}", model, calls, Balances(int(allowance), int(credits)))
