"""What a subscription gives: invoices in the order of their payment, upgrades, ends. billing-rules.md 7."""

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine

from app.extensions import db
from app.models.billing.allowance_refill import refill_if_due
from app.models.billing.audit import audit
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.refund import follow_dispute, follow_refunds
from app.models.billing.stripe_objects import DisputeState, LineState, RefundState
from app.models.billing.subscription import Subscription
from app.models.billing.subscription_billing import follow
from app.models.catalog.plan import Plan
from app.payments.refunds import refundable_cents, refundable_nanos
from tests.models.subscription_scenario import BEGIN, Deal, month
from tests.support.people import CREDIT, actor

pytestmark = pytest.mark.usefixtures("in_january")


def test_invoices_count_in_the_order_in_which_they_were_paid(deal: Deal) -> None:
    late = deal.invoice(1, month(2) + timedelta(days=3), month(1))
    deal.follow(deal.invoice(0, month(0), month(0)), late, deal.invoice(2, month(2), month(2)))
    assert deal.allowance == 20_000


def test_an_invoice_counts_once_it_is_paid_and_only_for_what_it_sells(deal: Deal) -> None:
    first = deal.invoice(0, month(0), month(0))
    free = replace(first, lines=(replace(first.lines[0], amount=0),))
    for not_yet in (replace(first, status="open"), free):
        deal.follow(not_yet)
        assert (deal.allowance, deal.account.entries()) == (0, [])
    deal.follow(first)
    deal.follow(first)
    assert deal.allowance == 10_000


