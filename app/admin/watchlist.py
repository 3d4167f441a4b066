"""Accounts to look at: the most expensive, the unprofitable, and those about to leave or be refused."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select

from app.admin.cell_links import ACCOUNT_NAME
from app.admin.dashboard_figures import Range, account_rows
from app.extensions import db
from app.models.billing.auto_recharge import PAUSES, AutoRecharge
from app.models.billing.payment import Payment
from app.models.billing.refund import kept_cents
from app.models.billing.subscription import UNPAID, Subscription
from app.models.catalog.setting import Setting
from app.models.catalog.worth import unit_nanos
from app.models.identity.account import Account
from app.models.metering.usage_rollup import in_one_look
from app.models.operations.refused_call import RefusalCount

SHOWN = 10
LIMITS = (
    "daily_limit_reached",
    "window_limit_reached",
    "out_of_credits",
    "request_too_large",
    "chat_limit_reached",
)
DAYS_RUNNING = 3


def tops(since: datetime, within: Range) -> Select[Any]:
    """Every account with use or payments in the range: (id, name, cost, absorbed, revenue_cents, loss)."""
    use = account_rows(since, within)
    cost = select(
        use.c.account_id,
        func.sum(use.c.cost_nanos).label("cost"),
        func.sum(use.c.absorbed_nanos).label("absorbed"),
    )
    costs = cost.group_by(use.c.account_id).subquery()
    paid = (
        select(Payment.account_id, func.sum(kept_cents()).label("cents"))
        .where(Payment.state == "paid", within.holds(Payment.paid_at))
        .group_by(Payment.account_id)
        .subquery()
    )
    cents = func.coalesce(paid.c.cents, 0)
    loss = (costs.c.cost - cents * unit_nanos()).label("loss")
    figures = costs.c.cost, costs.c.absorbed, cents.label("revenue_cents"), loss
    joined = select(Account.id, ACCOUNT_NAME, *figures).join(costs, costs.c.account_id == Account.id)
    return joined.outerjoin(paid, paid.c.account_id == Account.id).limit(SHOWN)


@in_one_look
def dearest(since: datetime, within: Range) -> list[Any]:
    rows = tops(since, within)
    return list(db.session.execute(rows.order_by(rows.selected_columns.cost.desc(), Account.id)))


@in_one_look
def losing(since: datetime, within: Range) -> list[Any]:
    """Those whose use cost more than they paid in the range."""
    rows = tops(since, within)
    loss = rows.selected_columns.loss
    return list(db.session.execute(rows.where(loss > 0).order_by(loss.desc(), Account.id)))


def at_risk(today: date) -> list[tuple[int, str, str]]:
    """(account id, name, why), a few of each kind."""
    return [*odd(), *unpaid(), *paused(), *limited(today), *by_use(today)]


def odd() -> list[tuple[int, str, str]]:
    """Subscriptions that were changed at Stripe into something that we do not sell."""
    query = select(Account.id, ACCOUNT_NAME, Subscription.review_note).join(
        Subscription, Subscription.account_id == Account.id
    )
    rows = db.session.execute(query.where(Subscription.review_note != "", Subscription.is_running()).limit(SHOWN))
    return [(row.id, row.name, f"subscription changed at Stripe: {row.review_note}") for row in rows]


def unpaid() -> list[tuple[int, str, str]]:
    query = select(Account.id, ACCOUNT_NAME, Subscription.status).join(
        Subscription, Subscription.account_id == Account.id
    )
    late = query.where(Subscription.status.in_(UNPAID), Subscription.is_running())
    rows = db.session.execute(late.order_by(Subscription.id.desc()).limit(SHOWN))
    return [(row.id, row.name, f"subscription {row.status.replace('_', ' ')}") for row in rows]


def paused() -> list[tuple[int, str, str]]:
    query = select(Account.id, ACCOUNT_NAME, AutoRecharge.pause_reason).join(
        AutoRecharge, AutoRecharge.account_id == Account.id
    )
    stopped = query.where(AutoRecharge.is_on, AutoRecharge.pause_reason != "").order_by(AutoRecharge.paused_at.desc())
    rows = db.session.execute(stopped.limit(SHOWN))
    return [
        (row.id, row.name, f"auto-recharge paused: {PAUSES.get(row.pause_reason, row.pause_reason)}") for row in rows
    ]


def limited(today: date) -> list[tuple[int, str, str]]:
    """Refused for their limit on three days running, today or until yesterday."""
    newest = RefusalCount.day >= today - timedelta(days=DAYS_RUNNING)
    days = select(RefusalCount.account_id, RefusalCount.day).where(newest, RefusalCount.code.in_(LIMITS)).distinct()
    hit: dict[int, set[date]] = {}
    for account_id, day in db.session.execute(days):
        hit.setdefault(account_id, set()).add(day)
    running = [
        account for account, refused in hit.items() if len(refused) >= DAYS_RUNNING and is_running(refused, today)
    ]
    rows = db.session.execute(select(Account.id, ACCOUNT_NAME).where(Account.id.in_(running[:SHOWN])))
    return [(row.id, row.name, f"refused for a limit {DAYS_RUNNING} days running") for row in rows]


def is_running(days: set[date], today: date) -> bool:
    return any(all(today - timedelta(days=begin + count) in days for count in range(DAYS_RUNNING)) for begin in (0, 1))


@in_one_look
def by_use(since: datetime, today: date) -> list[tuple[int, str, str]]:
    week = account_rows(since, Range(today - timedelta(days=6), today))
    left = Account.allowance_nanos + Account.credits_nanos - Account.reserved_nanos
    active = select(week.c.account_id).distinct()
    query = select(Account.id, ACCOUNT_NAME).where(left < Setting.get("low_balance"), Account.id.in_(active))
    rows = db.session.execute(query.where(Account.closed_at.is_(None)).order_by(left, Account.id).limit(SHOWN))
    return [*((row.id, row.name, "nearly out of credits") for row in rows), *fallen(since, today)]


def fallen(since: datetime, today: date) -> list[tuple[int, str, str]]:
    """Subscribers who used less than a third of their usual week: that of the four before."""
    week = account_rows(since, Range(today - timedelta(days=6), today))
    month = account_rows(since, Range(today - timedelta(days=34), today - timedelta(days=7)))
    now = select(week.c.account_id, func.sum(week.c.cost_nanos).label("cost")).group_by(week.c.account_id).subquery()
    used = select(month.c.account_id, func.sum(month.c.cost_nanos).label("cost"))
    before = used.group_by(month.c.account_id).subquery()
    has_fallen = (
        before.c.cost > 12 * func.coalesce(now.c.cost, 0),
        before.c.cost >= 4 * Setting.get("low_balance"),
    )
    query = select(Account.id, ACCOUNT_NAME).join(before, before.c.account_id == Account.id)
    query = query.outerjoin(now, now.c.account_id == Account.id).join(
        Subscription, Subscription.account_id == Account.id
    )
    rows = db.session.execute(
        query.where(Subscription.is_running(), *has_fallen).order_by(before.c.cost.desc()).limit(SHOWN)
    )
    return [(row.id, row.name, "uses less than a third of before") for row in rows]


def refusals(within: Range) -> list[tuple[str, int, int]]:
    """(code, times, accounts), the most frequent first."""
    times = func.sum(RefusalCount.count)
    accounts = func.count(RefusalCount.account_id.distinct())
    query = select(RefusalCount.code, times, accounts).where(within.covers(RefusalCount.day))
    rows = db.session.execute(query.group_by(RefusalCount.code).order_by(times.desc()))
    return [(code, int(count), int(many)) for code, count, many in rows]


def liability() -> tuple[int, int]:
    """(credits, allowance) in nanos that accounts may still use: what is owed in service."""
    owed = func.coalesce(func.sum(Account.credits_nanos).filter(Account.credits_nanos > 0), 0)
    row = db.session.execute(
        select(owed, func.coalesce(func.sum(Account.allowance_nanos), 0)).where(
            Account.closed_at.is_(None), Account.kind != "house"
        )
    )
    credits, allowance = row.one()
    return int(credits), int(allowance)
