"""Statements of a month: a page to read and print, CSV, and a journal for plain-text accounting."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from flask import Response, abort, render_template
from flask_login import current_user

from app.models.base import credits_string, utcnow
from app.models.billing.statement import Balances, Statement, month_start, months_of, statement_of
from app.web.access import managers_only
from app.web.blueprints import billing
from app.web.csv import csv_of

COLUMNS = ("date", "kind", "what", "member", "calls", "allowance_credits", "credits_credits", "total_credits")


@billing.get("/statements")
@managers_only
def statements() -> str:
    return render_template("billing/statements.html", months=months_of(current_user.account, utcnow()))


@billing.get("/statements/<month>")
@managers_only
def statement(month: str) -> str:
    return render_template("billing/statement.html", statement=statement_for(month))


@billing.get("/statements/<month>.csv")
@managers_only
def statement_csv(month: str) -> Response:
    """The same lines, which add up: opening, entries, calls, closing."""
    return csv_of(f"statement-{month}", COLUMNS, rows_of(statement_for(month)))


@billing.get("/statements/<month>.beancount")
@managers_only
def statement_journal(month: str) -> Response:
    """The month as a Beancount journal (https://beancount.github.io/docs/beancount_language_syntax.html)."""
    text = "\n".join(journal_of(statement_for(month))) + "\n"
    response = Response(text, content_type="text/plain; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="statement-{month}.beancount"'
    return response


def statement_for(month: str) -> Statement:
    """The account's statement of a month that has begun and was not over before the account was there; else 404."""
    start, now = month_start(month), utcnow()
    if start is None or start not in months_of(current_user.account, now):
        abort(404)
    return statement_of(current_user.account, start, now)


def rows_of(made: Statement) -> Iterator[dict[str, Any]]:
    yield row(made.starts_at.date(), "opening", "Opening balance", made.opening)
    for entry in made.entries:
        change = Balances(entry.allowance_nanos, entry.credits_nanos)
        yield row(entry.created_at.date(), entry.kind, entry.title, change)
    for line in made.lines:
        used = Balances(0, 0).minus(line.paid)
        yield row(made.last_day, "calls", line.model, used, member=line.member, calls=line.calls)
    yield row(made.last_day, "closing", "Closing balance", made.closing)


def row(date: Any, kind: str, what: str, change: Balances, member: str = "", calls: int = 0) -> dict[str, Any]:
    figures = {
        "allowance_credits": credits_string(change.allowance),
        "credits_credits": credits_string(change.credits),
        "total_credits": credits_string(change.total),
    }
    return {"date": date, "kind": kind, "what": what, "member": member, "calls": calls or ""} | figures


def journal_of(made: Statement) -> Iterator[str]:
    """Both balances are assets, what comes is from Income, what is used goes to Expenses; checked by two balances."""
    start, after = made.starts_at.date(), made.last_day + timedelta(days=1)
    accounts = ("Assets:Tollgate:Allowance", "Assets:Tollgate:Credits", "Equity:Opening", "Income:Tollgate",
                "Expenses:Tollgate")  # fmt: skip
    yield from (f"{start} open {name} CREDITS" for name in accounts)
    yield from posting(start, "Opening balance", made.opening, "Equity:Opening")
    for entry in made.entries:
        change = Balances(entry.allowance_nanos, entry.credits_nanos)
        yield from posting(entry.created_at.date(), entry.title, change, "Income:Tollgate")
    for line in made.lines:
        text = f"{line.calls} calls to {line.model}, {line.member}"
        yield from posting(made.last_day, text, Balances(0, 0).minus(line.paid), "Expenses:Tollgate")
    yield f"{after} balance Assets:Tollgate:Allowance {credits_string(made.closing.allowance)} CREDITS"
    yield f"{after} balance Assets:Tollgate:Credits {credits_string(made.closing.credits)} CREDITS"


def posting(date: Any, text: str, change: Balances, other: str) -> Iterator[str]:
    plain = "".join(letter for letter in text if letter.isprintable() and letter not in '"\\')
    yield ""
    yield f'{date} * "{plain}"'
    yield f"  Assets:Tollgate:Allowance  {credits_string(change.allowance)} CREDITS"
    yield f"  Assets:Tollgate:Credits  {credits_string(change.credits)} CREDITS"
    yield f"  {other}  {credits_string(-change.total)} CREDITS"
