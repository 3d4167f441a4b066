"""Whatever order the looks at a subscription are applied in, its life ends in the same rows and the same ledger."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import db
from app.models.billing.ledger import LedgerEntry
from app.models.billing.redemption import Redemption
from app.models.billing.stripe_objects import CardState, InvoiceState, LineState, SubscriptionState
from app.models.billing.subscription import Subscription
from app.models.billing.subscription_billing import follow
from app.models.catalog.plan import Plan
from app.models.catalog.promotion_code import PromotionCode
from app.models.identity.account import Account
from app.models.operations.webhook_event import SyncVersion
from tests.support import Database
from tests.support.people import actor, person

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))

START = datetime(2026, 3, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
TRIAL = timedelta(days=6)
Looks = list[tuple[SubscriptionState, list[InvoiceState]]]
IGNORED = {"id", "created_at", "updated_at", "trial_refused_at"}


def invoice(number: int, paid_at: datetime, line: LineState) -> InvoiceState:
    return InvoiceState(
        f"in_{number}",
        "sub_1",
        "",
        "paid",
        line.amount,
        line.amount,
        "usd",
        paid_at,
        paid_at,
        f"pi_{number}",
        lines=(line,),
    )


def life() -> list[tuple[SubscriptionState, list[InvoiceState]]]:
    """Trial, first payment, upgrade, an unpaid renewal, its late payment, the end: what six looks see."""
    begin, middle, renewal = START + TRIAL, START + TRIAL + MONTH / 2, START + TRIAL + MONTH
    first = invoice(1, begin, LineState("price_plus", 2000, False, begin, renewal))
    grown = invoice(2, middle, LineState("price_pro", 5000, True, middle, renewal))
    again = invoice(3, renewal + TRIAL, LineState("price_pro", 10000, False, renewal, renewal + MONTH))
    trial = SubscriptionState(
        "sub_1",
        "trialing",
        "cus_1",
        "si_1",
        "price_plus",
        START,
        begin,
        trial_start=START,
        trial_end=begin,
        card=CardState("pm_1", "Visa ending in 4242", "fp_1"),
    )
    active = replace(trial, status="active", period_start=begin, period_end=renewal)
    upgraded = replace(active, price_id="price_pro")
    late = replace(upgraded, status="past_due", period_start=renewal, period_end=renewal + MONTH)
    paid = replace(late, status="active")
    ended = replace(paid, status="canceled", ended_at=renewal + 2 * TRIAL)
    invoices = [[], [first], [first, grown], [first, grown], [first, grown, again], [first, grown, again]]
    return list(zip([trial, active, upgraded, late, paid, ended], invoices, strict=True))


@pytest.fixture
def ada(app: Flask, session: Database) -> int:
    for name, price in (("Plus", "price_plus"), ("Pro", "price_pro")):
        plan = db.session.query(Plan).filter_by(name=name).one()
        plan.stripe_price_id, plan.trial_days = price, 6
    account = person("ada", plan=Plan.default())
    plus = db.session.query(Plan).filter_by(name="Plus").one()
    Subscription.begin(actor(account), account, plus, trial_days=6)
    db.session.commit()
    return account.id


def applied(order: tuple[int, ...]) -> tuple[int, ...]:
    """Of looks that are over in that order: those of which no later one is over before."""
    return tuple(look for index, look in enumerate(order) if look == max(order[: index + 1]))


def taken_over(order: tuple[int, ...]) -> tuple[int, ...]:
    """The same as the app does it, for looks that began one after the other."""
    versions = [SyncVersion.begin("sub_1") for _ in order]
    return tuple(index for index in order if SyncVersion.is_newest("sub_1", versions[index]))


def apply(account_id: int, seen: list[tuple[SubscriptionState, list[InvoiceState]]]) -> None:
    for state, invoices in seen:
        account = Account.locked(account_id)
        subscription = db.session.query(Subscription).filter_by(account_id=account_id).one()
        follow(subscription, account, state, invoices)
        db.session.flush()


def outcome(account_id: int) -> Any:
    """Balances, plan, the subscription's row and the ledger, as plain values."""
    account = db.session.get_one(Account, account_id, populate_existing=True)
    subscription = db.session.query(Subscription).filter_by(account_id=account_id).one()
    row = {column.key: getattr(subscription, column.key) for column in Subscription.__table__.columns}
    entries = select(LedgerEntry.key, LedgerEntry.kind, LedgerEntry.allowance_nanos, LedgerEntry.credits_nanos)
    ledger = db.session.execute(entries.order_by(LedgerEntry.id)).all()
    figures = (account.allowance_nanos, account.credits_nanos, account.plan_id)
    return (
        figures,
        {name: value for name, value in row.items() if name not in IGNORED},
        [tuple(one) for one in ledger],
    )


