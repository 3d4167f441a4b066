"""What a refund or dispute takes where the other has taken before: at most the worth of the payment."""

from dataclasses import replace

import pytest

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.refund import Refund, follow_dispute, follow_refunds
from app.models.billing.stripe_objects import DisputeState, RefundState
from app.models.catalog.plan import CreditPack
from app.models.identity.account import Account
from tests.support.people import CREDIT, actor, paid

REFUND = RefundState("re_1", 400, "succeeded", utcnow())


@pytest.fixture
def payment(account: Account) -> Payment:
    """5,000 credits for 10 dollars."""
    pack = db.session.query(CreditPack).filter_by(price_cents=1000).one()
    bought = Payment.begin(actor(account), account, pack.quote())
    bought.succeed(account, paid("pi_1", bought))
    return bought


def dispute(payment: Payment, account: Account, status: str) -> None:
    follow_dispute(payment, account, DisputeState("dp_1", status, "pi_1"))
    db.session.flush()


def left(account: Account) -> int:
    return account.credits_nanos // CREDIT


def entries() -> list[tuple[str, int]]:
    rows = db.session.query(LedgerEntry).order_by(LedgerEntry.id)
    return [(row.kind, row.credits_nanos // CREDIT) for row in rows]


def test_a_refund_that_comes_during_a_dispute_takes_nothing_more(account: Account, payment: Payment) -> None:
    dispute(payment, account, "needs_response")
    follow_refunds(payment, account, [REFUND])
    assert (left(account), payment.taken_nanos) == (0, payment.worth_nanos)
    dispute(payment, account, "won")
    assert (left(account), payment.taken_nanos) == (3000, 2000 * CREDIT)
    assert entries() == [("purchase", 5000), ("dispute", -5000), ("dispute_won", 3000)]


def test_a_refund_that_fails_after_a_dispute_was_won_gives_back(account: Account, payment: Payment) -> None:
    dispute(payment, account, "needs_response")
    follow_refunds(payment, account, [REFUND])
    dispute(payment, account, "won")
    follow_refunds(payment, account, [replace(REFUND, status="failed")])
    assert (left(account), payment.taken_nanos, payment.refunded_cents) == (5000, 0, 0)


def test_of_what_was_paid_nothing_nothing_is_taken(payment: Payment) -> None:
    payment.total_cents, payment.refunded_cents = 0, 100
    assert payment.share_refunded(payment.worth_nanos) == 0


def test_a_refund_above_the_price_takes_the_worth(payment: Payment) -> None:
    payment.refunded_cents = 1001
    assert payment.share_refunded(payment.worth_nanos) == payment.worth_nanos


def test_what_was_taken_from_the_allowance_comes_back_there(account: Account, payment: Payment) -> None:
    payment.kind, account.allowance_nanos = "invoice", 5000 * CREDIT
    follow_refunds(payment, account, [REFUND])
    assert (account.allowance_nanos, left(account)) == (3000 * CREDIT, 5000)
    follow_refunds(payment, account, [replace(REFUND, status="failed")])
    assert (account.allowance_nanos, account.credits_nanos) == (5000 * CREDIT, 5000 * CREDIT)


def test_the_second_look_at_a_dispute_takes_nothing_and_the_next_round_takes_again(
    account: Account, payment: Payment
) -> None:
    for status in ("needs_response", "under_review", "won", "won", "needs_response", "lost"):
        dispute(payment, account, status)
    assert entries() == [("purchase", 5000), ("dispute", -5000), ("dispute_won", 5000), ("dispute", -5000)]
    assert account.frozen_by == "dispute"


def test_an_account_thaws_with_its_last_dispute(account: Account, payment: Payment) -> None:
    other = Payment.begin(actor(account), account, payment.pack.quote())
    other.succeed(account, paid("pi_2", other))
    for one, status in ((payment, "needs_response"), (other, "needs_response"), (payment, "won")):
        follow_dispute(one, account, DisputeState(f"dp_{one.id}", status, one.stripe_payment_intent_id))
    assert (left(account), account.frozen_by) == (5000, "dispute")
    follow_dispute(other, account, DisputeState(f"dp_{other.id}", "won", "pi_2"))
    assert (left(account), account.frozen_by) == (10_000, None)


@pytest.mark.parametrize(("last", "left_over", "frozen"), [("won", 5000, None), ("lost", 0, "dispute")])
def test_what_two_disputes_hold_comes_back_with_the_last(
    account: Account, payment: Payment, last: str, left_over: int, frozen: str | None
) -> None:
    for one, status in (("a", "needs_response"), ("b", "needs_response"), ("a", "won")):
        follow_dispute(payment, account, DisputeState(f"dp_{one}", status, "pi_1"))
        assert (left(account), account.frozen_by) == (0, "dispute")
    follow_dispute(payment, account, DisputeState("dp_b", last, "pi_1"))
    assert (left(account), account.frozen_by) == (left_over, frozen)


def test_a_refund_that_failed_before_we_heard_of_it_takes_and_gives_back(account: Account, payment: Payment) -> None:
    follow_refunds(payment, account, [replace(REFUND, status="failed")])
    assert entries() == [("purchase", 5000), ("refund", -2000), ("refund_failed", 2000)]
    follow_refunds(payment, account, [replace(REFUND, status="failed")])
    assert (left(account), payment.refunded_cents) == (5000, 0)


def test_of_two_refunds_one_fails_during_a_dispute(account: Account, payment: Payment) -> None:
    second = replace(REFUND, stripe_id="re_2", amount_cents=100)
    follow_refunds(payment, account, [REFUND, second])
    dispute(payment, account, "needs_response")
    follow_refunds(payment, account, [REFUND, replace(second, status="failed")])
    assert (left(account), payment.refund_taken_nanos) == (0, 2000 * CREDIT)
    dispute(payment, account, "won")
    assert (left(account), payment.taken_nanos) == (3000, 2000 * CREDIT)


def test_our_own_wish_is_the_refund_that_stripe_tells_of(account: Account, payment: Payment) -> None:
    Refund.want(payment, 300, reason="other")
    options = Refund.want(payment, 400, reason="kindness")
    (result,) = follow_refunds(payment, account, [REFUND])
    assert (result.id, result.status, result.stripe_id) == (options.id, "succeeded", "re_1")
    (another,) = follow_refunds(payment, account, [replace(REFUND, stripe_id="re_2")])
    assert another.id not in {options.id, None}


def test_a_payment_of_a_cent_is_taken_back_whole(payment: Payment) -> None:
    payment.total_cents = payment.refunded_cents = 1
    assert payment.share_refunded(payment.worth_nanos) == payment.worth_nanos


def test_what_a_balance_covered_counts_as_asked_for(payment: Payment) -> None:
    """A payment of 20 dollars, of which a customer's balance covered 15 and the card 5; the card's part is refunded."""
    payment.total_cents, payment.price_cents, payment.refunded_cents = 2000, 500, 500
    assert payment.share_refunded(payment.worth_nanos) == payment.worth_nanos // 4
