"""Refunds and disputes: exactly what came with the payment is taken back, and given back."""

import pytest

from app.payments import refunds
from app.payments.transaction import commit
from app.models.metering.refusal import InvalidRequest
from tests.payments.stripe_scenario import Till
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql")


def test_a_whole_refund_takes_all_credits_back(till: Till) -> None:
    till.refund(till.buy_pack())
    assert till.credits == 0
    assert till.kinds() == ["purchase", "refund"]
    assert till.is_explained()


def test_a_refund_after_spending_leaves_a_debt(till: Till) -> None:
    payment = till.buy_pack()
    till.spend(4000)
    till.refund(payment)
    assert till.credits == -4000


def test_two_odd_refunds_take_the_whole_to_the_nano(till: Till) -> None:
    payment = till.buy_pack()
    till.refund(payment, 333)
    assert till.account.credits_nanos == 5000 * CREDIT * 667 // 1000
    till.refund(payment, 667)
    assert till.account.credits_nanos == 0


def test_a_failed_refund_gives_back(till: Till) -> None:
    made = till.refund(till.buy_pack(), 400)
    till.sandbox.control("refund", refund=made["id"], action="fail")
    till.deliver()
    assert till.entries() == [("purchase", 0, 5000), ("refund", 0, -2000), ("refund_failed", 0, 2000)]


def test_an_invoices_refund_takes_the_allowance_first(till: Till) -> None:
    till.buy_pack()
    till.subscribe("Plus")
    payment = till.last_payment("invoice")
    till.refund(payment)
    assert (till.allowance, till.credits) == (0, 5000)


def test_an_invoices_refund_goes_on_into_the_credits(till: Till) -> None:
    till.buy_pack()
    till.subscribe("Plus")
    till.use_allowance(9000)
    till.refund(till.last_payment("invoice"), 1000)
    assert (till.allowance, till.credits) == (0, 1000)


def test_an_admins_refund_is_asked_for_and_taken_back(till: Till) -> None:
    payment = till.buy_pack()
    refunds.want_refund(payment.id, 500, reason="kindness")
    commit()
    till.work()
    assert till.credits == 2500


def test_more_than_was_paid_cannot_be_refunded(till: Till) -> None:
    with pytest.raises(InvalidRequest):
        refunds.want_refund(till.buy_pack().id, 1001, reason="")


def test_a_dispute_takes_everything_and_freezes(till: Till) -> None:
    till.dispute(till.buy_pack())
    assert (till.credits, till.account.frozen_by) == (0, "dispute")
    assert "dispute" in till.mails()


def test_a_dispute_that_is_won_returns_and_unfreezes(till: Till) -> None:
    payment = till.buy_pack()
    till.dispute(payment)
    till.dispute(payment, "win")
    assert (till.credits, till.account.frozen_at) == (5000, None)
    assert till.is_explained()


def test_a_dispute_that_is_lost_stays_taken(till: Till) -> None:
    payment = till.buy_pack()
    till.dispute(payment)
    till.dispute(payment, "lose")
    assert (till.credits, till.account.frozen_by) == (0, "dispute")


def test_a_dispute_that_is_reopened_takes_again(till: Till) -> None:
    payment = till.buy_pack()
    for action in ("open", "win", "reopen"):
        till.dispute(payment, action)
    assert (till.credits, till.account.frozen_by) == (0, "dispute")
    assert till.kinds() == ["purchase", "dispute", "dispute_won", "dispute"]


def test_a_dispute_takes_only_what_no_refund_has_taken(till: Till) -> None:
    payment = till.buy_pack()
    till.refund(payment, 400)
    till.dispute(payment)
    assert till.entries()[1:] == [("refund", 0, -2000), ("dispute", 0, -3000)]


def test_a_refund_that_fails_during_a_dispute_waits_for_its_end(till: Till) -> None:
    payment = till.buy_pack()
    made = till.refund(payment, 400)
    till.dispute(payment)
    till.sandbox.control("refund", refund=made["id"], action="fail")
    till.deliver()
    assert (till.credits, till.is_explained()) == (0, True)
    till.dispute(payment, "win")
    assert (till.credits, till.is_explained()) == (5000, True)


def test_an_inquiry_only_flags(till: Till) -> None:
    till.dispute(till.buy_pack(), "inquiry")
    assert (till.credits, till.account.frozen_at) == (5000, None)


def test_an_admins_freeze_outlasts_a_dispute_that_is_won(till: Till) -> None:
    payment = till.buy_pack()
    till.dispute(payment)
    till.freeze("admin")
    till.dispute(payment, "win")
    assert till.account.frozen_by == "admin"