def half_off(seen: Looks) -> Looks:
    """The same life under a discount for ever: its invoices come to half, its lines are whole."""
    return [
        (
            state,
            [
                replace(
                    one,
                    paid_cents=one.paid_cents // 2,
                    total_cents=one.total_cents // 2,
                    discount_cents=one.total_cents // 2,
                    coupon_ids=("co_half",),
                )
                for one in invoices
            ],
        )
        for state, invoices in seen
    ]


def with_bonus(seen: Looks) -> Looks:
    """The same life at half the price, begun with a code that adds to its first period."""
    subscription = db.session.query(Subscription).one()
    code = PromotionCode(code="MORE", kind="bonus", percent_bps=1000)
    db.session.add(code)
    db.session.flush()
    account = db.session.get_one(Account, subscription.account_id)
    redemption = Redemption.hold(code, account, None)
    assert redemption is not None
    redemption.bonus_nanos, subscription.redemption_id = (
        code.bonus_nanos(subscription.plan.period_nanos),
        redemption.id,
    )
    db.session.commit()
    return half_off(seen)


def test_of_all_24_orders_of_four_looks_only_what_is_newer_is_applied(ada: int) -> None:
    orders = list(permutations(range(4)))
    assert [order for order in orders if taken_over(order) != applied(order)] == []


def go_on(account_id: int, seen: Looks, history: tuple[int, ...], outcomes: dict[tuple[int, ...], Any]) -> None:
    """What follows upon that history, each next look tried and taken back: outcomes of those that reach the last."""
    if history and history[-1] == len(seen) - 1:
        outcomes[history] = outcome(account_id)
    for index in range(history[-1] + 1 if history else 0, len(seen)):
        savepoint = db.session.begin_nested()
        apply(account_id, [seen[index]])
        go_on(account_id, seen, (*history, index), outcomes)
        savepoint.rollback()
        db.session.expire_all()


@pytest.mark.parametrize("told", [pytest.param(list, marks=pytest.mark.long), with_bonus])
def test_all_720_orders_of_a_subscriptions_life_end_alike(ada: int, told: Callable[[Looks], Looks]) -> None:
    seen = told(life())
    outcomes: dict[tuple[int, ...], Any] = {}
    histories = {applied(order) for order in permutations(range(6))}
    go_on(ada, seen, (), outcomes)
    assert histories == outcomes.keys()
    in_order = outcomes[0, 1, 2, 3, 4, 5]
    assert len(outcomes) == 32
    assert [history for history in outcomes if outcomes[history] != in_order] == []
    kinds = [kind for _, kind, _, _ in in_order[2] if kind != "bonus"]
    assert sum(credits for *_, credits in in_order[2]) == (10**9 if told is with_bonus else 0)
    assert kinds[:5] == ["trial", "refill", "plan_change", "refill", "allowance_ended"]


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
def test_a_period_and_its_growth_of_the_same_second_count_both(ada: int, numbers: tuple[int, int]) -> None:
    state, end = life()[2][0], START + MONTH
    first = invoice(numbers[0], START, LineState("price_plus", 2000, False, START, end))
    grown = invoice(numbers[1], START, LineState("price_pro", 8000, True, START, end))
    apply(ada, [(replace(state, trial_start=None, trial_end=None), [first, grown])])
    assert db.session.get_one(Account, ada).allowance_nanos == 55 * 10**9


def test_applying_each_look_twice_changes_nothing(ada: int) -> None:
    apply(ada, life())
    once = outcome(ada)
    apply(ada, life()[-1:] * 2)
    assert outcome(ada) == once


def test_a_status_that_nobody_knows_gives_no_rights(ada: int) -> None:
    seen = life()[:2]
    apply(ada, seen)
    apply(ada, [(replace(seen[1][0], status="something_new"), seen[1][1])])
    account = db.session.get_one(Account, ada)
    assert account.plan.is_default


def test_an_invoice_paid_after_a_newer_period_adds_its_allowance_once(ada: int) -> None:
    state, invoices = life()[1]
    later = invoice(
        9, START + 2 * MONTH, LineState("price_plus", 2000, False, START + TRIAL + MONTH, START + 3 * MONTH)
    )
    overdue = replace(invoices[0], paid_at=START + 2 * MONTH + TRIAL)
    for known in ([later], [later, overdue], [later, overdue]):
        apply(ada, [(state, known)])
    assert db.session.get_one(Account, ada).allowance_nanos == 2 * 10**10
