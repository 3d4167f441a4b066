"""What a key has spent, against its own limits: ceilings that the reservation holds. billing-rules.md 5.

A key without limits costs nothing here.
"""

from collections.abc import Sequence
from datetime import date, datetime
from functools import partial
from typing import Any

from sqlalchemy import case, func, select, true

from app.db.compiled_statement import CompiledStatement
from app.extensions import db
from app.models.identity.actor import Actor
from app.models.identity.api_key import KeyLimits
from app.models.metering.account_state import AccountState
from app.models.metering.member_limit import member_limit, month_of, next_month
from app.models.metering.refusal import Refusal
from app.models.metering.spending_limit import SpendingLimit, least_left
from app.models.metering.spent_so_far import in_all, mark_of, read_at_mark
from app.models.metering.usage import COUNTED, USAGES
from app.models.metering.usage_rollup import KeyDay, KeyWatermark, in_one_look

LONG_AGO = date(1970, 1, 1)
KEY_DAYS: Any = KeyDay.__table__


def key_limit(actor: Actor, at: datetime) -> SpendingLimit | None:
    """Of the key's limits that which leaves the least; None for people, and for keys without one."""
    limits, known = actor.key_limits, []
    if limits is None or (limits.month is None and limits.total is None):
        return None
    key: Any = {"account": actor.account_id, "key": actor.api_key_id, "month": month_of(at.date())}
    first = key["month"] if limits.total is None else LONG_AGO
    month, total, _mark = read_at_mark(SPENT, first, KeyWatermark, **key) or (0, 0, None)
    spans: Any = (
        ("month", limits.month, month, {"ends": next_month(at)}),
        ("total", limits.total, total, {"retry_after": DAY}),
    )
    for kind, limit, used, comes in spans:
        if limit is not None:
            comes |= {"details": {"limit_kind": kind}, "counts": {"api_key_id": actor.api_key_id}}
            known.append(SpendingLimit("key_limit_reached", limit, int(used), **comes))
    return min(known, key=lambda one: one.limit - one.used)


def limits_of(account_state: AccountState, actor: Actor, at: datetime) -> list[SpendingLimit]:
    """What was set for the caller in the account: a member's limit, a key's."""
    limits = member_limit(account_state, actor.user_id, at), key_limit(actor, at)
    return [limit for limit in limits if limit]


def spendable(account_state: AccountState, actor: Actor, at: datetime) -> int:
    """What this caller may spend, in nanos: of the balance, within what was set for them and their key."""
    return min(account_state.balance(at).available, least_left(limits_of(account_state, actor, at)))


def is_open_to(limits: KeyLimits | None, model: str) -> bool:
    """A key may have models of its own."""
    return limits is None or limits.takes(model)


def models_open_to(limits: KeyLimits | None, included: Sequence[str]) -> Sequence[str]:
    """Of a plan's models (none named: all) those that a key may ask; the key's where it may ask none of them."""
    if limits is None or not limits.models:
        return included
    return [name for name in limits.models if not included or name in included] or limits.models


def check_key(limits: KeyLimits | None, model: str) -> None:
    if limits is not None and not limits.takes(model):
        raise Refusal("model_not_allowed", context={"name": model, "included": limits.models}, limit_kind="key")


@partial(in_one_look, watermark=KeyWatermark)
def spent_by_keys(since: datetime, key_ids: Sequence[int], at: datetime) -> dict[int, tuple[int, int]]:
    """What each of these keys has spent in the month and in all, for a page; `since` is the watermark."""
    spent: dict[int, tuple[int, int]] = {}
    lately = (USAGES.c.created_at >= since) & (USAGES.c.day >= since.date())
    for table, nanos, which in ((KEY_DAYS, KEY_DAYS.c.paid_nanos, true()), (USAGES, COUNTED, lately)):
        month = func.sum(case((table.c.day >= month_of(at.date()), nanos), else_=0))
        sums = select(table.c.api_key_id, month, func.sum(nanos)).where(table.c.api_key_id.in_(key_ids), which)
        for key_id, of_month, total in db.session.execute(sums.group_by(table.c.api_key_id)):
            before = spent.get(key_id, (0, 0))
            spent[key_id] = before[0] + int(of_month), before[1] + int(total)
    return spent


DAY = 86_400
"""A limit once for all never comes back by itself; somebody may raise it."""

MONTH, TOTAL = (in_all(KEY_DAYS, "api_key_id", "key", first) for first in ("month", "first"))
SPENT = CompiledStatement(select(MONTH, TOTAL, mark_of(KeyWatermark)))
