"""The replay: with nothing changed it is the record to the nano; with something changed it is what a live copy does."""

import os
from datetime import UTC, date, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from app.admin.dashboard_figures import Range, books_of
from app.extensions import db
from app.lab.history import worths_of
from app.lab.report import Report
from app.lab.run import reading
from app.lab.scenario import Pair, Scenario, changed
from app.lab.simulation import kinds, simulated
from app.lab.user_kinds import seed_habits
from app.models.billing.audit import audit
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.refund import Dispute
from app.models.billing.statement import balances_at
from app.models.catalog.image_price import ImagePrice
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.setting import Setting
from app.models.catalog.worth import usual_payment_fee, worth_of
from app.models.metering.spending import SpendingPause
from app.models.metering.usage import Usage
from app.models.operations.lab_run import Habit
from app.models.operations.refused_call import RefusedCall
from tests.lab.histories import BEGINS, Life, entries_between, live
from tests.lab.told_run import Told
from tests.support import Database
from tests.support.people import CREDIT, LONG_AGO, model

HISTORIES = int(os.environ.get("LAB_HISTORIES", "4"))
MONTH = {"first": date(2026, 10, 1), "last": date(2026, 10, 31)}


@pytest.fixture(autouse=True)
def every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of who is refused are whole here."""
    monkeypatch.setattr("app.lab.report.KEPT", 10**6)


@pytest.fixture
def models(app: Flask, session: Database) -> None:
    model("big", kind="demo", dollars_in="25", dollars_out="100")
    model("small", kind="demo", dollars_in="2.5", dollars_out="10")
    session.commit()


@pytest.fixture
def painter(models: None, session: Database) -> None:
    """The one model that makes images, at two prices; what each costs us is counted by tokens."""
    session.query(ImagePrice).delete()
    painter = model("painter", kind="demo", dollars_in="5", dollars_out="30", makes_images=True)
    for quality, credits in (("low", 3), ("high", 7)):
        row = ImagePrice(model_id=painter.id, quality=quality, size="square", price_nanos=credits * CREDIT)
        row.effective_from = row.approved_at = LONG_AGO
        session.add(row)
    session.commit()


def test_nothing_changed_is_every_balance_entry_and_refusal_of_the_month(painter: None, session: Database) -> None:
    for plan in session.query(Plan):
        plan.window_hours, plan.window_limit_nanos = (5, 2 * CREDIT) if plan.is_free else (7, 4 * CREDIT)
    for name, value in LOW_FLOOR.items():
        Setting.put(name, value)
    session.commit()
    lives = live(HISTORIES + 1, seed=5)
    assert list(audit()) == []
    scenario = Scenario(**MONTH)
    told = Told(scenario).run()
    assert told.report.counts["newly_refused"] == told.report.counts["newly_admitted"] == 0, told.report
    assert told.report.codes["was"] == told.report.codes["then"]
    assert sum(told.report.codes["was"].values()) == count_of(RefusedCall, scenario) > HISTORIES
    assert {"window_limit_reached", "spending_paused"} <= set(told.report.codes["was"])
    assert session.query(SpendingPause).filter(SpendingPause.resumed_at.is_not(None)).count() > 1
    for life in lives:
        end = balances_at(life.account_id, scenario.ends)
        assert told.entries[life.account_id] == entries_between(life.account_id, scenario.begins, scenario.ends)
        assert told.balances[life.account_id] == (end.allowance, end.credits)
    for sides in told.report.days.values():
        assert sides["was"] == sides["then"]
    ended = session.query(Usage).filter(Usage.created_at >= scenario.begins, Usage.settled_at < scenario.ends)
    assert told.report.total("was", "calls") == ended.count()
    assert told.report.counts["same"] == len(told.balances)


def count_of(table: type[Any], scenario: Scenario) -> int:
    inside = table.created_at >= scenario.begins, table.created_at < scenario.ends
    return db.session.query(table).filter(*inside).count()


LOW_FLOOR = {"breaker_floor": 40 * CREDIT, "breaker_floor_percent": 1}
PAID = {"price_cents": 2000, "margin_bps": 9300, "parallel_calls": 2}
FREE = {"allowance_override_nanos": 90 * CREDIT, "daily_limit_nanos": 20 * CREDIT}


def test_the_first_call_that_the_lab_refuses_is_the_one_that_a_live_copy_refuses(
    models: None, session: Database
) -> None:
    """The same people thrice: replayed under stricter terms, and alive under each, as long as they live alike."""
    lives = live(HISTORIES, seed=7)
    for free, paid, settings, code in ((FREE, PAID, {"overdraft": 5 * CREDIT}, "too_many_calls"),
                                       ({}, {}, LOW_FLOOR, "spending_paused")):  # fmt: skip
        plans = {plan.id: free if plan.is_free else paid for plan in session.query(Plan)}
        firsts = told_firsts(plans, settings)
        assert len(firsts) > HISTORIES // 2
        before = terms_in_force(plans, settings)
        set_terms(plans, settings)
        copies = live(HISTORIES, seed=7, prefix=code)
        set_terms(*before)
        pairs = [pair for pair in zip(lives, copies, strict=True) if not takes_another_turn(*pair)]
        compared = [(firsts.get(life.account_id), first_new(life, copy)) for life, copy in pairs]
        assert len(compared) > HISTORIES // 2
        assert [told for told, _ in compared] == [happened for _, happened in compared]
        assert {code} < {happened[1] if happened else None for _, happened in compared}


Columns = dict[int, dict[str, int]]


def told_firsts(plans: Columns, settings: dict[str, int]) -> dict[int, tuple[datetime, str]]:
    """Of each account the first call that the lab refuses under these terms, and by which code."""
    changes = {str(key): dict(columns) for key, columns in plans.items()}
    told = Told(Scenario(date(2026, 9, 30), date(2026, 10, 31), plans=changes, settings=settings)).run()
    firsts: dict[int, tuple[datetime, str]] = {}
    for at, account_id, _model, by in told.report.newly_refused:
        firsts.setdefault(account_id, (datetime.fromisoformat(at), by))
    return firsts


def terms_in_force(plans: Columns, settings: dict[str, int]) -> tuple[Columns, dict[str, int]]:
    """What `set_terms` would change, as it is."""
    columns = {key: {name: getattr(db.session.get_one(Plan, key), name) for name in plans[key]} for key in plans}
    return columns, {name: Setting.get(name) for name in settings}


def set_terms(plans: Columns, settings: dict[str, int]) -> None:
    for key, columns in plans.items():
        for name, value in columns.items():
            setattr(db.session.get_one(Plan, key), name, value)
    for name, value in settings.items():
        Setting.put(name, value)
    db.session.commit()


def first_new(life: Life, copy: Life) -> tuple[datetime, str] | None:
    """The first call that the copy refuses otherwise, and by which code."""
    return min(set(refusals_of(life)) ^ set(refusals_of(copy)), default=None)


def takes_another_turn(life: Life, copy: Life) -> bool:
    """What was refused in truth is what comes out otherwise first: it is let in, or pauses spending for as long as the
    copy's people like."""
    new = first_new(life, copy)
    return new is not None and new[0] in dict(refusals_of(life))


