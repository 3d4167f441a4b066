"""What somebody set for themselves: so much in this chat, so much a day, week or month. billing-rules.md 5.

Without a budget nothing is read.
"""

from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import bindparam

from app.db.compiled_statement import CompiledStatement
from app.models.base import at_once
from app.models.identity.actor import Actor
from app.models.identity.membership import Membership
from app.models.metering.member_limit import next_month, spent_by
from app.models.metering.spending_limit import SpendingLimit
from app.models.metering.usage import SUM, USAGES
from app.models.metering.usage_rollup import start_of

Period = Literal["day", "week", "month"]


class ChatBudget(NamedTuple):
    """The most that a chat may cost in all, in nano-dollars."""

    chat_id: int
    nanos: int

    @classmethod
    def of(cls, chat: Any) -> "ChatBudget | None":
        return None if chat is None or chat.budget_nanos is None else cls(chat.id, chat.budget_nanos)


def budgets(actor: Actor, chat: ChatBudget | None, at: datetime) -> list[SpendingLimit]:
    """Those that hold for a call: of its chat, and of the person."""
    held = []
    if chat is not None:
        with at_once() as connection:
            [used] = OF_CHAT.one(connection, {"chat": chat.chat_id})
        about: Any = {"details": way_out("chat"), "counts": {"chat_id": chat.chat_id}}
        held.append(SpendingLimit("chat_budget_reached", chat.nanos, int(used), **about))
    if own := own_limit(actor, at):
        held.append(own)
    return held


def own_limit(person: Actor | Membership, at: datetime) -> SpendingLimit | None:
    """The limit that a person set for themselves; None without one."""
    limit, period = person.own_limit_nanos, person.own_limit_period
    if limit is None:
        return None
    begins, ends = period_of(period, at)
    used = spent_by(person.account_id, person.user_id, begins.date())
    whose = {"account_id": person.account_id, "user_id": person.user_id}
    return SpendingLimit("own_limit_reached", limit, used, ends, details=way_out(period), counts=whose)


def way_out(period: str) -> dict[str, str]:
    """Who set it may raise it."""
    return {"limit_kind": period, "way_out": "budget"}


def period_of(period: str, at: datetime) -> tuple[datetime, datetime]:
    """When the day, the week (from Monday) or the month of that moment begins and ends, in UTC."""
    today = start_of(at.date())
    if period == "month":
        return today.replace(day=1), next_month(at)
    if period == "week":
        monday = today - timedelta(days=at.weekday())
        return monday, monday + timedelta(days=7)
    return today, today + timedelta(days=1)


OF_CHAT = CompiledStatement(SUM.where(USAGES.c.chat_id == bindparam("chat")))
