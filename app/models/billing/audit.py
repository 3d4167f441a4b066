"""The audit: both numbers of every account recomputed from the rows. billing-rules.md 4."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Select, func, select

from app.extensions import db
from app.models.billing import rerating
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.identity.account import Account
from app.models.metering.usage import Usage


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of an account that its rows do not explain, in nano-dollars (calls for `running_calls`)."""

    account_id: int
    figure: str
    stored: int
    explained: int


def audit() -> Iterator[Difference]:
    """Every difference; none where all is well."""
    entries, paid, open_calls = from_entries(), from_calls(), from_open_calls()
    for account in db.session.execute(FIGURES):
        granted, spent = entries.get(account.id, (0, 0)), paid.get(account.id, (0, 0))
        reserved, running = open_calls.get(account.id, (0, 0))
        explained = {
            "allowance_nanos": granted[0] - spent[0],
            "credits_nanos": granted[1] - spent[1],
            "reserved_nanos": reserved,
            "running_calls": running,
        }
        for figure, value in explained.items():
            if getattr(account, figure) != value:
                yield Difference(account.id, figure, getattr(account, figure), value)
    yield from audit_payments()
    yield from audit_windows()
    for account_id, figure, stored, value in rerating.unexplained():
        yield Difference(account_id, figure, stored, value)


def audit_payments() -> Iterator[Difference]:
    """Every purchase whose entries are not its worth less what was taken back."""
    sold = Payment.kind.in_(("pack", "recharge")), Payment.state == "paid"
    figures = select(Payment.id, Payment.account_id, Payment.worth_nanos, TAKEN.label("taken")).where(*sold)
    for payment in db.session.execute(figures.order_by(Payment.id)):
        mine = select(func.coalesce(func.sum(LedgerEntry.credits_nanos + LedgerEntry.allowance_nanos), 0))
        explained = int(db.session.scalar(mine.where(LedgerEntry.payment_id == payment.id)) or 0)
        if payment.worth_nanos - payment.taken != explained:
            left = payment.worth_nanos - payment.taken
            yield Difference(payment.account_id, f"payment {payment.id}", left, explained)


def audit_windows() -> Iterator[Difference]:
    """Every window of hours that counts more than calls since its beginning took from the allowance.

    It may count less: a plan's window begins with a refill, in the middle of the hours.
    """
    paid = func.coalesce(func.sum(Usage.allowance_paid_nanos), 0)
    since = Usage.created_at >= Account.window_start, Usage.state == "settled"
    explained = select(paid).where(Usage.account_id == Account.id, *since).correlate(Account).scalar_subquery()
    windows = select(Account.id, Account.window_used_nanos, explained).where(Account.window_used_nanos > 0)
    for account_id, stored, value in db.session.execute(windows.order_by(Account.id)):
        if stored > value:
            yield Difference(account_id, "window_used_nanos", stored, int(value))


TAKEN = Payment.refund_taken_nanos + Payment.dispute_taken_nanos

FIGURES = select(
    Account.id, Account.allowance_nanos, Account.credits_nanos, Account.reserved_nanos, Account.running_calls
).order_by(Account.id)


def sums(query: Select[int, int, int]) -> dict[int, tuple[int, int]]:
    return {row[0]: (int(row[1]), int(row[2])) for row in db.session.execute(query)}


def from_entries() -> dict[int, tuple[int, int]]:
    moved = func.sum(LedgerEntry.allowance_nanos), func.sum(LedgerEntry.credits_nanos)
    return sums(select(LedgerEntry.account_id, *moved).group_by(LedgerEntry.account_id))


def from_calls() -> dict[int, tuple[int, int]]:
    paid = func.sum(Usage.allowance_paid_nanos), func.sum(Usage.credits_paid_nanos)
    return sums(select(Usage.account_id, *paid).where(Usage.state == "settled").group_by(Usage.account_id))


def from_open_calls() -> dict[int, tuple[int, int]]:
    held = func.sum(Usage.reserved_nanos), func.count()
    return sums(select(Usage.account_id, *held).where(Usage.state == "running").group_by(Usage.account_id))
