"""Packs: bought by checkout, credited once, at the worth of the moment they were begun."""

import random

import pytest

from app.models.billing.payment import Payment
from app.models.metering.refusal import Refusal
from tests.payments.stripe_scenario import Till

pytestmark = pytest.mark.databases("sqlite", "postgresql")


def test_a_pack_is_credited_when_it_is_paid(till: Till) -> None:
    till.buy_pack()
    assert till.credits == 5000
    assert till.kinds() == ["purchase"]
    assert till.is_explained()


def test_an_unpaid_checkout_gives_nothing(till: Till) -> None:
    till.buy_pack(card="decline")
    assert till.credits == 0


def test_two_packs_at_once_are_worth_twice(till: Till) -> None:
    till.buy_pack(quantity=3)
    assert till.credits == 15000


def test_the_worth_is_fixed_when_the_checkout_begins(till: Till) -> None:
    session_id = till.begin_pack()
    till.pack().margin_bps = 9000
    till.commit()
    till.sandbox.pay(session_id)
    till.deliver()
    assert till.credits == 5000


def test_a_pack_that_is_retired_in_mid_checkout_is_still_credited(till: Till) -> None:
    session_id = till.begin_pack()
    till.pack().status = "inactive"
    till.commit()
    till.sandbox.pay(session_id)
    till.deliver()
    assert till.credits == 5000


def test_a_price_that_changes_in_mid_checkout_is_the_old_one(till: Till) -> None:
    session_id = till.begin_pack()
    till.pack().price_cents = 1500
    till.commit()
    till.work()
    till.sandbox.pay(session_id)
    till.deliver()
    assert (till.credits, till.last(Payment).price_cents) == (5000, 1000)


def test_the_terms_of_a_pack_are_locked_by_its_first_sale(till: Till) -> None:
    assert till.pack().terms_locked_at is None
    till.buy_pack()
    assert till.pack().terms_locked_at


def test_events_told_thrice_and_in_any_order_credit_once(till: Till) -> None:
    till.sandbox.pay(till.begin_pack())
    till.deliver(random.Random(7), times=3)  # noqa: S311
    assert till.kinds() == ["purchase"]


def test_a_bank_debit_is_credited_when_the_bank_has_paid(till: Till) -> None:
    payment = till.buy_pack(card="pays_later")
    assert (till.credits, payment.state) == (0, "processing")
    till.advance(4)
    assert till.credits == 5000


def test_a_bank_debit_that_fails_credits_nothing(till: Till) -> None:
    till.buy_pack(card="fails_days_later")
    till.advance(4)
    assert (till.credits, till.last(Payment).state) == (0, "failed")


def test_an_expired_checkout_is_over(till: Till) -> None:
    session_id = till.begin_pack()
    till.sandbox.client.v1.checkout.sessions.expire(session_id)
    till.deliver()
    assert till.last(Payment).state == "canceled"


def test_a_plan_without_packs_refuses_a_purchase(till: Till) -> None:
    till.subscribe("Starter")
    with pytest.raises(Refusal) as refusal:
        till.begin_pack()
    assert refusal.value.code == "packs_not_allowed"


def test_the_buyer_gets_one_receipt(till: Till) -> None:
    till.sandbox.pay(till.begin_pack())
    till.deliver(times=2)
    assert till.mails() == ["receipt"]


def test_everything_made_at_stripe_names_its_account_and_row(till: Till) -> None:
    payment = till.buy_pack()
    made = till.sandbox.running.sandbox.store
    labels = {"account_id": str(till.account_id), "payment_id": str(payment.id)}
    assert made.all("payment_intent")[0]["metadata"] == labels
    assert made.all("checkout.session")[0]["metadata"] == labels
    assert made.all("customer")[0]["metadata"] == {"account_id": str(till.account_id)}
