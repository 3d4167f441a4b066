"""The breaker: ordinary use never meets it, a loop is stopped near the account's own normal. billing-rules.md 9."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import cos, pi
from random import Random

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.ledger import LedgerEntry
from app.models.catalog.ai_model import AIModel
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.identity.api_key import ApiKey
from app.models.metering.account_state import AccountState
from app.models.metering.alerts import SOFTER_PERCENT, due_alerts
from app.models.metering.breaker import WINDOW, account_bars, floors, runaways, usual, usual_of
from app.models.metering.refusal import Refusal
from app.models.metering.reservation import Reservation, settle
from app.models.metering.spending import SpendingDay, SpendingPause
from app.models.operations.outbox import OutgoingMail
from app.payments import breaker
from app.providers.base import Prompt, PromptMessage, TokenUsage
from app.web.formatting import pause_text
from tests.models.conftest import refusal
from tests.support import Database
from tests.support.calls import reserve
from tests.support.people import CREDIT, actor, model, person

START = datetime(2026, 9, 1, 9, tzinfo=UTC)
BUSIEST_HOUR, BUSIEST_DAY = 100 * CREDIT, 300 * CREDIT


@pytest.fixture
def clock(session: Database) -> Iterator[time_machine.Traveller]:
    model("m", kind="demo", dollars_in="0", dollars_out="5")
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ada(clock: time_machine.Traveller) -> Account:
    """ada, of whom ten days are known: 300 credits at most, 100 an hour. What she has was given, not bought."""
    account = person("ada")
    LedgerEntry.post(account, "welcome", f"welcome:{account.id}", credits=100_000 * CREDIT)
    for days in range(1, 11):
        day = SpendingDay(account_id=account.id, day=START.date() - timedelta(days=days))
        day.spent_nanos, day.busiest_hour_nanos = BUSIEST_DAY, BUSIEST_HOUR
        db.session.add(day)
    db.session.commit()
    return account


def key_of(account: Account, name: str) -> Actor:
    key, _secret = ApiKey.make(account.id, account.owner.id, name)
    db.session.flush()
    return actor(account, api_key_id=key.id)


def begin(who: Actor, tokens: int = 1_000) -> Reservation:
    """A call whose ceiling is 5 credits for a thousand tokens."""
    question = Prompt("m", (PromptMessage("user", "hi"),), tokens)
    return reserve(who, question, AIModel.to_sell("m", utcnow())[1])


def end(reservation: Reservation, tokens: int = 1_000) -> None:
    assert settle(reservation, TokenUsage(output=tokens, source="reported"), "done") is not None


def loop(who: Actor, clock: time_machine.Traveller, *, at_once: int = 1) -> tuple[int, int, list[Reservation]]:
    """Ten calls a second until refused: what was spent and reserved by then, and the calls that still run."""
    running: list[Reservation] = []
    while (refused := begun_or_refused(who, running)) is None:
        clock.shift(timedelta(milliseconds=100))
        if len(running) == at_once:
            end(running.pop(0))
    assert (refused.code, refused.retry_after) == ("spending_paused", None)
    state = AccountState.load(who.account_id)
    breaker.trip(who.account_id)
    db.session.commit()
    return state.spent_on(utcnow()), state.reserved, running


def begun_or_refused(who: Actor, running: list[Reservation]) -> Refusal | None:
    try:
        running.append(begin(who))
    except Refusal as refused:
        return refused
    return None


@pytest.mark.databases("sqlite", "postgresql", short="in turns")
@pytest.mark.parametrize("hours", [0, 10], ids=["by the hour", "after half a day"])
def test_a_loop_stops_before_twice_the_busiest_day(ada: Account, clock: time_machine.Traveller, hours: int) -> None:
    for _ in range(hours):
        for _ in range(10):
            end(begin(actor(ada)))
        clock.shift(timedelta(hours=1))
    spent, reserved, running = loop(actor(ada), clock, at_once=2)
    assert spent <= 2 * BUSIEST_DAY
    assert spent + reserved - 5 * CREDIT <= (3 * BUSIEST_HOUR if not hours else 2 * BUSIEST_DAY) < spent + reserved
    for reservation in running:
        end(reservation)
    after = AccountState.load(ada.id)
    assert after.spent_on(utcnow()) == spent + reserved
    assert refusal(lambda: begin(actor(ada))).code == "spending_paused"


def test_the_pause_is_written_once_with_its_figures_and_told_once(ada: Account, clock: time_machine.Traveller) -> None:
    loop(actor(ada), clock)
    for _ in range(3):
        breaker.trip(ada.id)
    [pause] = db.session.scalars(select(SpendingPause))
    assert (pause.bar_nanos, pause.usual_nanos, pause.period) == (3 * BUSIEST_HOUR, BUSIEST_DAY, "hour")
    assert pause_text(pause) == "In a minute: 305 credits, 100% of it m."
    assert db.session.scalars(select(OutgoingMail.template)).all() == ["spending_paused"]
    assert AccountState.load(ada.id).spending_paused_at == START + timedelta(seconds=6.1)


def test_a_key_that_runs_away_is_paused_alone(ada: Account, clock: time_machine.Traveller) -> None:
    nightly, other = key_of(ada, "nightly"), key_of(ada, "other")
    end(begin(actor(ada)))
    end(begin(other))
    loop(nightly, clock)
    [pause] = db.session.scalars(select(SpendingPause))
    assert (pause.api_key_id, 'by key "nightly"' in pause_text(pause)) == (nightly.api_key_id, True)
    for who in (actor(ada), other):
        end(begin(who))
    paused = actor(ada, api_key_id=nightly.api_key_id, is_key_paused=True)
    assert refusal(lambda: begin(paused)).code == "spending_paused"
    state = AccountState.load(ada.id)
    assert (state.spending_paused_at, state.paused_keys, state.is_over(utcnow())) == (None, 1, False)
    loop(actor(ada), clock)
    assert AccountState.load(ada.id).spending_paused_at is not None


def test_what_is_resumed_goes_on_until_the_hour_the_day_or_for_good(
    ada: Account, clock: time_machine.Traveller
) -> None:
    loop(actor(ada), clock)
    breaker.resume(actor(ada), "hour")
    end(begin(actor(ada)))
    clock.shift(timedelta(minutes=61))
    loop_spent, _reserved, _running = loop(actor(ada), clock)
    assert loop_spent > 3 * BUSIEST_HOUR
    breaker.resume(actor(ada), "day", was_mistake=True)
    end(begin(actor(ada)))
    clock.move_to(datetime(2026, 9, 2, 0, 1, tzinfo=UTC))
    breaker.learn(utcnow())
    learned = db.session.get_one(SpendingDay, (ada.id, START.date()))
    assert (learned.was_mistake, AccountState.load(ada.id).bars) == (
        True,
        (3 * BUSIEST_HOUR, 2 * BUSIEST_DAY),
    )
    loop(actor(ada), clock)
    breaker.resume(actor(ada), "off")
    end(begin(actor(ada), 100_000), 100_000)
    end(begin(actor(ada)))


def test_what_is_usual_is_of_seven_days_and_of_no_mistake(ada: Account) -> None:
    known = db.session.query(SpendingDay).order_by(SpendingDay.day).all()
    known[0].spent_nanos, known[0].busiest_hour_nanos, known[0].was_mistake = (
        9 * BUSIEST_DAY,
        9 * BUSIEST_HOUR,
        True,
    )
    bars = []
    for day in known[1:5]:
        db.session.flush()
        [by_clock] = (row for row in account_bars(START.date()) if row["id"] == ada.id)
        bars.append(usual_of(ada.id, START).bars)
        assert bars[-1] == (by_clock["hour_bar_nanos"], by_clock["day_bar_nanos"])
        db.session.delete(day)
    floor = usual_of(ada.id, START).floor
    assert bars == [(3 * BUSIEST_HOUR, 2 * BUSIEST_DAY)] * 3 + [(floor, floor)]


@pytest.mark.parametrize("choice", ["alert", "off"])
def test_what_only_alerts_or_is_off_pauses_nothing(ada: Account, clock: time_machine.Traveller, choice: str) -> None:
    loop(actor(ada), clock)
    breaker.choose(actor(ada), choice)
    end(begin(actor(ada), 100_000), 100_000)
    end(begin(actor(ada)))
    is_told = "unusual_spending" in due_alerts(AccountState.load(ada.id), utcnow())
    assert is_told == (choice == "alert")


def test_what_was_bought_lifts_the_floor_at_once(ada: Account, clock: time_machine.Traveller) -> None:
    LedgerEntry.post(ada, "purchase", "purchase:1", credits=10_000 * CREDIT)
    spent, _reserved, _running = loop(actor(ada), clock)
    assert spent == 1_005 * CREDIT == AccountState.load(ada.id).bars[0] + 5 * CREDIT


def test_a_day_is_learned_once_from_what_ended_in_it(ada: Account, clock: time_machine.Traveller) -> None:
    for at in (START, START + timedelta(hours=1), START + timedelta(hours=1, minutes=59)):
        clock.move_to(at)
        end(begin(actor(ada)))
    for _ in range(2):
        clock.move_to(START + timedelta(days=1))
        breaker.learn(utcnow())
    day = db.session.get_one(SpendingDay, (ada.id, START.date()))
    assert (day.spent_nanos, day.busiest_hour_nanos) == (15 * CREDIT, 10 * CREDIT)
    clock.move_to(START + timedelta(days=60))
    breaker.learn(utcnow())
    assert AccountState.load(ada.id).hour_bar is None
    assert db.session.scalar(select(func.count()).select_from(SpendingDay)) == 11


@given(
    sums=st.dictionaries(st.none() | st.integers(1, 9), st.integers(0, 1_000), min_size=1),
    bar=st.integers(0, 2_000),
)
def test_keys_are_to_blame_only_where_the_rest_is_within_the_bar(sums: dict[int | None, int], bar: int) -> None:
    blamed = runaways(sums, bar)
    rest = sum(amount for key, amount in sums.items() if key not in blamed)
    assert None not in blamed
    assert rest <= bar if blamed else True
    if blamed and sum(sums.values()) > bar:
        assert sums[blamed[-1]] > sum(sums.values()) - sum(sums[key] for key in blamed)


def hourly(dice: Random, per_day: float, day: int) -> list[int]:
    """What somebody spends in each hour of a day: by day and night, weekday and weekend, one launch day for all."""
    calls = per_day * (0.4 if day % 7 in (5, 6) else 1) * (1.6 if day == 19 else 1) * dice.lognormvariate(0, 0.3)
    shape = [max(0.02, 1 - cos((hour - 3) * pi / 12)) * dice.uniform(0.3, 1.7) for hour in range(24)]
    return [int(calls * part / sum(shape) * CREDIT) for part in shape]


def test_thirty_ordinary_days_of_two_hundred_people(session: Database) -> None:
    """Each begins with nothing known and has bought a month of what they use; what pauses and alerts is counted."""
    dice, pauses, alerts = Random(22), 0, set()  # noqa: S311
    for number in range(200):
        per_day = dice.lognormvariate(3.5, 1.2)
        bought, days = int(30 * per_day * CREDIT), []
        for day in range(30):
            known = days[-WINDOW.days :]
            normal = usual(
                max((max(hours) for hours in known), default=0),
                max((sum(hours) for hours in known), default=0),
                sum(map(sum, known)),
                len(known),
                bought,
                floors(),
            )
            hours = hourly(dice, per_day, day)
            for bar, spent in zip(normal.bars, (max(hours), sum(hours)), strict=True):
                pauses += spent > bar
                if spent > bar * SOFTER_PERCENT // 100:
                    alerts.add((number, day))
            days.append(hours)
    assert (pauses, len(alerts) <= 1) == (0, True)
