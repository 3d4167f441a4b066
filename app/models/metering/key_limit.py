"""What a key has spent, against its own limits: ceilings that the reservation holds. billing-rules.md 5.

A key without limits costs nothing here. The sums are over its own calls: exact, since whoever writes one moves the
account, and the reservation is refused where the account has moved since.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import bindparam, case, func, select

from app.db.compiled_statement import CompiledStatement
from app.extensions import db
from app.models.base import at_once
from app.models.identity.actor import Actor
from app.models.identity.api_key import KeyLimits
from app.models.metering.member_limit import month_of, next_month
from app.models.metering.refusal import Refusal, seconds_until
from app.models.metering.usage import COUNTED, SUM, USAGES, Usage

LONG_AGO = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A key's limits, and what its calls of the month and of all time have cost; running ones count as reserved."""

    limits: KeyLimits
    month: int
    total: int

    @property
    def left(self) -> int | None:
        """What the tighter limit leaves; None where neither is set."""
        limits = self.limits
        pairs = ((limits.month, self.month), (limits.total, self.total))
        return min((max(0, limit - used) for limit, used in pairs if limit is not None), default=None)


def key_use(actor: Actor, at: datetime) -> KeyUse | None:
    """None for people, and for keys without limits."""
    limits = actor.key_limits
    if limits is None:
        return None
    month = total = 0
    with at_once() as connection:
        which = {"key": actor.api_key_id}
        if limits.month is not None:
            [month] = SPENT.one(connection, which | {"since": month_of(at.date())})
        if limits.total is not None:
            [total] = SPENT.one(connection, which | {"since": LONG_AGO})
    return KeyUse(limits, int(month), int(total))


def check_key(actor: Actor, use: KeyUse | None, model: str, at: datetime) -> None:
    """The key's own models and limits: something must be left for a call to begin."""
    if use is None:
        return
    if not may_ask(use, model):
        context = {"name": model, "included": use.limits.models}
        raise Refusal("model_not_allowed", context=context, limit_kind="key")
    if use.left == 0:
        raise key_limit_reached(use, at)


def may_ask(use: KeyUse | None, model: str) -> bool:
    """A key may have models of its own."""
    return use is None or not use.limits.models or model in use.limits.models


def key_limit_reached(use: KeyUse, at: datetime, **details: Any) -> Refusal:
    """By the limit that leaves the least."""
    limits = use.limits
    known = [("month", limits.month, use.month), ("total", limits.total, use.total)]
    name, limit, used = min(
        ((name, limit, used) for name, limit, used in known if limit is not None),
        key=lambda row: row[1] - row[2],
    )
    details |= {"limit": limit, "limit_kind": name, "used": used, "left": max(0, limit - used)}
    if name == "total":
        return Refusal("key_limit_reached", retry_after=DAY, **details)
    ends = next_month(at)
    return Refusal("key_limit_reached", retry_after=seconds_until(ends, at), resets_at=ends, **details)


def spent_by_keys(key_ids: Sequence[int], at: datetime) -> dict[int, tuple[int, int]]:
    """What each of these keys has spent in the month and in all, for a page."""
    key, is_of_month = Usage.api_key_id, USAGES.c.day >= month_of(at.date())
    month = func.coalesce(func.sum(case((is_of_month, COUNTED), else_=0)), 0)
    sums = select(key, month, func.sum(COUNTED)).where(key.in_(key_ids)).group_by(key)
    return {key_id: (int(of_month), int(total)) for key_id, of_month, total in db.session.execute(sums)}


DAY = 86_400
"""A limit once for all never comes back by itself; somebody may raise it."""

SPENT = CompiledStatement(SUM.where(USAGES.c.api_key_id == bindparam("key"), USAGES.c.day >= bindparam("since")))