def test_an_upgrade_grows_by_the_part_of_the_period_that_is_left(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    deal.account.allowance_nanos -= 4_000 * CREDIT
    pro = db.session.query(Plan).filter_by(name="Pro").one()
    moment = BEGIN + (month(1) - BEGIN) * 3 / 4
    line = LineState("price_Pro", 700, True, moment, month(1))
    growth = replace(deal.invoice(0, moment, moment), stripe_id="in_up", payment_intent_id="pi_up", lines=(line,))
    deal.follow(deal.invoice(0, month(0), month(0)), growth, price_id="price_Pro")
    more = (pro.allowance_nanos // CREDIT - 10_000) // 4
    assert (deal.subscription.plan, deal.allowance) == (pro, 6_000 + more)
    paid = db.session.query(Payment).filter_by(stripe_invoice_id="in_up").one()
    assert (paid.worth_nanos, deal.subscription.allowance_nanos) == (more * CREDIT, pro.allowance_nanos)


def test_rights_end_with_the_subscription_and_what_was_bought_stays(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    deal.account.credits_nanos = 7 * CREDIT
    deal.follow(status="canceled")
    deal.follow(status="canceled")
    kinds = [entry.kind for entry in deal.account.entries()]
    assert kinds == ["allowance_ended", "refill"]
    assert (deal.account.plan.name, deal.allowance, deal.account.credits_nanos) == ("Free", 0, 7 * CREDIT)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_cancel_at_once_and_a_refund_come_to_the_same_in_either_order(deal: Deal, is_first: bool) -> None:
    """Stripe's dashboard offers both in one step, and tells of them in any order: 4,000 of 10,000 were used."""
    deal.follow(deal.invoice(0, month(0), month(0)))
    payment = Payment.by(stripe_invoice_id="in_0")
    LedgerEntry.post(deal.account, "grant", "used", allowance=-4_000 * CREDIT)
    refunds = [RefundState("re_1", deal.plan.price_cents, "succeeded", month(0))]
    if is_first:
        follow_refunds(payment, deal.account, refunds)
    deal.follow(status="canceled")
    takes = refundable_nanos(payment, refundable_cents(payment))
    follow_refunds(payment, deal.account, refunds)
    assert (deal.allowance, deal.account.credits_nanos) == (0, -4_000 * CREDIT)
    assert takes == (0 if is_first else 4_000 * CREDIT)
    follow_refunds(payment, deal.account, [replace(refunds[0], status="failed")])
    assert (deal.account.allowance_nanos + deal.account.credits_nanos) // CREDIT == (6_000 if is_first else 0)
    assert (payment.taken_nanos, payment.allowance_taken_nanos, list(audit())) == (0, 0, [])


def test_of_what_ended_a_refund_meanwhile_does_not_come_back(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    payment = Payment.by(stripe_invoice_id="in_0")
    half = RefundState("re_1", deal.plan.price_cents // 2, "succeeded", month(0))
    deal.follow(status="unpaid")
    follow_refunds(payment, deal.account, [half])
    follow_dispute(payment, deal.account, DisputeState("dp_1", "needs_response", "pi_in_0"))
    assert (deal.allowance, deal.account.credits_nanos, payment.taken_nanos) == (0, 0, payment.worth_nanos)
    follow_dispute(payment, deal.account, DisputeState("dp_1", "won", "pi_in_0"))
    deal.follow(status="active")
    assert deal.allowance == 5_000
    follow_refunds(payment, deal.account, [replace(half, status="failed")])
    assert (deal.allowance, deal.account.credits_nanos, list(audit())) == (10_000, 0, [])


@pytest.mark.parametrize("status", ["unpaid", "paused", "a word that nobody knows"])
def test_what_ended_comes_back_with_the_rights_within_the_paid_period(deal: Deal, status: str) -> None:
    deal.plan.daily_limit_nanos = 900 * CREDIT
    deal.follow(deal.invoice(0, month(0), month(0)))
    LedgerEntry.post(deal.account, "grant", "used", allowance=-4_000 * CREDIT)
    for _again in range(2):
        deal.follow(status=status)
        assert (deal.account.plan.name, deal.allowance) == ("Free", 0)
        deal.follow(status="active")
        deal.follow(status="active")
        assert (deal.account.plan, deal.allowance, deal.account.period_end) == (deal.plan, 6_000, month(1))
        assert deal.account.daily_limit_nanos == 900 * CREDIT
    deal.follow(status=status)
    with time_machine.travel(month(1), tick=False):
        deal.follow(status="active")
    assert (deal.account.plan, deal.allowance) == (deal.plan, 0)
    assert list(audit()) == []


@pytest.mark.parametrize("spent", [0, 4_000])
def test_an_upgrade_that_is_paid_late_comes_back_with_what_is_left_of_it(deal: Deal, spent: int) -> None:
    pro = db.session.query(Plan).filter_by(name="Pro").one()
    deal.follow(deal.invoice(0, month(0), month(0)))
    deal.follow(status="unpaid", price_id="price_Pro")
    line = LineState("price_Pro", 700, True, BEGIN, month(1))
    growth = replace(deal.invoice(0, BEGIN, BEGIN), stripe_id="in_up", payment_intent_id="pi_up", lines=(line,))
    deal.follow(growth)
    LedgerEntry.post(deal.account, "grant", "used", allowance=-spent * CREDIT)
    deal.follow(status="active")
    assert (deal.account.plan, deal.account.allowance_nanos) == (pro, pro.allowance_nanos - spent * CREDIT)


@pytest.mark.parametrize("again", [False, True])
def test_an_older_period_that_is_paid_while_rights_rest_hides_no_end(deal: Deal, again: bool) -> None:
    with time_machine.travel(month(1), tick=False):
        deal.follow(deal.invoice(1, month(1), month(1)))
        if again:
            deal.follow(status="unpaid")
            deal.follow(status="active")
        deal.follow(status="unpaid")
        assert deal.allowance == 0
        deal.follow(deal.invoice(0, month(1), month(0)))
        assert deal.allowance == 10_000
        deal.follow(status="active")
    assert deal.allowance == 20_000
    assert list(audit()) == []


def test_of_a_year_the_month_that_ended_comes_back_and_later_ones_come(deal: Deal) -> None:
    deal.plan.interval, deal.plan.allowance_override_nanos = "year", 1_000 * CREDIT
    deal.follow(deal.invoice(0, month(0), month(0), month(0).replace(year=2027)))
    deal.follow(status="unpaid")
    deal.follow(status="active")
    assert (deal.allowance, deal.account.period_end) == (1_000, month(1))
    deal.follow(status="unpaid")
    with time_machine.travel(month(3), tick=False):
        deal.follow(status="active")
        refill_if_due(deal.account)
        assert (deal.allowance, deal.account.period_end) == (1_000, month(4))


def test_an_invoice_that_is_paid_after_the_end_becomes_credits(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    deal.follow(deal.invoice(0, month(0), month(0)), status="canceled", ended_at=month(1))
    on_time, late = month(1), month(1) + timedelta(seconds=1)
    deal.follow(deal.invoice(0, month(0), month(0)), deal.invoice(1, late, month(1)))
    assert deal.account.credits_nanos == 10_000 * CREDIT
    deal.follow(replace(deal.invoice(2, on_time, month(1)), stripe_id="in_on_time"))
    assert deal.account.credits_nanos == 10_000 * CREDIT
    refund = RefundState("re_1", deal.plan.price_cents, "succeeded", late)
    follow_refunds(Payment.by(stripe_invoice_id="in_1"), deal.account, [refund])
    assert (deal.account.credits_nanos, list(audit())) == (0, [])


@pytest.mark.parametrize(
    ("invoice", "line"), [({"currency": "eur"}, {}), ({}, {"amount": 1999}), ({}, {"price_id": None})]
)
def test_a_line_of_another_sum_or_currency_is_parked(
    deal: Deal, invoice: dict[str, object], line: dict[str, object]
) -> None:
    sold = deal.invoice(0, month(0), month(0))
    deal.follow(replace(sold, lines=(replace(sold.lines[0], **line),), **invoice))
    assert (deal.allowance, parked()) == (0, ["in_0"])
    deal.follow(deal.invoice(1, month(1), month(1)))
    assert deal.allowance == 10_000


def test_what_is_heard_of_only_after_its_end_leaves_nothing(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)), status="canceled", ended_at=month(1))
    assert [entry.kind for entry in deal.account.entries()] == ["allowance_ended", "refill"]
    assert (deal.allowance, deal.account.plan.name) == (0, "Free")


def test_a_change_before_anything_was_paid_is_parked_until_then(deal: Deal) -> None:
    line = LineState("price_Pro", 700, True, BEGIN, month(1))
    first = deal.invoice(0, BEGIN, BEGIN)
    early = replace(first, stripe_id="in_up", payment_intent_id="pi_2", lines=(line,))
    deal.follow(early, price_id="price_Pro")
    assert (deal.allowance, parked()) == (0, ["in_up"])
    deal.follow(early, first)
    assert (deal.allowance > 10_000, parked()) == (True, [])


def parked() -> list[str]:
    rows = db.session.query(Payment).filter_by(state="parked")
    return [row.stripe_invoice_id for row in rows]


def test_a_growth_that_is_paid_after_the_end_is_credited_by_its_price(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    deal.follow(status="canceled", ended_at=month(1))
    pro = db.session.query(Plan).filter_by(name="Pro").one()
    line = LineState("price_Pro", 700, True, BEGIN, month(1))
    deal.follow(replace(deal.invoice(1, month(2), month(0)), paid_cents=700, lines=(line,)))
    assert deal.account.credits_nanos == pro.allowance_nanos * 700 // pro.price_cents


def test_an_upgrade_to_a_smaller_allowance_gives_nothing(deal: Deal) -> None:
    pro = db.session.query(Plan).filter_by(name="Pro").one()
    pro.allowance_override_nanos = 9_000 * CREDIT
    deal.follow(deal.invoice(0, month(0), month(0)))
    line = LineState("price_Pro", 700, True, BEGIN, month(1))
    growth = replace(deal.invoice(0, BEGIN, BEGIN), stripe_id="in_up", payment_intent_id="pi_up", lines=(line,))
    deal.follow(growth, price_id="price_Pro")
    assert (deal.account.allowance_nanos, deal.subscription.allowance_nanos) == (
        10_000 * CREDIT,
        10_000 * CREDIT,
    )


def test_of_two_subscriptions_the_second_is_not_wanted(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    second = Subscription.begin(actor(deal.account), deal.account, deal.plan)
    follow(second, deal.account, replace(deal.state, stripe_id="sub_2"), ())
    deal.follow()
    assert (second.rejected_for != "", deal.subscription.rejected_for, deal.allowance) == (True, "", 10_000)


def test_the_payment_of_an_invoice_is_noted_when_it_is_heard_of(deal: Deal) -> None:
    sold = deal.invoice(0, month(0), month(0))
    noted = []
    for intent in (None, "pi_1", "pi_2"):
        deal.follow(replace(sold, payment_intent_id=intent))
        noted.append(Payment.by(stripe_invoice_id="in_0").stripe_payment_intent_id)
    assert noted == [None, "pi_1", "pi_1"]


def test_what_ended_takes_nothing_of_the_next_months(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    deal.follow(status="canceled", ended_at=BEGIN)
    refill_if_due(deal.account, month(1))
    assert deal.allowance == 500
    deal.follow()
    assert deal.allowance == 500


def test_a_subscription_whose_plan_was_retired_before_it_began_is_not_wanted(deal: Deal) -> None:
    deal.plan.status = "inactive"
    deal.follow(deal.invoice(0, month(0), month(0)))
    assert (deal.subscription.rejected_for != "", deal.allowance) == (True, 0)


def test_an_upgrade_at_the_periods_end_gives_nothing_of_it(deal: Deal) -> None:
    deal.follow(deal.invoice(0, month(0), month(0)))
    line = LineState("price_Pro", 700, True, month(1), month(2))
    growth = replace(deal.invoice(0, BEGIN, BEGIN), stripe_id="in_up", payment_intent_id="pi_up", lines=(line,))
    deal.follow(growth, price_id="price_Pro")
    assert deal.account.allowance_nanos == 10_000 * CREDIT
