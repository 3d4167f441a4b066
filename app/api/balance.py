"""The balance, the month's use of the plan, and the ledger over JSON."""

from datetime import datetime
from typing import Any

from flask import Response
from flask_login import current_user
from sqlalchemy import func, select

from app.api.blueprint import amount, answer_of, api, page_of
from app.api.schemas import (
    AS_CSV,
    COUNT,
    FLAG,
    MOMENT,
    PAGING,
    TEXT,
    WHOLE,
    amounts,
    amounts_or_null,
    described,
    or_null,
    page,
    shape,
)
from app.extensions import db
from app.models.base import iso, utcnow
from app.models.billing.allowance_refill import NextRefill, monthly_amount, next_refill
from app.models.billing.ledger import KINDS, LedgerEntry
from app.models.metering.account_state import AccountState
from app.models.metering.balance import window_ends
from app.models.metering.gate_checks import tomorrow
from app.models.metering.key_limit import key_limit
from app.models.metering.member_limit import member_limit
from app.models.metering.plan_limits import PlanLimits
from app.models.metering.reservation import load_account_state
from app.models.metering.spending_limit import least_left
from app.models.metering.usage import Usage
from app.web.access import managers_only
from app.web.csv import CSV, csv_of, wants_csv

PLAN_NAME = shape("PlanName", id=TEXT, name=TEXT, status={"enum": ["active", "legacy", "inactive"]})
NEXT_REFILL = shape(
    "NextRefill",
    at=or_null(MOMENT) | {"description": "null: as soon as the open invoice is paid."},
    plan=PLAN_NAME,
    needs_payment=FLAG,
    **amounts("amount"),
)
BALANCE = shape(
    "Balance",
    plan=PLAN_NAME,
    resets_at=or_null(MOMENT),
    next_refill=or_null(NEXT_REFILL),
    daily_resets_at=or_null(MOMENT),
    window_hours=or_null(WHOLE),
    window_resets_at=or_null(MOMENT),
    **amounts("allowance", "credits", "reserved", "available", "spendable", "daily_used"),
    **amounts_or_null("daily_limit", "window_limit", "window_used", "member_limit", "member_used", "member_left"),
)
PLAN_USAGE = shape(
    "PlanUsage",
    plan=PLAN_NAME,
    period_start=MOMENT,
    period_end=MOMENT,
    chats_used=COUNT,
    chats_limit=or_null(COUNT),
    documents_used=COUNT,
    documents_limit=or_null(COUNT),
    images_used=COUNT,
    images_limit=or_null(COUNT),
    input_tokens=COUNT,
    output_tokens=COUNT,
    **amounts("used", "limit"),
)
ENTRY = shape(
    "Transaction",
    id=TEXT,
    kind={"enum": [*KINDS]},
    title=TEXT,
    reason=TEXT,
    month=or_null(TEXT),
    created_at=MOMENT,
    **amounts("allowance", "credits"),
)
ENTRY_COLUMNS = (
    "id", "created_at", "kind", "title", "reason", "month",
    "allowance_nanos", "allowance_credits", "credits_nanos", "credits_credits",
)  # fmt: skip


@api.get("/balance")
@described("Get the balance: what is left, what running calls reserve, and the next refill", BALANCE)
def read_balance() -> dict[str, Any]:
    now = utcnow()
    account_state = load_account_state(current_user.account_id, now)
    comes = next_refill(current_user.account, now)
    member = member_limit(account_state, current_user.user_id, now)
    limits = [limit for limit in (member, key_limit(current_user, now)) if limit]
    db.session.commit()
    balance = account_state.balance(now)
    return {
        "plan": plan_name(account_state),
        **amount("allowance", balance.allowance),
        **amount("credits", balance.credits),
        **amount("reserved", balance.reserved),
        **amount("available", balance.available),
        **amount("spendable", min(balance.available, least_left(limits))),
        **amount("daily_limit", balance.daily_limit),
        **amount("daily_used", balance.daily_used),
        **amount("member_limit", member.limit if member else None),
        **amount("member_used", member.used if member else None),
        **amount("member_left", member.left if member else None),
        "resets_at": iso(comes.at) if comes and comes.at else None,
        "next_refill": shown_refill(comes) if comes else None,
        "daily_resets_at": None if balance.daily_limit is None else iso(tomorrow(now)),
        **shown_window(account_state, now),
    }


def shown_window(account_state: AccountState, now: datetime) -> dict[str, Any]:
    """The plan's limit of some hours; null where it has none."""
    hours, balance = account_state.window_hours, account_state.balance(now)
    return {
        "window_hours": hours,
        "window_resets_at": None if hours is None else iso(window_ends(now, hours)),
        **amount("window_limit", balance.window_limit),
        **amount("window_used", None if hours is None else balance.window_used),
    }


@api.get("/subscription/usage")
@described("Get the plan's limits of this period and how much of each is used", PLAN_USAGE)
def read_plan_usage() -> dict[str, Any]:
    account_state = load_account_state(current_user.account_id, utcnow())
    db.session.commit()
    limits = PlanLimits.of(account_state)
    sums = func.sum(Usage.allowance_paid_nanos), func.sum(Usage.input_tokens), func.sum(Usage.output)
    begun = Usage.account_id == account_state.account_id, Usage.created_at >= account_state.period_start
    settled = db.session.execute(select(*sums).where(*begun, Usage.state == "settled")).one()
    used, read, written = (int(figure or 0) for figure in settled)
    return {
        "plan": plan_name(account_state),
        **amount("used", used),
        **amount("limit", monthly_amount(current_user.account, current_user.account.plan)),
        "period_start": iso(account_state.period_start),
        "period_end": iso(account_state.period_end),
        "chats_used": limits.chats.used,
        "chats_limit": limits.chats.limit,
        "documents_used": limits.documents.used,
        "documents_limit": limits.documents.limit,
        "images_used": limits.images.used,
        "images_limit": limits.images.limit,
        "input_tokens": read,
        "output_tokens": written,
    }


@api.get("/transactions")
@managers_only
@described("List ledger entries, newest first", page(ENTRY), query=PAGING | AS_CSV, also_as=CSV)
def list_transactions() -> dict[str, Any] | Response:
    query = select(LedgerEntry).where(LedgerEntry.account_id == current_user.account_id)
    if not wants_csv():
        return page_of(query, LedgerEntry.id, shown_entry)
    entries = db.session.scalars(query.order_by(LedgerEntry.id.desc()))
    return csv_of("transactions", ENTRY_COLUMNS, map(shown_entry, entries))


def shown_refill(comes: NextRefill) -> dict[str, Any]:
    return answer_of(NEXT_REFILL, comes, plan=answer_of(PLAN_NAME, comes.plan), amount_nanos=comes.amount)


def plan_name(account_state: AccountState) -> dict[str, Any]:
    named = {
        "id": account_state.plan_id,
        "name": account_state.plan_name,
        "status": account_state.plan_status,
    }
    return answer_of(PLAN_NAME, None, **named)


def shown_entry(entry: LedgerEntry) -> dict[str, Any]:
    return answer_of(ENTRY, entry)
