"""Calls are added up as they end: each once, whatever happens meanwhile, and read as if they were not added up."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, func, select

from app.admin.dashboard_figures import Range, books_of, usage_rows
from app.extensions import db
from app.models.identity.account import Account
from app.models.metering.usage import Usage
from app.models.metering.usage_rollup import (
    ADDED_UP_EVERY,
    BEGINNING,
    SETTLING,
    AccountDay,
    DailyTotal,
    Watermark,
    add_up,
    in_one_look,
)
from tests.admin.test_dashboard import NOW, ada, call, history, month
from tests.support import Database
from tests.support.people import CREDIT

__all__ = ["ada", "history"]


@pytest.mark.databases("sqlite", "postgresql")
def test_what_is_added_up_says_what_the_calls_said(history: Account) -> None:
    add_up(NOW - timedelta(days=2))
    half = books_of(month())
    add_up(NOW)
    assert [(day.day, day.cost_nanos, day.accounts) for day in books_of(month()).days] == [
        (day.day, day.cost_nanos, day.accounts) for day in half.days
    ]
    assert books_of(month()).by == half.by


def test_a_call_that_ends_after_midnight_belongs_to_the_day_it_began(ada: Account, session: Database) -> None:
    late = call(ada, NOW - timedelta(days=1), 3 * CREDIT)
    late.created_at = datetime(2026, 11, 18, 23, 59, tzinfo=UTC)
    late.day, late.settled_at = late.created_at.date(), late.created_at + timedelta(minutes=2)
    session.commit()
    add_up(NOW)
    assert session.scalars(select(AccountDay.day)).one() == late.day
    assert {day.day: day.cost_nanos for day in books_of(month()).days if day.cost_nanos} == {late.day: 3 * CREDIT}


def test_calls_wait_for_an_older_one_that_runs(history: Account, session: Database) -> None:
    running = call(history, NOW - timedelta(days=2, minutes=30), 0, state="running", outcome=None)
    running.settled_at = None
    session.commit()
    add_up(NOW)
    assert Watermark.now() == running.created_at
    running.state, running.outcome = "settled", "done"
    running.cost_nanos = running.credits_paid_nanos = 9 * CREDIT
    running.settled_at = NOW - timedelta(hours=20)
    session.commit()
    add_up(NOW)
    assert added_up() == db.session.scalar(select(func.sum(Usage.cost_nanos)).where(Usage.created_at < Watermark.now()))


def added_up() -> int:
    """The cost in the totals of the accounts, which is that in the others too."""
    cost = db.session.scalar(select(func.sum(AccountDay.cost_nanos)))
    assert cost == db.session.scalar(select(func.sum(DailyTotal.cost_nanos)))
    return int(cost or 0)


@pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))
def test_the_newest_calls_are_not_added_up_yet(history: Account) -> None:
    """Those of the last ten minutes, which another machine may just be writing."""
    add_up(NOW + SETTLING)
    before = added_up()
    add_up(NOW + SETTLING + timedelta(microseconds=1))
    assert added_up() == before + 3 * CREDIT
    assert Watermark.now() == NOW + timedelta(microseconds=1)


@pytest.mark.databases("sqlite", "postgresql")
def test_a_day_grows_as_its_calls_end(ada: Account, session: Database) -> None:
    for minutes in range(0, 240, 20):
        call(ada, NOW + timedelta(minutes=minutes), CREDIT + minutes)
        session.commit()
        add_up(NOW + timedelta(minutes=minutes))
    add_up(NOW + timedelta(hours=5))
    assert session.scalars(select(AccountDay.calls)).all() == [12]
    assert added_up() == session.scalar(select(func.sum(Usage.cost_nanos)))


def test_a_clock_that_was_set_back_loses_no_call(ada: Account, session: Database) -> None:
    call(ada, NOW - timedelta(hours=1), CREDIT)
    session.commit()
    add_up(NOW)
    back = call(ada, NOW - timedelta(minutes=9), 2 * CREDIT)
    back.settled_at = back.created_at - timedelta(minutes=9)
    session.commit()
    assert books_of(month()).sum("cost_nanos") == 3 * CREDIT
    add_up(NOW + timedelta(hours=1))
    assert added_up() == 3 * CREDIT


def test_a_call_that_ended_late_is_in_the_totals_or_among_the_newest(ada: Account, session: Database) -> None:
    slow = call(ada, NOW - timedelta(minutes=11), CREDIT)
    slow.settled_at = NOW - timedelta(minutes=1)
    call(ada, NOW, 2 * CREDIT)
    session.commit()
    add_up(NOW)
    assert (added_up(), books_of(month()).sum("cost_nanos")) == (CREDIT, 3 * CREDIT)


def test_a_range_that_ended_before_the_newest_calls_leaves_them_out(history: Account) -> None:
    add_up(NOW)
    until_yesterday = Range(month().first, NOW.date() - timedelta(days=1))
    today = books_of(month()).days[-1].cost_nanos
    assert books_of(until_yesterday).sum("cost_nanos") == books_of(month()).sum("cost_nanos") - today
    assert today > 0


def test_a_call_that_was_found_days_later_is_added_up(ada: Account, session: Database) -> None:
    """The machine was down with it."""
    lost = call(ada, NOW - timedelta(days=5), CREDIT)
    lost.settled_at = NOW - timedelta(hours=1)
    for days in (400, 6, 4, 0):
        call(ada, NOW - timedelta(days=days), CREDIT)
    session.commit()
    add_up(NOW - timedelta(days=5, hours=1))
    add_up(NOW)
    assert added_up() == 4 * CREDIT


def test_what_goes_over_to_the_totals_in_the_middle_of_a_look_is_seen_once(history: Account) -> None:
    looks = []

    @in_one_look
    def read(since: datetime) -> int:
        whole = sum(row.cost_nanos for row in usage_rows(since, month()))
        looks.append(whole)
        if len(looks) == 1:
            add_up(NOW)
        return whole + added_up() - added_up()

    assert read() == db.session.scalar(select(func.sum(Usage.cost_nanos)))
    assert len(looks) == 2


@pytest.mark.databases("postgresql")
def test_two_who_add_up_at_once_add_each_call_once(app: Flask, history: Account) -> None:
    cost = db.session.scalar(select(func.sum(Usage.cost_nanos)))

    def adding() -> None:
        with app.app_context():
            add_up(NOW + timedelta(hours=1))
            db.session.commit()

    with ThreadPoolExecutor(4) as threads:
        for ended in [threads.submit(adding) for _ in range(4)]:
            ended.result()
    assert added_up() == cost


def test_adding_up_twice_changes_nothing(history: Account) -> None:
    add_up(NOW)
    once = books_of(month())
    add_up(NOW)
    assert books_of(month()) == once


@pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))
@pytest.mark.parametrize("ahead", [timedelta(days=1, hours=1), timedelta(minutes=12)])
def test_calls_that_began_behind_a_watermark_of_a_clock_that_was_ahead_are_added_up(
    history: Account, session: Database, ahead: timedelta
) -> None:
    add_up(NOW + ahead)
    call(history, NOW + timedelta(minutes=1), 7 * CREDIT)
    session.commit()
    add_up(NOW + ADDED_UP_EVERY)
    assert Watermark.now() == NOW + ADDED_UP_EVERY - SETTLING
    add_up(NOW + timedelta(minutes=20))
    assert added_up() == session.scalar(select(func.sum(Usage.cost_nanos)))


def test_totals_can_be_made_again_from_the_calls(history: Account) -> None:
    add_up(NOW)
    once = books_of(month())
    for table in (DailyTotal, AccountDay):
        db.session.execute(delete(table))
    Watermark.move(BEGINNING)
    add_up(NOW)
    assert books_of(month()) == once
