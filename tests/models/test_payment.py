"""A purchase: its worth is fixed as it begins, and is credited once, for the very payment that was asked for."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.payment import Payment
from app.models.billing.payment_errors import Mismatch
from app.models.billing.stripe_objects import PaymentState, SessionState
from app.models.catalog.plan import CreditPack
from app.models.identity.account import Account
from app.models.metering.refusal import Refusal
from tests.support.people import CREDIT, actor, paid


@pytest.fixture
def payment(account: Account) -> Payment:
    """Three times 5,000 credits for 10 dollars, offered at a checkout."""
    pack = db.session.query(CreditPack).filter_by(price_cents=1000).one()
    begun = Payment.begin(actor(account), account, pack.quote(3))
    begun.stripe_session_id = "cs_1"
    db.session.flush()
    return begun


def result(payment: Payment, **changes: object) -> PaymentState:
    return replace(paid("pi_1", payment), **changes)


def test_several_packs_cost_and_give_so_many_times_as_much(payment: Payment) -> None:
    assert (payment.price_cents, payment.worth_nanos) == (3000, 15_000 * CREDIT)


def test_what_was_paid_is_credited_once(payment: Payment, account: Account) -> None:
    assert [payment.succeed(account, result(payment)) for _ in range(2)] == [True, False]
    assert account.credits_nanos == 15_000 * CREDIT


@pytest.mark.parametrize(
    "wrong",
    [
        {"currency": "eur"},
        {"received_cents": 2999},
        {"metadata": {"account_id": "0"}},
        {"status": "processing", "amount_cents": 2999},
    ],
)
def test_another_payment_than_was_asked_for_credits_nothing(
    payment: Payment, account: Account, wrong: dict[str, object]
) -> None:
    with pytest.raises(Mismatch):
        payment.succeed(account, result(payment, **wrong))
    assert (account.credits_nanos, payment.state) == (0, "open")


def test_a_second_payment_for_one_purchase_is_a_mismatch(payment: Payment, account: Account) -> None:
    payment.succeed(account, result(payment))
    with pytest.raises(Mismatch, match="already"):
        payment.succeed(account, result(payment, stripe_id="pi_2"))


def test_a_checkout_of_another_sum_account_or_currency_is_a_mismatch(payment: Payment) -> None:
    owner = str(payment.account_id)
    session = SessionState("cs_1", "payment", "complete", "paid", None, "cus_1", owner, "pi_1", None, None, 3000, "usd")
    payment.check_session(session)
    others = (
        {"amount_cents": 1},
        {"currency": "eur"},
        {"client_reference_id": "0"},
        {"metadata": {"account_id": "0"}},
    )
    for wrong in others:
        with pytest.raises(Mismatch):
            payment.check_session(replace(session, **wrong))


def test_money_that_nobody_knew_is_forgotten_once_its_purchase_is_known(payment: Payment, account: Account) -> None:
    Payment.park_unknown(account, result(payment), "we sold nothing for it")
    known = Payment.park_unknown(account, result(payment, stripe_id="pi_2"), "nor for this")
    again = Payment.park_unknown(account, result(payment, stripe_id="pi_2"), "still not")
    assert (known is again, known.worth_nanos) == (True, 0)
    db.session.flush()
    payment.succeed(account, result(payment))
    assert Payment.by(stripe_payment_intent_id="pi_1") is payment
    assert Payment.by(stripe_payment_intent_id="pi_2") is known


def test_a_checkout_is_waited_for_until_it_ends(payment: Payment) -> None:
    later = utcnow() + timedelta(seconds=1)
    assert Payment.waiting(later) == [payment]
    assert Payment.waiting(payment.created_at) == []
    payment.wait()
    assert (payment.state, Payment.waiting(later)) == ("processing", [payment])
    payment.fall_through()
    assert (payment.state, Payment.waiting(later)) == ("canceled", [])


def test_what_was_paid_neither_falls_through_nor_waits_nor_is_parked(payment: Payment, account: Account) -> None:
    payment.succeed(account, result(payment))
    payment.wait()
    payment.fall_through()
    payment.park("late")
    assert (payment.state, payment.review_reason) == ("paid", "")


@pytest.mark.parametrize(
    ("terms", "code"),
    [({"allows_packs": False}, "packs_not_allowed"), ({"status": "inactive"}, "plan_inactive")],
)
def test_a_plan_without_packs_sells_none(account: Account, terms: dict[str, object], code: str) -> None:
    pack = db.session.query(CreditPack).filter_by(price_cents=1000).one()
    for name, value in terms.items():
        setattr(account.plan, name, value)
    with pytest.raises(Refusal) as refused:
        Payment.begin(actor(account), account, pack.quote())
    assert refused.value.code == code
