"""Weekly summaries: for those who chose one, what their account used; for owners of the admin, the business.

Written on Mondays (UTC) from the daily totals, by a few statements for many accounts. The outbox's keys make each once,
whatever runs twice.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from flask import current_app
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import func, select

from app import mailer
from app.extensions import db
from app.models.base import credits_text, utcnow
from app.models.billing.allowance_refill import next_refill
from app.models.billing.call_audit import CallAudit
from app.models.billing.refund import revenue_between
from app.models.billing.subscription import Subscription
from app.models.catalog.price_ahead import prices_ahead
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.membership import MANAGERS, Membership
from app.models.identity.user import User
from app.models.metering.usage_rollup import DailyTotal, Watermark, start_of
from app.models.metering.weekly_use import WEEK, WeeklyUse, names_of, titles_of, weekly_uses
from app.models.operations.outbox import OutgoingMail
from app.models.operations.outgoing_webhook import count_unsent
from app.models.operations.refused_call import UNKNOWN_MODELS, RefusedCall
from app.models.operations.webhook_event import stuck

AT_ONCE = 500
"""How many accounts are read and written in one transaction."""

HOUR = 6
"""From when on Monday they are written: by then Sunday is added up."""

AHEAD = timedelta(days=30)
Texts = dict[str, Any]


def write(now: datetime) -> int:
    """Write this week's summaries down, once each; returns how many accounts were looked at. Commits."""
    monday = now.date() - timedelta(days=now.weekday())
    if now < start_of(monday) + timedelta(hours=HOUR) or Watermark.now() < start_of(monday):
        db.session.rollback()
        return 0
    write_founders(monday)
    chosen = Membership.wants_digest, Membership.role.in_(MANAGERS)
    ids = list(db.session.scalars(select(Membership.account_id).where(*chosen).distinct()))
    for first in range(0, len(ids), AT_ONCE):
        write_some(ids[first : first + AT_ONCE], monday, now)
        db.session.commit()
    db.session.commit()
    return len(ids)


def write_some(account_ids: Sequence[int], monday: date, now: datetime) -> None:
    """Those of some accounts. Where nothing was used, or all are written already, there is none."""
    members = due_members(account_ids, monday)
    uses = weekly_uses(sorted({member.account_id for member, _user in members}), monday)
    names = names_of({user_id for use in uses.values() for user_id in use.by_user})
    own_chats = {
        member.id: uses[member.account_id].dearest_chat_of(member.user_id)
        for member, _user in members
        if member.account_id in uses
    }
    titles = titles_of({chat for chat, _nanos in own_chats.values()})
    changes = {ahead.model.name: ahead.model.title for ahead in prices_ahead(now, AHEAD)}
    open_accounts = Account.id.in_(uses), Account.closed_at.is_(None)
    accounts = {account.id: account for account in db.session.scalars(select(Account).where(*open_accounts))}
    texts = {
        account_id: account_texts(account, uses[account_id], now) | use_texts(uses[account_id], names, changes)
        for account_id, account in accounts.items()
    }
    mails = [
        {
            "key": key_of(member, monday),
            "to": user.email,
            "user_id": user.id,
            "template": "digest",
            "context": texts[member.account_id]
            | chat_texts(*own_chats[member.id], titles)
            | {"membership_id": member.id, "week": week_text(monday)},
        }
        for member, user in members
        if member.account_id in texts
    ]
    OutgoingMail.post_many(mails)


def due_members(account_ids: Sequence[int], monday: date) -> list[tuple[Membership, User]]:
    """Who chose a summary of these accounts, and was not written to yet this week."""
    chosen = Membership.account_id.in_(account_ids), Membership.wants_digest, Membership.role.in_(MANAGERS)
    members = select(Membership, User).join(User, User.id == Membership.user_id)
    rows = [(member, user) for member, user in db.session.execute(members.where(*chosen, User.disabled_at.is_(None)))]
    keys = [key_of(member, monday) for member, _user in rows]
    written = set(db.session.scalars(select(OutgoingMail.key).where(OutgoingMail.key.in_(keys))))
    return [(member, user) for member, user in rows if key_of(member, monday) not in written]


def key_of(member: Membership, monday: date) -> str:
    return f"digest:{monday}:{member.id}"


def week_text(monday: date) -> str:
    first, last = monday - WEEK, monday - timedelta(days=1)
    return f"{first.day} {first:%B} to {last.day} {last:%B}"


def account_texts(account: Account, use: WeeklyUse, now: datetime) -> Texts:
    """What is left, how long it lasts at this pace, and when more comes."""
    left = max(0, account.allowance_nanos + account.credits_nanos)
    comes = next_refill(account, now)
    return {
        "account_name": account.title,
        "left": credits_text(left),
        "days": left * WEEK.days // use.spent,
        "refill": f"{credits_text(comes.amount)} on {comes.at.day} {comes.at:%B}" if comes and comes.at else "",
    }


