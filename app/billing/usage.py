"""What was used: by day, model, operation, member and chat; each call with its receipt."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from flask import abort, render_template, request
from flask_login import current_user
from sqlalchemy import Select, Subquery, desc, func, select

from app.extensions import db
from app.models.base import credits_figure, utcnow
from app.models.billing.rerating import CallCorrection
from app.models.chat.chat import Chat, Message
from app.models.identity.user import User, is_erased
from app.models.metering.cost_explanation import explain
from app.models.metering.plan_limits import PlanLimits
from app.models.metering.reservation import load_account_state
from app.models.metering.usage import RELEASED, RUNNING, Usage
from app.models.metering.usage_rollup import in_one_look, start_of, use_since
from app.models.operations.replica_reads import read_from_replica
from app.web.blueprints import billing
from app.web.charts import bar_chart
from app.web.formatting import model_title, note_of_end, operation_title, reader_date

PERIODS = (7, 30, 90)
DEAREST, CALLS_SHOWN = 8, 25
DELETED = "Deleted members"
OWN_ENDS = ("length", "tool_calls")
FIGURES = ("nanos", "calls", "input_tokens", "output_tokens")
Sums = Sequence[Any]


@billing.get("/usage")
def usage() -> str:
    """A member sees their own use, an owner or admin that of the account; of the chats each sees only their own."""
    period = next((days for days in PERIODS if request.args.get("days") == str(days)), 30)
    start = utcnow().date() - timedelta(days=period - 1)
    account_state = load_account_state(current_user.account_id, utcnow())
    db.session.commit()
    account = current_user.account
    read_from_replica()
    rows = summed(start)
    days = by_day(rows, start, period)
    calls, next_cursor = shown_calls(start)
    title, used = f"Credits since {reader_date(start)}", {"credits": [row["nanos"] for row in days]}
    return render_template(
        "billing/usage.html",
        days=days,
        chart=bar_chart(title, [row["day"] for row in days], used, credits_figure),
        total_nanos=sum(int(row.nanos) for row in rows),
        total_calls=sum(int(row.calls) for row in rows),
        uncharged=uncharged_calls(start),
        models=added_up(rows, lambda row: model_title(row.model)),
        operations=added_up(rows, lambda row: operation_title(row.operation)),
        members=by_member(rows),
        chats=by_chat(start),
        calls=calls,
        next_cursor=next_cursor,
        period=period,
        start=start,
        limits=PlanLimits.of(account_state),
        account=account,
    )


def sums_of(use: Subquery) -> list[Any]:
    names = {"nanos": "paid_nanos"}
    return [func.sum(use.c[names.get(figure, figure)]).label(figure) for figure in FIGURES]


@in_one_look
def summed(since: datetime, start: date) -> Sums:
    use = use_since(start, since, **current_user.sees)
    keys = (use.c.day, use.c.model, use.c.operation, use.c.user_id)
    return db.session.execute(select(*keys, *sums_of(use)).group_by(*keys)).all()


def by_day(rows: Sums, start: date, period: int) -> list[dict[str, Any]]:
    """Each day of the period, oldest first."""
    used = {row["name"]: row["nanos"] for row in added_up(rows, lambda row: row.day)}
    days = (start + timedelta(days=number) for number in range(period))
    return [{"day": day, "nanos": used.get(day, 0)} for day in days]


def added_up(rows: Sums, name: Callable[[Any], Any]) -> list[dict[str, Any]]:
    """The figures of the rows of each name, the dearest first."""
    groups: dict[Any, dict[str, Any]] = {}
    for row in rows:
        sums = groups.setdefault(name(row), {"name": name(row)} | dict.fromkeys(FIGURES, 0))
        for figure in FIGURES:
            sums[figure] += int(row._mapping[figure] or 0)
    return sorted(groups.values(), key=lambda sums: -sums["nanos"])


def by_member(rows: Sums) -> list[dict[str, Any]]:
    """Only where several people use the account."""
    users = {row.user_id for row in rows}
    if len(users) < 2:
        return []
    people = db.session.execute(select(User.id, User.name, User.email).where(User.id.in_(users))).all()
    names = {person.id: person.name or called_by(person.email) for person in people}
    shared = {name for name, count in Counter(names.values()).items() if count > 1}
    names |= {person.id: f"{person.name} ({person.email})" for person in people if person.name in shared}
    return added_up(rows, lambda row: names[row.user_id])


def called_by(email: str) -> str:
    """Who has given no name; those who were deleted are one."""
    return DELETED if is_erased(email) else email


@in_one_look
def by_chat(since: datetime, start: date) -> list[dict[str, Any]]:
    """The caller's own dearest chats."""
    use = use_since(start, since, **current_user.own)
    query = select(Chat.id, Chat.title, *sums_of(use)).join(Chat, Chat.id == use.c.chat_id)
    kept = query.where(Chat.deleted_at.is_(None)).group_by(Chat.id, Chat.title)
    rows = db.session.execute(kept.order_by(desc("nanos")).limit(DEAREST))
    return [{**row._mapping, "name": row.title or "New chat"} for row in rows]


def of_period(start: date) -> Select[Usage]:
    return select(Usage).filter_by(**current_user.sees).where(Usage.created_at >= start_of(start))


def uncharged_calls(start: date) -> int:
    """Those that the list shows and the sums do not count: released, or still running."""
    count = select(func.count(Usage.id)).filter_by(**current_user.sees).where(Usage.created_at >= start_of(start))
    return sum(db.session.scalar(count.where(state)) or 0 for state in (RUNNING, RELEASED))


def shown_calls(start: date) -> tuple[list[Usage], int | None]:
    """A page of the period's calls, newest first, and where the next one begins."""
    query = of_period(start).order_by(Usage.created_at.desc(), Usage.id.desc())
    cursor = request.args.get("cursor", "")
    if cursor.isascii() and cursor.isdigit() and len(cursor) <= 18:
        query = query.where(Usage.id < int(cursor))
    calls = list(db.session.scalars(query.limit(CALLS_SHOWN + 1)))
    return calls[:CALLS_SHOWN], calls[CALLS_SHOWN - 1].id if len(calls) > CALLS_SHOWN else None


@billing.get("/calls/<call_id>")
def receipt(call_id: str) -> str:
    """A call's receipt; 404 for another account's, and for a member another's."""
    call = Usage.find(call_id, **current_user.sees) or abort(404)
    whose = {"user_id": current_user.user_id, "deleted_at": None}
    chat = Chat.find(call.chat_id, **whose) if call.chat_id else None
    corrections = [
        (correction, rerating, call.lines(rerating.rates)) for correction, rerating in CallCorrection.of_call(call.id)
    ]
    shown = {"call": call, "lines": call.lines(), "chat": chat, "corrections": corrections}
    shown |= {"why": explain(call), "note": note_of(call)}
    return render_template("billing/receipt.html", **shown)


def note_of(call: Usage) -> str | None:
    """What its reader was told of the end. Whoever calls by the gateway has limits and tools of its own."""
    is_own = call.finish_reason in OWN_ENDS and call.shortened_from is None
    if call.outcome != "done" or (is_own and call.operation == "gateway"):
        return None
    written = db.session.scalar(select(Message.content).where(Message.call_id == call.id))
    has_text = bool(call.output and (written is None or written.strip()))
    is_without_text = bool(call.images) or not call.max_output_tokens
    return note_of_end(call, has_text or is_without_text)
