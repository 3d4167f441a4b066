"""The breaker: new spending pauses where it is far from an account's own normal. billing-rules.md 9.

What a message meets is two comparisons of figures on the account's row. Only where one of them is passed are the
account's days, its ledger and its calls read, for the bars as they are now and for the key that is to blame.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import and_, case, func, or_, select, update

from app.extensions import db
from app.models.billing.ledger import LedgerEntry
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.identity.api_key import ApiKey
from app.models.metering.account_state import AccountState
from app.models.metering.balance import NO_LIMIT, hour_of
from app.models.metering.refusal import Refusal
from app.models.metering.spending import SpendingDay
from app.models.metering.usage import Usage
from app.models.metering.usage_rollup import start_of

WINDOW = timedelta(days=28)
FEWEST_DAYS = 7
"""Days of use under which nothing is usual yet."""

HOURS, DAYS = 3, 2
"""How often the busiest usual hour, and the busiest usual day, may be passed."""

Key = int | None
UNGUARDED = NO_LIMIT, NO_LIMIT
BOUGHT = "purchase", "recharge", "refill", "plan_change", "bonus", "gift", "grant"
LONGEST_CALL = timedelta(days=1)


class Usual(NamedTuple):
    """What is usual for an account: its busiest hour and day, an average day; and the floor under both bars."""

    busiest_hour: int
    busiest_day: int
    average_day: int
    floor: int

    @property
    def bars(self) -> tuple[int, int]:
        return max(self.floor, HOURS * self.busiest_hour), max(self.floor, DAYS * self.busiest_day)


@dataclass(frozen=True, slots=True)
class Trip:
    """The bar that was passed, by how much, and by which keys; without keys it is the whole account's spending."""

    period: str
    start: datetime
    bar: int
    spent: int
    reserved: int
    usual: Usual
    key_ids: tuple[int, ...] = ()


def check_breaker(account_state: AccountState, actor: Actor, at: datetime) -> tuple[int, int]:
    """The bars that this call is to be reserved within. Refusal where spending is paused, or is to be."""
    if account_state.spending_paused_at is not None or actor.is_key_paused:
        raise spending_paused(account_state)
    if not account_state.is_guarded(at):
        return UNGUARDED
    if not account_state.is_over(at):
        return account_state.bars
    trip = find_trip(account_state.account_id, at)
    if trip is None:
        write_down(account_state.account_id, at)
    elif not trip.key_ids or actor.api_key_id in trip.key_ids:
        raise spending_paused(account_state, trip)
    return UNGUARDED


def spending_paused(account_state: AccountState, trip: Trip | None = None) -> Refusal:
    """Nobody comes back by themselves: no Retry-After. `trip` is still to be written down."""
    is_key = bool(trip.key_ids) if trip else account_state.spending_paused_at is None
    spent = trip.spent + trip.reserved if trip else None
    details: dict[str, Any] = {
        "used": spent,
        "limit": trip.bar if trip else None,
        "limit_kind": trip.period if trip else None,
    }
    refusal = Refusal("spending_paused", context={"is_key": is_key}, way_out="resume", **details)
    refusal.is_trip = trip is not None
    return refusal


def usual_of(account_id: int, at: datetime) -> Usual:
    """From the last 28 days without today, and without days of which somebody said that they were a mistake."""
    days = SpendingDay.account_id == account_id, SpendingDay.day >= (at - WINDOW).date()
    past = *days, SpendingDay.day < at.date(), ~SpendingDay.was_mistake
    hour, day, total, count = db.session.execute(select(*FIGURES).where(*past)).one()
    bought = db.session.scalar(select(BOUGHT_NANOS).where(LedgerEntry.account_id == account_id))
    return usual(hour or 0, day or 0, int(total or 0), count, int(bought or 0), floors())


