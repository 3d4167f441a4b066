"""The overview's figures: the same as the audit's, whether the calls are added up or not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session, scoped_session

from app.admin.figures import Range, books_of, usage_rows
from app.admin.risks import at_risk, dearest, losing
from app.billing.auditing import from_calls
from app.extensions import db
from app.models.account import Account
from app.models.daily_total import (
    SETTLING,
    AccountDay,
    DailyTotal,
    Watermark,
    add_up,
    forget_all,
    in_one_look,
)
from app.models.house import open_house
from app.models.payment import Payment
from app.models.plan import Plan
from app.models.price import ModelPrice
from app.models.refusal_count import RefusalCount
from app.models.usage import Usage
from tests.admin.conftest import Desk
from tests.support import people
from tests.support.people import CREDIT

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def call(account: Account, at: datetime, cost: int, *, paid: int | None = None, **facts: Any) -> Usage:
    """A call that was settled at that moment; what is not paid is absorbed."""
    paid = cost if paid is None else paid
    price = db.session.scalars(select(ModelPrice)).first()
    usage = Usage(
        account_id=account.id, user_id=account.memberships[0].user_id, price_id=price.id, created_at=at, settled_at=at,
        day=at.date(), reserved_nanos=cost, max_output_tokens=10, cost_nanos=cost, absorbed_nanos=cost - paid,
        **{"model": "gpt-test", "state": "settled", "outcome": "done", "credits_paid_nanos": paid, "output": 7} | facts,
    )  # fmt: skip
    db.session.add(usage)
    return usage


@pytest.fixture
def ada(session: scoped_session[Session]) -> Account:
    people.model(kind="demo")
    account = people.person("ada", credits=10_000 * CREDIT)
    session.flush()
    return account


@pytest.fixture
def history(ada: Account, session: scoped_session[Session]) -> Account:
    """Calls on five days, the last of them today; one absorbed in part, one released."""
    for days in range(5):
        for number in range(days + 1):
            call(ada, NOW - timedelta(days=days, hours=number), 3 * CREDIT + number)
    call(ada, NOW - timedelta(days=2), 5 * CREDIT, paid=2 * CREDIT, model="other")
    call(
        ada,
        NOW - timedelta(days=1),
        4 * CREDIT,
        paid=0,
        state="released",
        outcome="failed",
        operation="title",
    )
    session.commit()
    return ada


def month() -> Range:
    return Range(NOW.date() - timedelta(days=29), NOW.date())


@pytest.mark.databases("sqlite", "postgresql")
def test_the_figures_are_the_audits_sums(history: Account) -> None:
    add_up(NOW)
    after = books_of(month())
    paid = sum(allowance + credits for allowance, credits in from_calls().values())
    assert after.sum("paid_nanos") == paid > 0
    cost = db.session.scalar(select(func.sum(Usage.cost_nanos)))
    absorbed = db.session.scalar(select(func.sum(Usage.absorbed_nanos)))
    assert (after.sum("cost_nanos"), after.sum("absorbed_nanos"), after.sum("calls")) == (cost, absorbed, 17)


@pytest.mark.databases("sqlite", "postgresql")
def test_what_is_added_up_says_what_the_calls_said(history: Account) -> None:
    add_up(NOW - timedelta(days=2))
    half = books_of(month())
    add_up(NOW)
    assert [(day.day, day.cost_nanos, day.accounts) for day in books_of(month()).days] == [
        (day.day, day.cost_nanos, day.accounts) for day in half.days
    ]
    assert books_of(month()).by == half.by


def test_a_call_that_ends_after_midnight_belongs_to_the_day_it_began(
    ada: Account, session: scoped_session[Session]
) -> None:
    late = call(ada, NOW - timedelta(days=1), 3 * CREDIT)
    late.created_at = datetime(2026, 11, 18, 23, 59, tzinfo=UTC)
    late.day, late.settled_at = late.created_at.date(), late.created_at + timedelta(minutes=2)
    session.commit()
    add_up(NOW)
    assert session.scalars(select(AccountDay.day)).one() == late.day
    assert {day.day: day.cost_nanos for day in books_of(month()).days if day.cost_nanos} == {
        late.day: 3 * CREDIT
    }


def test_calls_wait_for_an_older_one_that_runs(history: Account, session: scoped_session[Session]) -> None:
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
    assert added_up() == db.session.scalar(
        select(func.sum(Usage.cost_nanos)).where(Usage.created_at < Watermark.now())
    )


def added_up() -> int:
    """The cost in the totals of the accounts, which is that in the others too."""
    cost = db.session.scalar(select(func.sum(AccountDay.cost_nanos)))
    assert cost == db.session.scalar(select(func.sum(DailyTotal.cost_nanos)))
    return int(cost or 0)


@pytest.mark.databases("sqlite", "postgresql")
def test_the_newest_calls_are_not_added_up_yet(history: Account) -> None:
    """Those of the last ten minutes, which another machine may just be writing."""
    add_up(NOW + SETTLING)
    before = added_up()
    add_up(NOW + SETTLING + timedelta(microseconds=1))
    assert added_up() == before + 3 * CREDIT
    assert Watermark.now() == NOW + timedelta(microseconds=1)


@pytest.mark.databases("sqlite", "postgresql")
def test_a_day_grows_as_its_calls_end(ada: Account, session: scoped_session[Session]) -> None:
    for minutes in range(0, 240, 7):
        call(ada, NOW + timedelta(minutes=minutes), CREDIT + minutes)
        session.commit()
        add_up(NOW + timedelta(minutes=minutes))
    add_up(NOW + timedelta(hours=5))
    assert session.scalars(select(AccountDay.calls)).all() == [35]
    assert added_up() == session.scalar(select(func.sum(Usage.cost_nanos)))


def test_a_clock_that_was_set_back_loses_no_call(ada: Account, session: scoped_session[Session]) -> None:
    call(ada, NOW - timedelta(hours=1), CREDIT)
    session.commit()
    add_up(NOW)
    back = call(ada, NOW - timedelta(minutes=9), 2 * CREDIT)
    back.settled_at = back.created_at - timedelta(minutes=9)
    session.commit()
    assert books_of(month()).sum("cost_nanos") == 3 * CREDIT
    add_up(NOW + timedelta(hours=1))
    assert added_up() == 3 * CREDIT


def test_a_call_that_ended_late_is_in_the_totals_or_among_the_newest(
    ada: Account, session: scoped_session[Session]
) -> None:
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


def test_a_call_that_was_found_days_later_is_added_up(ada: Account, session: scoped_session[Session]) -> None:
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
    def read() -> int:
        whole = sum(row.cost_nanos for _day, row in usage_rows(month()))
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


def test_what_guests_cost_is_told_apart(history: Account, session: scoped_session[Session]) -> None:
    open_house()
    house = session.scalars(select(Account).where(Account.kind == "house")).one()
    call(house, NOW - timedelta(days=1), 2 * CREDIT)
    call(house, NOW, CREDIT)
    session.commit()
    add_up(NOW)
    books = books_of(month())
    assert (books.sum("house_nanos"), books.days[-1].house_nanos) == (3 * CREDIT, CREDIT)
    assert books.sum("cost_nanos") == session.scalar(select(func.sum(Usage.cost_nanos)))


def test_adding_up_twice_changes_nothing(history: Account) -> None:
    add_up(NOW)
    once = books_of(month())
    add_up(NOW)
    assert books_of(month()) == once


def test_totals_can_be_made_again_from_the_calls(history: Account) -> None:
    add_up(NOW)
    once = books_of(month())
    forget_all()
    add_up(NOW)
    assert books_of(month()) == once


def test_use_is_told_by_model_operation_and_plan(history: Account) -> None:
    add_up(NOW)
    by = books_of(month()).by
    assert by["model"]["other"]["cost_nanos"] == 5 * CREDIT
    assert by["operation"]["title"]["calls"] == 1
    assert by["plan"]["Free"]["calls"] == 17


def test_revenue_is_what_came_in(ada: Account, session: scoped_session[Session]) -> None:
    payment = Payment(
        kind="pack", state="paid", account_id=ada.id, price_cents=1000, currency="usd", worth_nanos=5
    )
    payment.paid_at = NOW
    session.add(payment)
    session.commit()
    books = books_of(month())
    assert (books.sum("revenue_cents"), books.days[-1].revenue_cents) == (1000, 1000)


def test_the_dearest_and_the_losing_accounts_are_named(history: Account) -> None:
    add_up(NOW)
    assert [row.id for row in dearest(month())] == [history.id]
    assert [(row.id, int(row.loss)) for row in losing(month())] == [
        (history.id, db.session.scalar(select(func.sum(Usage.cost_nanos))))
    ]


def test_an_account_that_is_refused_three_days_running_is_at_risk(
    ada: Account, session: scoped_session[Session]
) -> None:
    for days in (1, 2, 3):
        day = NOW.date() - timedelta(days=days)
        session.add(RefusalCount(account_id=ada.id, day=day, code="daily_limit_reached", count=2))
    session.commit()
    assert [(row[0], row[2]) for row in at_risk(NOW.date())] == [
        (ada.id, "refused for a limit 3 days running")
    ]


def test_refusals_are_counted_by_code(app: Any, ada: Account, session: scoped_session[Session]) -> None:
    broke = people.person("bob", plan=session.scalars(select(Plan).where(Plan.name == "Pay as you go")).one())
    key = people.api_key(broke)
    client = app.test_client()
    for _time in range(2):
        client.post("/api/chats", json={"model": "gpt-test"}, headers={"Authorization": f"Bearer {key}"})
    session.rollback()
    counted = session.scalars(select(RefusalCount)).one()
    assert (counted.account_id, counted.code, counted.count) == (broke.id, "out_of_credits", 2)


def test_the_page_and_every_csv_are_there(owner: Desk, history: Account) -> None:
    page = owner.get("/admin/?from=2026-11-01&to=2026-11-20")
    assert page.status_code == 200
    for name in ("days", "model", "operation", "plan", "dearest", "losing", "refusals"):
        assert owner.get(f"/admin/csv/{name}/").mimetype == "text/csv"
    assert owner.get("/admin/csv/passwords/").status_code == 404


@pytest.mark.parametrize(
    "query", ["from=x&to=y", "from=2026-12-01&to=2026-01-01", "from=0001-01-01&to=9999-12-31"]
)
def test_a_range_that_cannot_be_is_mended(owner: Desk, query: str) -> None:
    assert owner.get(f"/admin/?{query}").status_code == 200
