"""An upgrade gives what its preview showed, and every share of a worth is rounded half up. billing-rules.md 7."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.extensions import db
from app.models.base import DAY, SECOND, rounded_up, share
from app.models.billing.allowance_refill import refill_if_due
from app.models.billing.growth import growth
from app.models.billing.payment import Payment
from app.models.billing.refund import follow_refunds
from app.models.billing.stripe_objects import LineState, RefundState
from app.models.catalog.plan import Plan
from app.models.metering.refusal import Refusal, seconds_until
from tests.models.subscription_scenario import BEGIN, Deal, month
from tests.support import Database
from tests.support.people import CREDIT

pytestmark = pytest.mark.usefixtures("in_january")
YEAR_END = BEGIN.replace(year=2027)
AGAIN = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(st.integers(0, 10**15), st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_share_is_rounded_half_up(amount: int, part: int, whole: int) -> None:
    exact = Fraction(amount * part, whole)
    assert -Fraction(1, 2) <= exact - share(amount, part, whole) < Fraction(1, 2)


@given(st.timedeltas(timedelta(0), timedelta(days=400)), st.sampled_from([SECOND, DAY]))
def test_a_time_is_rounded_up_by_less_than_its_unit(span: timedelta, unit: timedelta) -> None:
    assert timedelta(0) <= rounded_up(span, unit) * unit - span < unit


@given(st.datetimes(timezones=st.just(UTC)), st.timedeltas(timedelta(0), timedelta(days=400)))
def test_who_waits_as_long_as_was_said_is_not_too_early(now: datetime, wait: timedelta) -> None:
    said = Refusal("credits_reserved", retry_after=seconds_until(now + wait, now)).retry_after
    assert wait <= timedelta(seconds=said) <= max(wait + SECOND, SECOND)


def yearly(allowance: int) -> Plan:
    plan = Plan(name=f"Year {allowance}", interval="year", price_cents=allowance, stripe_price_id=f"price_{allowance}")
    plan.allowance_override_nanos = allowance * CREDIT
    db.session.add(plan)
    return plan


def upgraded(deal: Deal, plan: Plan, at: datetime, key: str) -> int:
    """What the paid invoice of an upgrade at that moment gave."""
    before, end = deal.account.allowance_nanos, deal.state.period_end
    line = LineState(plan.stripe_price_id, 900, True, at, end)
    paid = replace(deal.invoice(0, at, at), stripe_id=key, payment_intent_id=f"pi_{key}", lines=(line,))
    deal.follow(paid, price_id=plan.stripe_price_id)
    return deal.account.allowance_nanos - before


@AGAIN
@given(st.integers(0, 364 * 86400), st.integers(10_001, 90_000))
def test_a_yearly_upgrade_gives_what_was_shown(session: Database, after: int, allowance: int) -> None:
    deal = Deal("Plus (yearly)")
    deal.follow(deal.invoice(0, BEGIN, BEGIN, end=YEAR_END), period_end=YEAR_END)
    plan, at = yearly(allowance), BEGIN + timedelta(seconds=after)
    shown = growth(deal.subscription, plan, at)
    assert 0 <= shown <= plan.allowance_nanos
    assert upgraded(deal, plan, at, "in_up") == shown
    assert deal.subscription.allowance_nanos == plan.allowance_nanos
    db.session.rollback()


@AGAIN
@given(st.timedeltas(timedelta(0), timedelta(days=30)))
def test_no_part_of_a_second_is_cut_from_what_an_upgrade_gives(session: Database, after: timedelta) -> None:
    deal = Deal("Plus")
    deal.follow(deal.invoice(0, BEGIN, BEGIN))
    plan, whole = db.session.query(Plan).filter_by(name="Pro").one(), month(1) - month(0)
    more = plan.allowance_nanos - deal.subscription.allowance_nanos
    exact = Fraction(more * ((whole - after) // timedelta(microseconds=1)), whole // timedelta(microseconds=1))
    assert abs(growth(deal.subscription, plan, BEGIN + after) - exact) <= Fraction(1, 2)
    db.session.rollback()


@AGAIN
@given(st.integers(0, 31 * 86400 - 1))
def test_a_monthly_upgrade_gives_what_was_shown(session: Database, after: int) -> None:
    deal = Deal("Plus")
    deal.follow(deal.invoice(0, BEGIN, BEGIN))
    plan = db.session.query(Plan).filter_by(name="Pro").one()
    at = BEGIN + timedelta(seconds=after)
    shown = growth(deal.subscription, plan, at)
    assert upgraded(deal, plan, at, "in_up") == shown
    db.session.rollback()


def test_on_the_last_day_of_its_month_a_yearly_upgrade_grows_by_that_day(session: Database) -> None:
    deal = Deal("Plus (yearly)")
    deal.plan.allowance_override_nanos = 10_000 * CREDIT
    deal.follow(deal.invoice(0, BEGIN, BEGIN, end=YEAR_END), period_end=YEAR_END)
    refill_if_due(deal.account, month(1))
    plan, at = yearly(20_000), month(2) - timedelta(days=1)
    assert growth(deal.subscription, plan, at) == share(10_000 * CREDIT, 1, (month(2) - month(1)).days)
    assert upgraded(deal, plan, at, "in_up") == share(10_000 * CREDIT, 1, (month(2) - month(1)).days)
    refill_if_due(deal.account, month(2))
    assert deal.allowance == 20_000


def test_an_upgrade_before_its_period_is_paid_grows_with_that_period(session: Database) -> None:
    """Stripe keeps the invoice of a period that has begun as a draft for an hour."""
    deal = Deal("Plus")
    deal.follow(deal.invoice(0, BEGIN, BEGIN))
    period = deal.invoice(1, month(1) + timedelta(hours=1), month(1))
    deal.follow(period_start=month(1), period_end=month(2))
    plan, at = db.session.query(Plan).filter_by(name="Pro").one(), month(1) + timedelta(minutes=10)
    shown = growth(deal.subscription, plan, at)
    line = LineState(plan.stripe_price_id, 7_900, True, at, month(2))
    change = replace(deal.invoice(2, at, at), stripe_id="in_up", payment_intent_id="pi_up", lines=(line,))
    deal.follow(change, price_id=plan.stripe_price_id)
    assert (deal.allowance, shown // CREDIT) == (10_000, 44_988)
    payment = Payment.by(stripe_invoice_id="in_up")
    follow_refunds(payment, deal.account, [RefundState("re_1", payment.total_cents // 2, "succeeded", at)])
    deal.follow(change, period)
    deal.follow(change, period)
    assert (payment.worth_nanos, deal.account.allowance_nanos) == (shown, 10_000 * CREDIT + shown - share(shown, 1, 2))


def test_an_upgrade_right_after_a_trial_gives_what_was_shown_with_the_first_period(session: Database) -> None:
    deal = Deal("Plus", trial_days=15)
    begins = BEGIN + timedelta(days=15)
    deal.follow(status="trialing", trial_start=BEGIN, trial_end=begins)
    deal.follow(status="active", period_start=begins, period_end=month(2))
    line = LineState(deal.state.price_id, deal.plan.price_cents, False, begins, month(2))
    period = replace(deal.invoice(0, begins + timedelta(hours=1), begins), lines=(line,))
    plan, at = db.session.query(Plan).filter_by(name="Pro").one(), begins + timedelta(minutes=10)
    shown = growth(deal.subscription, plan, at)
    sold = LineState(plan.stripe_price_id, 7_900, True, at, month(2))
    change = replace(deal.invoice(1, at, at), stripe_id="in_up", payment_intent_id="pi_up", lines=(sold,))
    deal.follow(change, price_id=plan.stripe_price_id)
    deal.follow(change, period)
    assert (shown > 0, deal.account.allowance_nanos) == (True, 10_000 * CREDIT + shown)


def test_an_upgrade_whose_period_is_never_paid_becomes_credits(session: Database) -> None:
    deal = Deal("Plus")
    deal.follow(deal.invoice(0, BEGIN, BEGIN))
    plan = db.session.query(Plan).filter_by(name="Pro").one()
    line = LineState(plan.stripe_price_id, plan.price_cents // 2, True, month(1), month(2))
    change = replace(deal.invoice(1, month(1), month(1)), stripe_id="in_up", lines=(line,))
    deal.follow(change, price_id=plan.stripe_price_id, period_start=month(1), period_end=month(2))
    deal.follow(change, status="canceled", ended_at=month(2))
    assert deal.account.credits_nanos == plan.allowance_nanos // 2


def test_what_a_refund_holds_back_of_a_month_comes_back_where_it_fails(session: Database) -> None:
    deal = Deal("Plus (yearly)")
    deal.follow(deal.invoice(0, BEGIN, BEGIN, end=YEAR_END), period_end=YEAR_END)
    year = Payment.last_period_of(deal.subscription.id)
    whole = deal.plan.allowance_nanos
    half = RefundState("re_1", year.total_cents // 2, "succeeded", month(0))
    follow_refunds(year, deal.account, [half])
    refill_if_due(deal.account, month(1))
    assert (deal.account.allowance_nanos, year.worth_nanos, year.refund_taken_nanos) == (
        whole // 2,
        2 * whole,
        whole,
    )
    quarter = RefundState("re_2", year.total_cents // 4, "succeeded", month(1))
    follow_refunds(year, deal.account, [half, quarter])
    assert year.refund_taken_nanos == 2 * whole * 3 // 4
    follow_refunds(year, deal.account, [half, replace(quarter, status="failed")])
    assert (deal.account.allowance_nanos + deal.account.credits_nanos, year.refund_taken_nanos) == (
        whole // 2,
        whole,
    )


def test_a_year_that_a_balance_paid_gives_each_of_its_months_whole(session: Database) -> None:
    deal = Deal("Plus (yearly)")
    invoice = deal.invoice(0, BEGIN, BEGIN, end=YEAR_END)
    deal.follow(replace(invoice, paid_cents=0), period_end=YEAR_END)
    refill_if_due(deal.account, month(1))
    assert deal.account.allowance_nanos == deal.plan.allowance_nanos


def test_a_late_invoice_that_a_coupon_covered_is_credited_whole(session: Database) -> None:
    deal = Deal("Plus")
    deal.follow(deal.invoice(0, month(0), month(0)))
    deal.follow(status="canceled", ended_at=month(1))
    deal.follow(replace(deal.invoice(1, month(2), month(1)), paid_cents=0, total_cents=0))
    assert deal.account.credits_nanos == 10_000 * CREDIT


def test_the_daily_limit_stays_until_the_next_refill(session: Database) -> None:
    deal = Deal("Plus")
    with time_machine.travel(BEGIN, tick=False):
        deal.account.plan = Plan.default()
        deal.account.period_end = BEGIN
        refill_if_due(deal.account, BEGIN)
    deal.account.plan = deal.plan
    assert deal.account.daily_limit_nanos == 50 * CREDIT
    deal.follow(deal.invoice(0, month(0), month(0)))
    assert deal.account.daily_limit_nanos is None
