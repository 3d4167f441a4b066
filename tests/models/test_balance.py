"""What is available, and what pays for a call: the arithmetic of billing-rules.md 4, without a database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.metering.balance import Balance, Payment

AMOUNT = st.integers(0, 10**12)
BALANCES = st.builds(
    Balance,
    allowance=AMOUNT,
    credits=st.integers(-(10**12), 10**12),
    reserved=AMOUNT,
    daily_limit=st.none() | AMOUNT,
    daily_used=AMOUNT,
)


@pytest.mark.parametrize(
    ("balance", "available"),
    [
        (Balance(500, 0), 500),
        (Balance(500, 200, 100), 600),
        (Balance(500, 0, 0, 50, 0), 50),
        (Balance(500, 0, 0, 50, 30), 20),
        (Balance(500, 7, 0, 50, 90), 7),
        (Balance(10, 0, 0, 50, 0), 10),
        (Balance(0, -30), -30),
    ],
)
def test_available_is_the_days_rest_and_credits_less_what_is_reserved(balance: Balance, available: int) -> None:
    assert balance.available == available


@pytest.mark.parametrize(
    ("balance", "cost", "payment"),
    [
        (Balance(500, 100), 30, Payment(30, 0, 0)),
        (Balance(20, 100), 30, Payment(20, 10, 0)),
        (Balance(500, 100, 0, 50, 40), 30, Payment(10, 20, 0)),
        (Balance(500, 15, 0, 50, 40), 30, Payment(15, 15, 0)),
        (Balance(0, 10), 30, Payment(0, 30, 0)),
        (Balance(0, 10), 100, Payment(0, 60, 40)),
        (Balance(0, -50), 10, Payment(0, 0, 10)),
        (Balance(0, -90), 10, Payment(0, 0, 10)),
        (Balance(3, -90), 10, Payment(3, 0, 7)),
    ],
)
def test_a_call_is_paid_in_the_order_of_the_rules(balance: Balance, cost: int, payment: Payment) -> None:
    assert balance.pay(cost, ceiling=1000, overdraft=50) == payment


@given(BALANCES, AMOUNT, AMOUNT, st.integers(0, 10**9))
def test_what_pays_adds_up_and_never_passes_its_bounds(
    balance: Balance, cost: int, ceiling: int, overdraft: int
) -> None:
    payment = balance.pay(cost, ceiling, overdraft)

    assert payment.allowance + payment.credits + payment.absorbed == cost
    assert min(payment.allowance, payment.credits, payment.absorbed) >= 0
    assert payment.allowance + payment.credits <= ceiling
    assert payment.allowance <= balance.allowance
    assert balance.credits - payment.credits >= min(balance.credits, -overdraft)


@given(BALANCES, AMOUNT, AMOUNT)
def test_the_days_limit_is_passed_only_when_no_credits_are_left(balance: Balance, cost: int, ceiling: int) -> None:
    payment = balance.pay(cost, ceiling, 0)

    if payment.allowance > balance.day_rest:
        assert payment.credits == max(0, balance.credits)


@given(BALANCES, AMOUNT, AMOUNT)
def test_nothing_is_absorbed_while_something_could_pay(balance: Balance, cost: int, overdraft: int) -> None:
    payment = balance.pay(cost, cost, overdraft)

    if payment.absorbed:
        assert payment.allowance == balance.allowance
        assert balance.credits - payment.credits == min(balance.credits, -overdraft)
