"""Credit notes of Stripe's dashboard: what they give back lowers the worth once, whichever way it goes."""

from typing import Any

import pytest

from app.models.billing.payment import Payment
from app.payments import jobs, reconciliation, refunds
from tests.payments.stripe_scenario import StripeScenario

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))


def credit(scenario: StripeScenario, invoice_id: str | None, **amounts: int) -> None:
    wanted: Any = {"invoice": invoice_id, **amounts}
    scenario.sandbox.client.v1.credit_notes.create(wanted)


def is_whole(scenario: StripeScenario) -> bool:
    """Nothing is left to find, and every balance is explained."""
    return list(reconciliation.reconcile()) == [] and scenario.is_explained()


def by_notes(scenario: StripeScenario, invoice: Payment) -> None:
    """One after the other, each in a way of its own."""
    for way, cents, left in (
        ("refund_amount", 500, 7_500),
        ("credit_amount", 400, 5_500),
        ("out_of_band_amount", 1_100, 0),
    ):
        credit(scenario, invoice.stripe_invoice_id, **{way: cents})
        scenario.deliver()
        given_back = 2_000 * (10_000 - left) // 10_000
        assert (way, scenario.allowance, scenario.last_payment("invoice").refunded_cents) == (way, left, given_back)


def by_one_note_in_three_ways(scenario: StripeScenario, invoice: Payment) -> None:
    amounts = {"refund_amount": 400, "credit_amount": 500, "out_of_band_amount": 100}
    credit(scenario, invoice.stripe_invoice_id, **amounts)
    scenario.deliver()


def by_a_refund_and_then_by_notes(scenario: StripeScenario, invoice: Payment) -> None:
    scenario.refund(invoice, 500)
    credit(scenario, invoice.stripe_invoice_id, credit_amount=500)
    credit(scenario, invoice.stripe_invoice_id, refund_amount=500)
    scenario.deliver()


def by_a_note_whose_event_was_lost(scenario: StripeScenario, invoice: Payment) -> None:
    credit(scenario, invoice.stripe_invoice_id, credit_amount=1_000)
    scenario.seen |= {notice.stripe_id for notice in scenario.notices()}
    assert len(list(reconciliation.reconcile())) == 1


def by_a_note_while_a_refund_waits_here(scenario: StripeScenario, invoice: Payment) -> None:
    wanted = refunds.request_refund(invoice.id, 500, reason="asked")
    scenario.commit()
    credit(scenario, invoice.stripe_invoice_id, credit_amount=500)
    scenario.deliver()
    jobs.pay_back(wanted.id)
    scenario.deliver()


def test_what_is_given_back_takes_its_share_once_and_the_next_period_is_whole(scenario: StripeScenario) -> None:
    """Five periods, of each of which something is given back in another way: what is left, and the cents."""
    scenario.subscribe("Plus")
    for give_back, left, cents in (
        (by_notes, 0, 2_000),
        (by_one_note_in_three_ways, 5_000, 1_000),
        (by_a_refund_and_then_by_notes, 2_500, 1_500),
        (by_a_note_whose_event_was_lost, 5_000, 1_000),
        (by_a_note_while_a_refund_waits_here, 5_000, 1_000),
    ):
        give_back(scenario, scenario.last_payment("invoice"))
        told = give_back.__name__, scenario.allowance, scenario.last_payment("invoice").refunded_cents
        assert told == (give_back.__name__, left, cents)
        assert is_whole(scenario)
        scenario.renew()
        assert scenario.allowance == 10_000


def open_invoice(scenario: StripeScenario) -> str:
    """A renewal that the card does not pay."""
    scenario.renew()
    assert scenario.subscription.status == "past_due"
    return str(scenario.sandbox.client.v1.invoices.list({"status": "open"}).data[0].id)


def pay(scenario: StripeScenario, invoice_id: str) -> Payment:
    scenario.sandbox.client.v1.invoices.pay(invoice_id, {"payment_method": "pm_card_visa"})
    scenario.deliver()
    return scenario.last_payment("invoice")


def test_a_note_on_an_unpaid_invoice_makes_it_cheaper_and_the_worth_stays_whole(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus", card="fails_later")
    invoice_id = open_invoice(scenario)
    credit(scenario, invoice_id, amount=500)
    scenario.deliver()
    assert scenario.kinds().count("refill") == 1
    paid = pay(scenario, invoice_id)
    assert (paid.price_cents, paid.total_cents, scenario.allowance) == (1_500, 1_500, 10_000)
    assert paid.review_reason == "credit notes took 500 cents off; the worth stays whole"
    scenario.refund(paid, 1_500)
    assert (scenario.allowance, is_whole(scenario)) == (0, True)
    a_voided_note_took_nothing_off(scenario)
    credit(scenario, open_invoice(scenario), amount=2_000)
    scenario.deliver()
    paid = scenario.last_payment("invoice")
    assert (scenario.subscription.status, paid.price_cents, scenario.allowance) == ("active", 0, 10_000)
    assert "credit notes took 2000 cents off" in paid.review_reason
    assert (scenario.kinds().count("refill"), is_whole(scenario)) == (4, True)


def a_voided_note_took_nothing_off(scenario: StripeScenario) -> None:
    invoice_id = open_invoice(scenario)
    credit(scenario, invoice_id, amount=500)
    v1 = scenario.sandbox.client.v1
    v1.credit_notes.void_credit_note(v1.credit_notes.list({"invoice": invoice_id}).data[0].id)
    scenario.deliver()
    paid = pay(scenario, invoice_id)
    assert (paid.price_cents, paid.review_reason, scenario.allowance) == (2_000, "", 10_000)