def usual(hour: int, day: int, total: int, count: int, bought: int, floors: tuple[int, int]) -> Usual:
    """Under seven days of use only the floor counts: the least that it is, or a percentage of what was bought."""
    least, percent = floors
    is_known = count >= FEWEST_DAYS
    busiest = (hour, day, total // count) if is_known else (0, 0, 0)
    return Usual(*busiest, max(least, bought * percent // 100))


def floors() -> tuple[int, int]:
    """The settings that a floor goes by."""
    return int(Setting.get("breaker_floor")), int(Setting.get("breaker_floor_percent"))


def find_trip(account_id: int, at: datetime) -> Trip | None:
    """The bar that the account has passed, by its calls and days as they are now."""
    return trip_of(lambda start: spending_by_key(account_id, start), usual_of(account_id, at), at)


def trip_of(spending: Callable[[datetime], Mapping[Key, tuple[int, int]]], normal: Usual, at: datetime) -> Trip | None:
    """The first bar that is passed by what keys that are not paused, and people, have spent and hold reserved."""
    hour_bar, day_bar = normal.bars
    for period, start, bar in (("hour", hour_of(at), hour_bar), ("day", start_of(at.date()), day_bar)):
        by_key = spending(start)
        sums = {key: spent + reserved for key, (spent, reserved) in by_key.items()}
        if sum(sums.values()) > bar:
            keys = runaways(sums, bar)
            blamed = [figures for key, figures in by_key.items() if not keys or key in keys]
            spent, reserved = (sum(column) for column in zip(*blamed, strict=True))
            return Trip(period, start, bar, spent, reserved, normal, keys)
    return None


def runaways(sums: Mapping[int | None, int], bar: int) -> tuple[int, ...]:
    """The keys without which the rest is within the bar, each more than half of what was left; else none."""
    left, blamed = sum(sums.values()), []
    for key, amount in sorted(sums.items(), key=lambda pair: -pair[1]):
        if left <= bar or key is None or 2 * amount <= left:
            break
        blamed.append(key)
        left -= amount
    return tuple(blamed) if left <= bar else ()


def spending_by_key(account_id: int, start: datetime) -> dict[Key, tuple[int, int]]:
    """Spent since then and reserved now, by key, people under None; paused keys are left out."""
    own = Usage.account_id == account_id, Usage.created_at >= start - LONGEST_CALL
    ended = and_(Usage.state == "settled", Usage.settled_at >= start)
    sums = (
        Usage.api_key_id,
        func.sum(case((ended, Usage.paid_nanos), else_=0)),
        func.sum(case((Usage.state == "running", Usage.reserved_nanos), else_=0)),
    )
    is_paused = ApiKey.id.is_not(None) & ApiKey.spending_paused_at.is_not(None)
    rows = (
        select(*sums)
        .outerjoin(ApiKey, ApiKey.id == Usage.api_key_id)
        .where(*own, or_(ended, Usage.state == "running"), ~is_paused)
        .group_by(Usage.api_key_id)
    )
    return {key: (int(spent), int(reserved)) for key, spent, reserved in db.session.execute(rows)}


def write_down(account_id: int, at: datetime) -> None:
    """Bars and sums as they are now onto the account's row, where every message reads them; without paused keys.

    The account is held before its calls are read: what settles meanwhile is added to what is written here.
    """
    AccountState.lock(account_id)
    hour_bar, day_bar = usual_of(account_id, at).bars
    sums = {}
    for name, start in (("hour_spent_nanos", hour_of(at)), ("day_spent_nanos", start_of(at.date()))):
        sums[name] = sum(spent for spent, _ in spending_by_key(account_id, start).values())
    is_same = Account.day == at.date(), Account.hour == hour_of(at)
    bars = {"hour_bar_nanos": hour_bar, "day_bar_nanos": day_bar}
    db.session.execute(update(Account).where(Account.id == account_id).values(**bars))
    db.session.execute(update(Account).where(Account.id == account_id, *is_same).values(**sums))


def account_bars(day: date) -> list[dict[str, int]]:
    """The bars of every account that was used in the 28 days before that day, for its row."""
    days = SpendingDay.day >= day - WINDOW, SpendingDay.day < day, ~SpendingDay.was_mistake
    used = db.session.execute(select(SpendingDay.account_id, *FIGURES).where(*days).group_by(SpendingDay.account_id))
    sums = select(LedgerEntry.account_id, BOUGHT_NANOS).group_by(LedgerEntry.account_id)
    bought = {account_id: int(nanos or 0) for account_id, nanos in db.session.execute(sums)}
    rows, of_now = [], floors()
    for account_id, hour, busiest, total, count in used:
        hour_bar, day_bar = usual(hour, busiest, int(total), count, bought.get(account_id, 0), of_now).bars
        rows.append({"id": account_id, "hour_bar_nanos": hour_bar, "day_bar_nanos": day_bar})
    return rows


FIGURES = (
    func.max(SpendingDay.busiest_hour_nanos),
    func.max(SpendingDay.spent_nanos),
    func.sum(SpendingDay.spent_nanos),
    func.count(),
)
"""Of some days: the busiest hour, the busiest day, all of them, and how many there are."""

POSITIVE = case((LedgerEntry.credits_nanos > 0, LedgerEntry.credits_nanos), else_=0)
POSITIVE_ALLOWANCE = case((LedgerEntry.allowance_nanos > 0, LedgerEntry.allowance_nanos), else_=0)
BOUGHT_NANOS = func.sum(POSITIVE + POSITIVE_ALLOWANCE).filter(LedgerEntry.kind.in_(BOUGHT))
