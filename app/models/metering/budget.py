"""What somebody set for themselves: so much in this chat, so much a day, week or month. billing-rules.md 5.

Without a budget nothing is read. The sums are over the calls themselves, as a key's are: exact, since whoever writes
one moves the account, and the reservation is refused where the account has moved since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import bindparam

from app.db.compiled_statement import CompiledStatement
from app.models.base import at_once
from app.models.identity.actor import Actor
from app.models.identity.membership import Membership
from app.models.metering.member_limit import next_month, spent_by
from app.models.metering.refusal import Refusal, seconds_until
from app.models.metering.usage import SUM, USAGES
from app.models.metering.usage_rollup import start_of

Period = Literal["day", "week", "month"]


class ChatBudget(NamedTuple):
    """The most that a chat may cost in all, in nano-dollars."""

    chat_id: int
    nanos: int

    @classmethod
    def of(cls, chat: Any) -> ChatBudget | None:
        return None if chat is None or chat.budget_nanos is None else cls(chat.id, chat.budget_nanos)


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """A budget, and what its calls have cost; running ones count as reserved. Without `ends` it never comes back."""

    limit: int
    used: int
    period: str
    ends: datetime | None = None

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)


def budget_uses(actor: Actor, chat: ChatBudget | None, at: datetime) -> list[BudgetUse]:
    """The budgets that hold for a call: of its chat, and of the person."""
    if chat is None and actor.own_limit_nanos is None:
        return []
    uses = []
    if chat is not None:
        with at_once() as connection:
            [used] = OF_CHAT.one(connection, {"chat": chat.chat_id})
        uses.append(BudgetUse(chat.nanos, int(used), "chat"))
    if own := own_use(actor, at):
        uses.append(own)
    return uses


def own_use(person: Actor | Membership, at: datetime) -> BudgetUse | None:
    """What a person has used of the limit that they set for themselves; None without one."""
    if person.own_limit_nanos is None:
        return None
    begins, ends = period_of(person.own_limit_period, at)
    used = spent_by(person.account_id, person.user_id, begins.date())
    return BudgetUse(person.own_limit_nanos, used, person.own_limit_period, ends)


def period_of(period: str, at: datetime) -> tuple[datetime, datetime]:
    """When the day, the week (from Monday) or the month of that moment begins and ends, in UTC."""
    today = start_of(at.date())
    if period == "month":
        return today.replace(day=1), next_month(at)
    if period == "week":
        monday = today - timedelta(days=at.weekday())
        return monday, monday + timedelta(days=7)
    return today, today + timedelta(days=1)


def check_budgets(uses: Sequence[BudgetUse], at: datetime) -> None:
    """Something of each must be left for a call to begin."""
    for use in uses:
        if use.left == 0:
            raise budget_reached(use, at)


def budget_reached(use: BudgetUse, at: datetime, **details: Any) -> Refusal:
    """`details` may be what this call needs, and a cheaper model that would pass. Who set it may raise it."""
    details |= {"limit": use.limit, "used": use.used, "left": use.left, "limit_kind": use.period}
    details["way_out"] = "budget"
    if use.ends is None:
        return Refusal("chat_budget_reached", **details)
    wait = seconds_until(use.ends, at)
    return Refusal("own_limit_reached", retry_after=wait, resets_at=use.ends, **details)


OF_CHAT = CompiledStatement(SUM.where(USAGES.c.chat_id == bindparam("chat")))
