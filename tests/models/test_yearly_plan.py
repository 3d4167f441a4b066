"""A year that is paid at once is given by the month. billing-rules.md 7."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine

from app.extensions import db
from app.models.billing.allowance_refill import next_refill, refill_if_due
from app.models.billing.payment import Payment
from app.models.billing.refund import follow_dispute, follow_refunds
from app.models.billing.stripe_objects import DisputeState, LineState, RefundState
from app.models.catalog.plan import Plan
from tests.models.subscription_scenario import BEGIN, Deal, month
from tests.support import Database
from tests.support.people import CREDIT

pytestmark = pytest.mark.usefixtures("in_january")


def test_a_refund_of_a_year_takes_its_share_of_the_months_that_were_given(session: Database) -> None:
    deal = Deal("Plus (yearly)")
    deal.follow(deal.invoice(0, BEGIN, BEGIN, end=BEGIN.replace(year=2027)), period_end=BEGIN.replace(year=2027))
    refill_if_due(deal.account, month(1))
    refill_if_due(deal.account, month(2))
    year = Payment.last_period_of(deal.subscription.id)
    assert year.worth_nanos == 3 * deal.plan.allowance_nanos
    follow_refunds(year, deal.account, [RefundState("re_1", year.price_cents // 2, "succeeded", month(2))])
    assert year.refund_taken_nanos == 3 * deal.plan.allowance_nanos // 2


@pytest.mark.parametrize("back", ["refunded", "disputed"])
def test_a_year_that_was_paid_back_gives_no_more_months(session: Database, back: str) -> None:
    deal = Deal("Plus (yearly)")
    deal.follow(deal.invoice(0, BEGIN, BEGIN, end=BEGIN.replace(year=2027)), period_end=BEGIN.replace(year=2027))
    year = Payment.last_period_of(deal.subscription.id)
    if back == "refunded":
        follow_refunds(year, deal.account, [RefundState("re_1", year.price_cents, "succeeded", month(0))])
    else:
        follow_dispute(year, deal.account, DisputeState("dp_1", "needs_response", "pi_in_0"))
    refill_if_due(deal.account, month(1))
    assert (deal.account.allowance_nanos, deal.account.credits_nanos) == (0, 0)


def test_once_a_paid_year_is_over_the_next_invoice_is_waited_for(session: Database) -> None:
    deal, end = Deal("Plus (yearly)"), BEGIN.replace(year=2027)
    deal.follow(deal.invoice(0, BEGIN, BEGIN, end=end), period_end=end)
    refill_if_due(deal.account, end - timedelta(seconds=1))
    months = len(deal.account.entries())
    refill_if_due(deal.account, end)
    assert (months, len(deal.account.entries())) == (2, 2)


UPGRADED = month(2) + (month(3) - month(2)) / 4


def upgraded(*, is_heard_first: bool = False) -> tuple[Deal, Payment, int]:
    """A year that is upgraded in its third month, the invoice of that, and by how much a month grows."""
    larger = Plan(
        name="Pro, by the year", interval="year", price_cents=60_000, allowance_override_nanos=31_000 * CREDIT
    )
    db.session.add(larger)
    deal, end = Deal("Plus (yearly)"), BEGIN.replace(year=2027)
    line = LineState("price_Pro, by the year", 9_000, True, UPGRADED, end)
    growth = replace(deal.invoice(0, UPGRADED, UPGRADED), stripe_id="in_up", payment_intent_id="pi_up", lines=(line,))
    if is_heard_first:
        deal.follow(growth, period_end=end)
    deal.follow(deal.invoice(0, BEGIN, BEGIN, end=end), period_end=end)
    refill_if_due(deal.account, month(2))
    deal.follow(growth, price_id="price_Pro, by the year")
    paid = db.session.query(Payment).filter_by(stripe_invoice_id="in_up").one()
    return deal, paid, 31_000 * CREDIT - deal.plan.allowance_nanos


@pytest.mark.parametrize("is_heard_first", [False, True])
def test_an_upgrade_counts_in_the_months_of_its_year_and_in_no_other(session: Database, is_heard_first: bool) -> None:
    """Heard of first, it waits for its year."""
    deal, _paid, _growth = upgraded(is_heard_first=is_heard_first)
    refill_if_due(deal.account, month(3))
    assert deal.account.allowance_nanos == 31_000 * CREDIT
    begins, ends = BEGIN.replace(year=2027), BEGIN.replace(year=2028)
    line = LineState("price_Pro, by the year", 60_000, False, begins, ends)
    next_year = replace(deal.invoice(0, begins, begins), stripe_id="in_2", payment_intent_id="pi_2", lines=(line,))
    deal.follow(next_year, period_start=begins, period_end=ends)
    refill_if_due(deal.account, month(1).replace(year=2027))
    assert deal.account.entries()[0].month == "2027-02"
    assert deal.account.allowance_nanos == 31_000 * CREDIT


def test_an_upgrade_of_a_year_grows_by_the_rest_of_its_month(session: Database) -> None:
    deal, paid, growth = upgraded()
    assert paid.worth_nanos == growth * 3 // 4
    refill_if_due(deal.account, month(3))
    assert (deal.account.allowance_nanos, paid.worth_nanos) == (31_000 * CREDIT, growth * 7 // 4)


def test_what_is_paid_back_of_a_years_upgrade_is_taken_of_its_months_to_come(session: Database) -> None:
    deal, paid, growth = upgraded()
    half = deal.plan.allowance_nanos + growth // 2
    follow_refunds(paid, deal.account, [RefundState("re_1", paid.total_cents // 2, "succeeded", UPGRADED)])
    assert next_refill(deal.account, UPGRADED).amount == half
    refill_if_due(deal.account, month(3))
    assert deal.account.allowance_nanos == half
    dispute = DisputeState("dp_1", "needs_response", "pi_up")
    follow_dispute(paid, deal.account, dispute)
    refill_if_due(deal.account, month(4))
    assert deal.account.allowance_nanos == deal.plan.allowance_nanos
    follow_dispute(paid, deal.account, replace(dispute, status="won"))
    assert deal.account.allowance_nanos == deal.plan.allowance_nanos + growth * 11 // 8
    refill_if_due(deal.account, month(5))
    assert deal.account.allowance_nanos == half


def test_a_year_that_is_paid_after_the_end_is_credited_whole(session: Database) -> None:
    deal, end = Deal("Plus (yearly)"), BEGIN.replace(year=2027)
    deal.follow(deal.invoice(0, BEGIN, BEGIN, end=end), period_end=end)
    deal.follow(status="canceled", ended_at=month(1))
    deal.follow(deal.invoice(1, month(2), month(1), end=end))
    assert deal.account.credits_nanos == deal.plan.worth_nanos


def test_months_of_a_year_begin_on_the_years_day_and_others_on_the_accounts(session: Database) -> None:
    with time_machine.travel(BEGIN - timedelta(days=5), tick=False):
        deal = Deal("Plus (yearly)")
    born, end = deal.account.created_at, BEGIN.replace(year=2027)
    deal.follow(deal.invoice(0, BEGIN, BEGIN, end=end), period_end=end)
    assert (deal.account.billing_anchor, deal.account.period_end) == (BEGIN, month(1))
    deal.follow(status="canceled", ended_at=BEGIN)
    assert deal.account.billing_anchor == born


def test_a_paid_years_months_do_not_wait_for_the_address(
    session: Database, require_verified_email: Callable[..., None]
) -> None:
    deal, end = Deal("Plus (yearly)"), BEGIN.replace(year=2027)
    deal.follow(deal.invoice(0, BEGIN, BEGIN, end=end), period_end=end)
    require_verified_email()
    deal.account.owner.email_verified_at = None
    refill_if_due(deal.account, month(1))
    assert len(deal.account.entries()) == 2