def use_texts(use: WeeklyUse, names: dict[int, str], changes: dict[str, str]) -> Texts:
    members = sorted(use.by_user.items(), key=lambda share: -share[1])[:5]
    return {
        "spent": credits_text(use.spent),
        "before": credits_text(use.before),
        "models": "; ".join(f"{name}: {credits_text(nanos)}" for name, nanos in use.models),
        "members": "; ".join(f"{names.get(user_id, 'Somebody')}: {credits_text(nanos)}" for user_id, nanos in members)
        if len(use.by_user) > 1
        else "",
        "changes": ", ".join(title for name, title in changes.items() if name in use.by_model),
    }


def chat_texts(chat: int, nanos: int, titles: dict[int, str]) -> Texts:
    """The reader's own dearest chat."""
    return {"chat": titles.get(chat, ""), "chat_cost": credits_text(nanos)}


def write_founders(monday: date) -> None:
    """The business in a week, to each owner of the admin."""
    if not Setting.get("founder_digest"):
        return
    owners = list(db.session.scalars(select(User).where(User.admin_role == "owner", User.disabled_at.is_(None))))
    keys = {user.id: f"founder:{monday}:{user.id}" for user in owners}
    written = set(db.session.scalars(select(OutgoingMail.key).where(OutgoingMail.key.in_(keys.values()))))
    waiting = [user for user in owners if keys[user.id] not in written]
    if not waiting:
        return
    texts = business_texts(monday)
    rows = [{"key": keys[user.id], "to": user.email, "user_id": user.id} for user in waiting]
    OutgoingMail.post_many([row | {"template": "founder_digest", "context": texts} for row in rows])


def business_texts(monday: date) -> Texts:
    begins, ends = start_of(monday - WEEK), start_of(monday)
    moved = revenue_between(begins, ends)
    sums = select(moved.c.currency, func.sum(moved.c.cents)).group_by(moved.c.currency)
    revenue = {currency: int(cents) for currency, cents in db.session.execute(sums)}
    days = DailyTotal.day >= monday - WEEK, DailyTotal.day < monday
    cost, absorbed = db.session.execute(
        select(func.sum(DailyTotal.cost_nanos), func.sum(DailyTotal.absorbed_nanos)).where(*days)
    ).one()
    live = Account.closed_at.is_(None), Account.kind != "house"
    owed = select(func.sum(Account.allowance_nanos + Account.credits_nanos)).where(*live)
    return {
        "week": week_text(monday),
        "revenue": revenue,
        "cost": credits_text(int(cost or 0)),
        "absorbed": credits_text(int(absorbed or 0)),
        "owed": credits_text(int(db.session.scalar(owed) or 0)),
        "new": count(Account, Account.created_at, begins, ends),
        "lost": count(Subscription, Subscription.ended_at, begins, ends, Subscription.rejected_at.is_(None)),
        "unpriced": ", ".join(unpriced_models(begins, ends)),
        "alarms": "; ".join(alarms()),
        "admin_url": mailer.link("admin.index"),
    }


def count(table: Any, column: Any, begins: datetime, ends: datetime, *conditions: Any) -> int:
    within = column >= begins, column < ends, *conditions
    return db.session.scalar(select(func.count()).select_from(table).where(*within)) or 0


def unpriced_models(begins: datetime, ends: datetime) -> list[str]:
    """What was asked for and is not on sale, the most often first."""
    times = func.count()
    asked = RefusedCall.code.in_(UNKNOWN_MODELS), RefusedCall.model.is_not(None)
    within = RefusedCall.created_at >= begins, RefusedCall.created_at < ends
    rows = db.session.execute(
        select(RefusedCall.model, times)
        .where(*asked, *within)
        .group_by(RefusedCall.model)
        .order_by(times.desc())
        .limit(5)
    )
    return [f"{model} ({number})" for model, number in rows]


def alarms() -> list[str]:
    audited, held_up, lost = CallAudit.last(), stuck(utcnow()), count_unsent()
    texts = []
    if audited and audited.differing:
        texts.append(f"{audited.differing} calls differ from their prices")
    if held_up:
        texts.append(f"{held_up} Stripe events are stuck")
    if lost:
        texts.append(f"{lost} webhooks were given up")
    return texts


@mailer.made_at_sending("digest")
def unsubscribe_link(posted: OutgoingMail) -> Texts | None:
    """Nothing is sent to who has unsubscribed, or left, since it was written."""
    member = db.session.get(Membership, posted.context["membership_id"])
    if member is None or not member.wants_digest or not member.can_manage:
        return None
    return {"unsubscribe_url": mailer.link("auth.stop_digest", token=str(signer().dumps(member.id)))}


def member_of(token: str) -> Membership | None:
    """Whose summary a link ends; None where we did not make it."""
    try:
        return db.session.get(Membership, signer().loads(token))
    except BadSignature:
        return None


def signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="weekly summary")
