"""Every change of the balance, why it came, and what was there after it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from typing import Any

from flask import Response, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import ScalarResult, func, select

from app.extensions import db
from app.models.base import credits_string
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.metering.usage import Usage
from app.models.operations.replica_reads import read_from_replica
from app.web.access import managers_only
from app.web.blueprints import billing
from app.web.csv import csv_of
from app.web.formatting import model_title, money_text, operation_title
from app.web.promotion_text import discount_words

SHOWN, AT_ONCE = 50, 500
COLUMNS = ("date", "description", "reason", "call", "allowance_credits", "credits_credits", "balance_after")
ENTRY_CHANGE = LedgerEntry.allowance_nanos + LedgerEntry.credits_nanos
OF_CALL = (Usage.id, Usage.model, Usage.operation, Usage.settled_at, Usage.created_at, Usage.allowance_paid_nanos,
           Usage.credits_paid_nanos)  # fmt: skip


@dataclass
class Change:
    """One change of the two numbers; `after_nanos` is what they came to together."""

    at: datetime
    title: str
    reason: str
    allowance_nanos: int
    credits_nanos: int
    call_id: int | None = None
    after_nanos: int = 0

    @classmethod
    def by_entry(cls, entry: LedgerEntry, note: str | None) -> "Change":
        reason = entry.reason or note or ""
        return cls(entry.created_at, entry.title, reason, entry.allowance_nanos, entry.credits_nanos)

    @classmethod
    def by_call(cls, call: Any) -> "Change":
        at, title = call.settled_at or call.created_at, f"{operation_title(call.operation)}, {model_title(call.model)}"
        return cls(at, title, "", -call.allowance_paid_nanos, -call.credits_paid_nanos, call.id)

    @property
    def href(self) -> str | None:
        return url_for("billing.receipt", call_id=self.call_id) if self.call_id else None

    @property
    def row(self) -> dict[str, Any]:
        """The same as a line of a file."""
        return {
            "date": self.at.isoformat(),
            "description": self.title,
            "reason": self.reason,
            "call": self.call_id or "",
            "allowance_credits": credits_string(self.allowance_nanos),
            "credits_credits": credits_string(self.credits_nanos),
            "balance_after": credits_string(self.after_nanos),
        }


@billing.get("/transactions")
@managers_only
def transactions() -> str:
    until = moment_of(request.args.get("until", ""))
    changes = list(with_balances(changes_until(until, SHOWN + 1), balance_at(until)))
    shown, older = changes[:SHOWN], changes[SHOWN:]
    next_cursor = older[0].at.isoformat() if older else None
    return render_template("billing/transactions.html", entries=shown, next_cursor=next_cursor)


@billing.get("/transactions.csv")
@managers_only
def transactions_csv() -> Response:
    """All of them, as the page shows them: each balance is the one below it and this change."""
    read_from_replica()
    changes = with_balances(changes_until(None, None), balance_at(None))
    return csv_of("transactions", COLUMNS, (change.row for change in changes))


def moment_of(text: str) -> datetime | None:
    """A moment of the address; None where there is none, or it is malformed."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def changes_until(until: datetime | None, most: int | None) -> Iterator[Change]:
    """The newest changes up to that moment, of ledger and calls together; read a few at a time."""
    own = LedgerEntry.account_id == current_user.account_id
    entries = select(LedgerEntry).where(own).order_by(LedgerEntry.created_at.desc(), LedgerEntry.id.desc())
    calls = select(*OF_CALL).where(*paid()).order_by(Usage.settled_at.desc(), Usage.id.desc())
    if until:
        entries = entries.where(LedgerEntry.created_at <= until)
        calls = calls.where(Usage.settled_at <= until)
    options = {"yield_per": AT_ONCE} if most is None else {}
    called = map(Change.by_call, db.session.execute(calls.limit(most), execution_options=options))
    entered = by_entries(db.session.scalars(entries.limit(most), execution_options=options))
    return islice(merge(entered, called, key=lambda change: change.at, reverse=True), most)


def by_entries(entries: ScalarResult[LedgerEntry]) -> Iterator[Change]:
    for part in entries.partitions(AT_ONCE):
        notes = payment_notes({entry.payment_id for entry in part if entry.payment_id})
        yield from (Change.by_entry(entry, notes.get(entry.payment_id)) for entry in part)


def payment_notes(ids: set[int]) -> dict[int | None, str]:
    """Which payment an entry is of: "From a payment of $15.00, $5.00 off with LAUNCH-25", by its id."""
    if not ids:
        return {}
    payments = db.session.scalars(select(Payment).where(Payment.id.in_(ids)))
    return {payment.id: payment_note(payment) for payment in payments}


def payment_note(payment: Payment) -> str:
    parts = f"From a payment of {money_text(payment.price_cents, payment.currency)}", discount_words(payment)
    return ", ".join(filter(None, parts))


def paid() -> tuple[Any, ...]:
    return Usage.account_id == current_user.account_id, Usage.state == "settled", Usage.paid_nanos > 0


def balance_at(until: datetime | None) -> int:
    """Allowance and credits together at that moment: what they are now, less what has changed since."""
    account = current_user.account
    now = int(account.allowance_nanos + account.credits_nanos)
    if until is None:
        return now
    own = LedgerEntry.account_id == account.id, LedgerEntry.created_at > until
    entered = db.session.scalar(select(func.sum(ENTRY_CHANGE)).where(*own)) or 0
    spent = db.session.scalar(select(func.sum(Usage.paid_nanos)).where(*paid(), Usage.settled_at > until)) or 0
    return now - int(entered) + int(spent)


def with_balances(changes: Iterable[Change], newest: int) -> Iterator[Change]:
    """Walk back from the newest balance."""
    for change in changes:
        change.after_nanos = newest
        yield change
        newest -= change.allowance_nanos + change.credits_nanos