def refusals_of(life: Life) -> list[tuple[datetime, str]]:
    rows = db.session.query(RefusedCall).filter_by(account_id=life.account_id).order_by(RefusedCall.id)
    return [(row.created_at, row.code) for row in rows]


def test_a_changed_margin_is_its_closed_form(models: None, session: Database) -> None:
    """Credits bought at margin m are worth (1 - m') / (1 - m) at m'; what was used is the same, and what was earned."""
    lives = [life for life in live(HISTORIES, seed=12) if life.account.plan.allows_packs]
    taxed, disputed = session.query(Payment).filter(Payment.paid_at >= BEGINS).order_by(Payment.id)[:2]
    taxed.tax_cents = taxed.total_cents // 6
    whose = {"account_id": disputed.account_id, "payment_id": disputed.id}
    session.add(Dispute(stripe_id="dp_1", status="lost", created_at=disputed.paid_at, **whose))
    session.commit()
    packs = {str(pack.id): {"margin_bps": 3500} for pack in session.query(CreditPack)}
    told = Told(Scenario(**MONTH, packs=packs)).run()
    record = Told(Scenario(**MONTH)).run()
    margins, bought = {pack.worth_nanos: pack.margin_bps for pack in session.query(CreditPack)}, 0
    for life in lives:
        entries = zip(record.entries[life.account_id], told.entries[life.account_id], strict=True)
        for one, other in [pair for pair in entries if pair[0][0] == "purchase"]:
            bought += 1
            assert other[3] * (10_000 - margins[one[3]]) == one[3] * 6500
    assert bought > 3
    assert told.report.total("then", "revenue_cents") == record.report.total("was", "revenue_cents") > 0
    books = books_of(Range(MONTH["first"], MONTH["last"]))
    assert record.report.total("was", "revenue_cents") == books.sum("revenue_cents")
    paid = session.query(Payment).filter(Payment.paid_at >= BEGINS, Payment.paid_at < datetime(2026, 11, 1, tzinfo=UTC))
    assert record.report.total("was", "fee_cents") == sum(usual_payment_fee(one.price_cents) for one in paid)


