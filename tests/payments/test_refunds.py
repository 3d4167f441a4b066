"""Refunds and disputes: exactly what came with the payment is taken back, and given back."""

from datetime import timedelta

import pytest

from app.jobs import commit
from app.mail_message import compose
from app.mailer import completed
from app.models.metering.refusal import InvalidRequest
from app.models.operations.outbox import OutgoingMail
from app.payments import refunds
from tests.payments.stripe_scenario import StripeScenario
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


def test_two_odd_refunds_take_the_whole_to_the_nano(scenario: StripeScenario) -> None:
    payment = scenario.buy_pack()
    scenario.refund(payment, 333)
    assert scenario.account.credits_nanos == 5000 * CREDIT * 667 // 1000
    scenario.refund(payment, 667)
    assert scenario.account.credits_nanos == 0
    assert scenario.kinds() == ["purchase", "refund", "refund"]
    assert scenario.is_explained()


def test_a_failed_refund_gives_back_and_one_after_spending_leaves_a_debt(scenario: StripeScenario) -> None:
    payment = scenario.buy_pack()
    made = scenario.refund(payment, 400)
    scenario.sandbox.control("refund", refund=made["id"], action="fail")
    scenario.deliver()
    assert scenario.entries() == [("purchase", 0, 5000), ("refund", 0, -2000), ("refund_failed", 0, 2000)]
    scenario.spend(4000)
    scenario.refund(payment)
    assert (scenario.credits, scenario.is_explained()) == (-4000, True)


def test_an_invoices_refund_takes_the_allowance_and_goes_on_into_the_credits(scenario: StripeScenario) -> None:
    scenario.buy_pack()
    scenario.subscribe("Plus")
    scenario.refund(scenario.last_payment("invoice"), 500)
    assert (scenario.allowance, scenario.credits) == (7500, 5000)
    scenario.use_allowance(6500)
    scenario.refund(scenario.last_payment("invoice"), 1000)
    assert (scenario.allowance, scenario.credits) == (0, 1000)


def test_an_admins_refund_of_no_more_than_was_paid_is_asked_for_and_taken_back(scenario: StripeScenario) -> None:
    payment = scenario.buy_pack()
    with pytest.raises(InvalidRequest):
        refunds.request_refund(payment.id, 1001, reason="")
    refunds.request_refund(payment.id, 500, reason="kindness")
    commit()
    scenario.work()
    assert scenario.credits == 2500


def test_what_is_paid_once_the_account_is_closed_is_paid_back(scenario: StripeScenario) -> None:
    """Its checkouts were open in other tabs. What was paid before stays."""
    kept = scenario.buy_pack()
    checkouts = scenario.begin_pack(2500), scenario.begin_plan("Plus")
    scenario.account.close()
    kept.paid_at -= timedelta(seconds=3)
    scenario.commit()
    scenario.close_account()
    for checkout in checkouts:
        scenario.sandbox.pay(checkout)
    scenario.deliver()
    for _sweep in range(2):
        scenario.work()
    scenario.deliver()
    paid = [scenario.last_payment(kind) for kind in ("pack", "invoice")]
    assert [(one.price_cents, one.refunded_cents) for one in paid] == [(2500, 2500), (2000, 2000)]
    assert (scenario.allowance, kept.refunded_cents) == (0, 0)
    assert scenario.is_explained()


def test_a_dispute_takes_all_and_freezes_returns_it_once_won_and_takes_again_once_reopened(
    scenario: StripeScenario,
) -> None:
    payment = scenario.buy_pack()
    scenario.dispute(payment)
    assert (scenario.credits, scenario.account.frozen_by) == (0, "dispute")
    assert "dispute" in scenario.mails()
    scenario.dispute(payment, "win")
    assert (scenario.credits, scenario.account.frozen_at) == (5000, None)
    assert scenario.is_explained()
    scenario.dispute(payment, "reopen")
    assert (scenario.credits, scenario.account.frozen_by) == (0, "dispute")
    assert scenario.kinds() == ["purchase", "dispute", "dispute_won", "dispute"]


def test_a_dispute_that_is_lost_stays_taken(scenario: StripeScenario) -> None:
    payment = scenario.buy_pack()
    scenario.dispute(payment)
    scenario.dispute(payment, "lose")
    assert (scenario.credits, scenario.account.frozen_by) == (0, "dispute")
    assert "stays on hold" in last_mail(scenario)


def last_mail(scenario: StripeScenario) -> str:
    told = scenario.last(OutgoingMail)
    return compose(told.to, told.template, completed(told) or {}).body


def test_a_dispute_takes_what_no_refund_took_and_one_that_fails_meanwhile_waits_for_its_end(
    scenario: StripeScenario,
) -> None:
    payment = scenario.buy_pack()
    made = scenario.refund(payment, 400)
    scenario.dispute(payment)
    assert scenario.entries()[1:] == [("refund", 0, -2000), ("dispute", 0, -3000)]
    scenario.sandbox.control("refund", refund=made["id"], action="fail")
    scenario.deliver()
    assert (scenario.credits, scenario.is_explained()) == (0, True)
    scenario.dispute(payment, "win")
    assert (scenario.credits, scenario.is_explained()) == (5000, True)


def test_an_inquiry_only_flags(scenario: StripeScenario) -> None:
    scenario.dispute(scenario.buy_pack(), "inquiry")
    assert ("an inquiry" in last_mail(scenario), "on hold" in last_mail(scenario)) == (True, False)
    assert (scenario.credits, scenario.account.frozen_at) == (5000, None)
