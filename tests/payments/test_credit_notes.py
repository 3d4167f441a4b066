"""Credit notes of Stripe's dashboard: what they give back lowers the worth once, whichever way it goes."""

from typing import Any

import pytest

from app.models.billing.payment import Payment
from app.payments import jobs, reconciliation, refunds
from tests.payments.stripe_scenario import StripeScenario

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


def credit(scenario: StripeScenario, invoice_id: str, **amounts: int) -> None:
    wanted: Any = {"invoice": invoice_id, **amounts}
    scenario.sandbox.client.v1.credit_notes.create(wanted)


def paid_invoice(scenario: StripeScenario) -> Payment:
    scenario.subscribe("Plus")
    return scenario.last_payment("invoice")


def is_whole(scenario: StripeScenario) -> bool:
    """Nothing is left to find, and every balance is explained."""
    return list(reconciliation.reconcile()) == [] and scenario.is_explained()


def test_what_a_note_gives_back_takes_its_share(scenario: StripeScenario) -> None:
    invoice = paid_invoice(scenario)
    for way, cents, left in (
        ("refund_amount", 500, 7_500),
        ("credit_amount", 400, 5_500),
        ("out_of_band_amount", 1_100, 0),
    ):
        credit(scenario, invoice.stripe_invoice_id or "", **{way: cents})
        scenario.deliver()
        given_back = 2_000 * (10_000 - left) // 10_000
        assert (way, scenario.allowance, scenario.last_payment("invoice").refunded_cents) == (way, left, given_back)
    assert is_whole(scenario)
    scenario.renew()
    assert scenario.allowance == 10_000
    assert is_whole(scenario)


def test_one_note_may_give_back_in_three_ways(scenario: StripeScenario) -> None:
    invoice = paid_invoice(scenario)
    credit(
        scenario,
        invoice.stripe_invoice_id or "",
        refund_amount=400,
        credit_amount=500,
        out_of_band_amount=100,
    )
    scenario.deliver()
    assert (scenario.allowance, scenario.last_payment("invoice").refunded_cents) == (5_000, 1_000)
    assert is_whole(scenario)


def test_a_note_after_a_refund_adds_to_it(scenario: StripeScenario) -> None:
    invoice = paid_invoice(scenario)
    scenario.refund(invoice, 500)
    credit(scenario, invoice.stripe_invoice_id or "", credit_amount=500)
    credit(scenario, invoice.stripe_invoice_id or "", refund_amount=500)
    scenario.deliver()
    assert (scenario.allowance, scenario.last_payment("invoice").refunded_cents) == (2_500, 1_500)
    assert is_whole(scenario)


def test_a_note_whose_event_was_lost_is_found_once(scenario: StripeScenario) -> None:
    invoice = paid_invoice(scenario)
    credit(scenario, invoice.stripe_invoice_id or "", credit_amount=1_000)
    scenario.seen |= {notice.stripe_id for notice in scenario.notices()}
    assert len(list(reconciliation.reconcile())) == 1
    assert scenario.allowance == 5_000
    assert is_whole(scenario)


def open_invoice(scenario: StripeScenario) -> str:
    """A renewal that the card does not pay."""
    scenario.subscribe("Plus", card="fails_later")
    scenario.renew()
    assert scenario.subscription.status == "past_due"
    return str(scenario.sandbox.client.v1.invoices.list({"status": "open"}).data[0].id)


def pay(scenario: StripeScenario, invoice_id: str) -> None:
    scenario.sandbox.client.v1.invoices.pay(invoice_id, {"payment_method": "pm_card_visa"})
    scenario.deliver()


def test_a_note_on_an_unpaid_invoice_makes_it_cheaper_and_the_worth_stays_whole(
    scenario: StripeScenario,
) -> None:
    invoice_id = open_invoice(scenario)
    credit(scenario, invoice_id, amount=500)
    scenario.deliver()
    assert scenario.kinds().count("refill") == 1
    pay(scenario, invoice_id)
    paid = scenario.last_payment("invoice")
    assert (paid.price_cents, paid.total_cents, scenario.allowance) == (1_500, 1_500, 10_000)
    assert paid.review_reason == "credit notes took 500 cents off; the worth stays whole"
    assert is_whole(scenario)
    scenario.refund(paid, 1_500)
    assert scenario.allowance == 0
    assert is_whole(scenario)


def test_a_note_on_all_that_is_left_pays_an_unpaid_invoice(scenario: StripeScenario) -> None:
    credit(scenario, open_invoice(scenario), amount=2_000)
    scenario.deliver()
    paid = scenario.last_payment("invoice")
    assert (scenario.subscription.status, paid.price_cents, scenario.allowance) == ("active", 0, 10_000)
    assert "credit notes took 2000 cents off" in paid.review_reason
    assert is_whole(scenario)


def test_a_voided_note_took_nothing_off(scenario: StripeScenario) -> None:
    invoice_id = open_invoice(scenario)
    credit(scenario, invoice_id, amount=500)
    v1 = scenario.sandbox.client.v1
    v1.credit_notes.void_credit_note(v1.credit_notes.list({"invoice": invoice_id}).data[0].id)
    scenario.deliver()
    pay(scenario, invoice_id)
    paid = scenario.last_payment("invoice")
    assert (paid.price_cents, paid.review_reason, scenario.allowance) == (2_000, "", 10_000)
    assert is_whole(scenario)


def test_a_refund_that_waits_here_is_not_taken_for_a_note(scenario: StripeScenario) -> None:
    invoice = paid_invoice(scenario)
    wanted = refunds.request_refund(invoice.id, 500, reason="asked")
    scenario.commit()
    credit(scenario, invoice.stripe_invoice_id or "", credit_amount=500)
    scenario.deliver()
    jobs.pay_back(wanted.id)
    scenario.deliver()
    assert (scenario.allowance, scenario.last_payment("invoice").refunded_cents) == (5_000, 1_000)
    assert is_whole(scenario)