def test_a_volume_keeps_its_tier_where_the_margin_of_one_changes(session: Database) -> None:
    """Ten at a margin of their own are worth the same; one follows the pack's."""
    pack = session.query(CreditPack).filter_by(is_any_amount=False).first()
    assert pack is not None
    pack.volume = [[10, 4000]]
    session.commit()
    pair = Pair(pack, changed(pack, {"margin_bps": 6000}))
    for quantity, margins in ((10, (4000, 4000)), (9, (pack.margin_bps, 6000))):
        bought = Payment(quantity=quantity, price_cents=quantity * pack.price_cents)
        assert worths_of(bought, pair) == tuple(worth_of(bought.price_cents, 0, margin) for margin in margins)
    assert not session.new


def test_what_is_dearer_costs_the_same_people_more_and_us_the_same(painter: None, session: Database) -> None:
    """Enough credits, so nobody is refused. The fixed price of an image is doubled: it is charged twice as much, the
    vendor's bill stays. A price row is dearer: nobody is left with more."""
    for life in live(4, seed=7):
        much = {"credits": 10**13, "created_at": datetime(2026, 9, 1, tzinfo=UTC)}
        LedgerEntry.post(life.account, "grant", f"much:{life.account_id}", **much)
    session.commit()
    dearer = {"painter high square": {"price_nanos": 14 * CREDIT}}
    was, then = (Told(Scenario(**MONTH, images=changes)).run().report for changes in ({}, dearer))
    images = session.query(func.sum(Usage.images)).join(ImagePrice).filter(ImagePrice.quality == "high")
    high = images.filter(Usage.created_at >= BEGINS, Usage.state == "settled").scalar()
    assert high > 1
    assert then.total("then", "paid_nanos") - was.total("then", "paid_nanos") == high * 7 * CREDIT
    assert then.total("then", "cost_nanos") == was.total("then", "cost_nanos")
    told = Told(Scenario(**MONTH, prices={"big": {"output_nanos": 120 * 10**9}, "small": {"output_nanos": 12 * 10**9}}))
    report = told.run().report
    ends = {account_id: balances_at(account_id, told.scenario.ends) for account_id in told.balances}
    left = {account_id: end.allowance + end.credits for account_id, end in ends.items()}
    poorer = {account_id for account_id, now in told.balances.items() if sum(now) < left[account_id]}
    assert {row[0] for row in report.worse} == poorer
    assert len(poorer) > 2
    assert report.counts["newly_refused"] == report.counts["better"] == 0
    assert report.total("then", "cost_nanos") > report.total("was", "cost_nanos")


@pytest.mark.databases("postgresql")
def test_a_user_of_the_database_who_may_only_read_can_run_it(
    models: None, session: Database, database_kind: str
) -> None:
    live(1, steps=20)
    session.execute(text("DROP ROLE IF EXISTS lab_reader"))
    session.execute(text("CREATE ROLE lab_reader"))
    session.execute(text("GRANT USAGE ON SCHEMA public TO lab_reader"))
    session.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO lab_reader"))
    session.commit()
    session.remove()
    db.engine.dispose()

    @event.listens_for(db.engine, "connect")
    def become_reader(connection: Any, _record: Any) -> None:
        connection.execute("SET ROLE lab_reader")
        connection.commit()

    with pytest.raises(ProgrammingError, match="permission denied"):
        session.execute(text("UPDATE accounts SET name = 'x'"))
    session.rollback()
    told = Told(Scenario(**MONTH)).run()
    assert told.report.counts["same"] == 1
    event.remove(db.engine, "connect", become_reader)
    db.engine.dispose()


def test_a_connection_of_the_lab_writes_nothing(models: None, database_kind: str) -> None:
    with reading() as connection, pytest.raises(DBAPIError):
        connection.execute(text("UPDATE accounts SET name = 'x'"))
    with db.engine.connect() as connection:
        connection.execute(text("UPDATE accounts SET name = 'x'"))
        connection.rollback()


def report_of(scenario: Scenario) -> Report:
    report = Report()
    assert [*simulated(scenario, report, kinds())]
    report.close()
    return report


def test_months_of_users_who_do_not_exist(models: None, session: Database) -> None:
    """With nothing changed both sides are the same; where plans are worth less the same people are refused more."""
    seed_habits()
    habits = session.query(Habit).all()
    for habit in habits:
        habit.people = 1
    same = report_of(Scenario(**MONTH, is_simulated=True))
    assert same.counts["same"] == 3
    assert all(sides["was"] == sides["then"] for sides in same.days.values())
    assert same.total("was", "revenue_cents") > 0
    changes = {str(habit.plan_id): {"margin_bps": 9000, "allowance_override_nanos": None} for habit in habits}
    other = report_of(Scenario(**MONTH, is_simulated=True, plans=changes))
    assert other.total("was", "revenue_cents") == same.total("was", "revenue_cents")
    assert other.counts["newly_refused"] > 0
    assert other.total("then", "refused") > other.total("was", "refused")
