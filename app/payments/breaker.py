"""The breaker at work: writes a pause down and tells of it, ends it, and learns what is usual. billing-rules.md 9."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Literal

from sqlalchemy import select, update

from app.extensions import db
from app.jobs import JobName, commit, enqueue_after_commit
from app.models.base import utcnow
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.identity.api_key import ApiKey
from app.models.metering.account_state import AccountState
from app.models.metering.breaker import WINDOW, Trip, account_bars, find_trip, write_down
from app.models.metering.gate_checks import tomorrow
from app.models.metering.spending import SpendingDay, SpendingPause, dearest_model
from app.notifications import spending_mails

Until = Literal["hour", "day", "off"]
Choice = Literal["on", "alert", "off"]
AT_ONCE = 500
"""How many accounts' bars are written in one transaction."""


def trip(account_id: int) -> None:
    """Pause the keys that ran away, or the account's spending, once, in the caller's transaction, with its mails."""
    account, now = Account.locked(account_id), utcnow()
    account_state = AccountState.load(account_id)
    if account.spending_paused_at or not (account_state.is_guarded(now) and account_state.is_over(now)):
        return
    tripped = find_trip(account_id, now)
    if tripped is None:
        return
    for key_id in tripped.key_ids or (None,):
        spending_mails.of_spending_pause(paused(account, key_id, tripped, now))
    write_down(account_id, now)


def paused(account: Account, key_id: int | None, tripped: Trip, now: datetime) -> SpendingPause:
    """The row of a pause; what it pauses is marked where each request reads it anyway."""
    model, percent, since = dearest_model(account.id, tripped.start, (key_id,) if key_id else ())
    row = SpendingPause(
        account_id=account.id,
        api_key_id=key_id,
        period=tripped.period,
        spent_nanos=tripped.spent,
        reserved_nanos=tripped.reserved,
        bar_nanos=tripped.bar,
        usual_nanos=tripped.usual.average_day,
        minutes=max(1, round((now - since).total_seconds() / 60)),
        model=model,
        model_percent=percent,
    )
    db.session.add(row)
    if key_id is None:
        account.spending_paused_at = now
    else:
        db.session.get_one(ApiKey, key_id).spending_paused_at = now
        account.paused_keys += 1
    db.session.flush()
    return row


def resume(actor: Actor, until: Until, *, was_mistake: bool = False) -> int:
    """Let spending go on: unguarded for an hour, for the rest of the day (UTC), or with the breaker off. Commits.

    `was_mistake`: today does not count as usual. Returns how many pauses that ended.
    """
    account, now = Account.locked(actor.account_id), utcnow()
    ended = go_on(account, actor, was_mistake=was_mistake)
    if until == "off":
        account.breaker = "off"
    else:
        account.breaker_off_until = now + timedelta(hours=1) if until == "hour" else tomorrow(now)
    commit()
    return ended


def choose(actor: Actor, breaker: Choice) -> None:
    """On, alert only or off. What only tells, or is off, pauses nothing. Commits."""
    account = Account.locked(actor.account_id)
    account.breaker, account.breaker_off_until = breaker, None
    if breaker != "on":
        go_on(account, actor)
    commit()


def go_on(account: Account, actor: Actor, *, was_mistake: bool = False) -> int:
    """Nothing is paused anymore, auto-recharge included. Returns how many pauses that ended."""
    pauses, now = SpendingPause.open_of(account.id), utcnow()
    for row in pauses:
        row.resumed_at, row.resumed_by_id, row.was_mistake = now, actor.user_id, was_mistake
    keys = ApiKey.account_id == account.id, ApiKey.spending_paused_at.is_not(None)
    db.session.execute(update(ApiKey).where(*keys).values(spending_paused_at=None))
    account.spending_paused_at, account.paused_keys = None, 0
    if any(row.api_key_id for row in pauses):
        db.session.flush()
        write_down(account.id, now)  # what a key had spent counts again
    enqueue_after_commit(JobName.RECHARGE, account.id)
    return len(pauses)


def learn(now: datetime) -> None:
    """Add up the days that are over, once each, and write the bars that follow onto the accounts. Commits."""
    days = list(days_to_learn(now.date()))
    for day in days:
        SpendingDay.learn(day)
    db.session.commit()
    if not days:
        return
    rows = account_bars(now.date())
    for first in range(0, len(rows), AT_ONCE):
        db.session.execute(update(Account), rows[first : first + AT_ONCE])
        db.session.commit()
    used = select(SpendingDay.account_id).where(SpendingDay.day >= now.date() - WINDOW)
    idle = Account.day_bar_nanos.is_not(None), Account.id.not_in(used)
    db.session.execute(update(Account).where(*idle).values(hour_bar_nanos=None, day_bar_nanos=None))
    db.session.commit()


def days_to_learn(today: date) -> Iterator[date]:
    """From the day after the newest that is known, at most 28 days back, to yesterday."""
    newest = SpendingDay.newest()
    day = max(today - WINDOW, newest + timedelta(days=1)) if newest else today - WINDOW
    while day < today:
        yield day
        day += timedelta(days=1)
