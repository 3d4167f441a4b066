"""Idempotency keys and faults: what is executed, what is replayed, what the caller gets to see."""

import time

import pytest
import requests
import stripe

from tests.sandbox.conftest import Shop

DAY = 86400


def charges(shop: Shop) -> int:
    return len(shop.api.charges.list({"customer": shop.customer.id, "limit": 100}).data)


def pay(shop: Shop, key: str, amount: int = 1000, card: str = "pm_card_visa") -> stripe.PaymentIntent:
    return shop.api.payment_intents.create(
        {
            "amount": amount,
            "currency": "usd",
            "customer": shop.customer.id,
            "payment_method": card,
            "confirm": True,
            "off_session": True,
        },
        {"idempotency_key": key},
    )


def test_the_same_key_pays_once_and_says_that_it_is_a_replay(shop: Shop) -> None:
    first, second = pay(shop, "k"), pay(shop, "k")
    assert (second.id, charges(shop)) == (first.id, 1)
    assert second.last_response is not None
    assert second.last_response.headers["Idempotent-Replayed"] == "true"


def test_the_same_key_with_other_parameters_is_an_error(shop: Shop) -> None:
    pay(shop, "k")
    with pytest.raises(stripe.IdempotencyError) as caught:
        pay(shop, "k", 2000)
    assert (caught.value.http_status, charges(shop)) == (400, 1)


def test_a_decline_is_replayed_though_the_card_would_pay_now(shop: Shop) -> None:
    card = shop.save_card("decline")
    with pytest.raises(stripe.CardError):
        pay(shop, "k", card=card)
    shop.sandbox.control("card", payment_method=card, behaviour="success")
    with pytest.raises(stripe.CardError):
        pay(shop, "k", card=card)


def test_what_failed_validation_may_be_tried_again_with_its_key(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        pay(shop, "k", 1)
    assert pay(shop, "k").status == "succeeded"


def test_a_key_is_forgotten_after_a_day(shop: Shop) -> None:
    first = pay(shop, "k")
    shop.sandbox.advance(DAY + 60)
    assert pay(shop, "k").id != first.id


def test_a_get_is_never_replayed(shop: Shop) -> None:
    shop.api.customers.retrieve(shop.customer.id, options={"idempotency_key": "k"})
    shop.api.customers.update(shop.customer.id, {"name": "Ada"})
    assert shop.api.customers.retrieve(shop.customer.id, options={"idempotency_key": "k"}).name == "Ada"


def fault(shop: Shop, kind: str, **more: object) -> None:
    shop.sandbox.control("faults", fault=kind, method="POST", path="/v1/payment_intents", **more)


def test_dropped_after_executing_is_unknown_to_the_caller_and_found_by_the_key(shop: Shop) -> None:
    fault(shop, "drop_after")
    with pytest.raises(stripe.APIConnectionError):
        pay(shop, "k")
    assert (pay(shop, "k").status, charges(shop)) == ("succeeded", 1)


def test_dropped_before_executing_is_executed_by_the_second_try(shop: Shop) -> None:
    fault(shop, "drop_before")
    with pytest.raises(stripe.APIConnectionError):
        pay(shop, "k")
    assert charges(shop) == 0
    assert pay(shop, "k").status == "succeeded"


def test_a_500_after_executing_is_replayed_for_its_key(shop: Shop) -> None:
    fault(shop, "error_after")
    for _ in range(2):
        with pytest.raises(stripe.APIError) as caught:
            pay(shop, "k")
        assert caught.value.http_status == 500
    assert charges(shop) == 1


@pytest.mark.parametrize(("kind", "status"), [("error_before", 500), ("conflict", 409), ("rate_limit", 429)])
def test_a_refusal_before_executing_leaves_the_key_free(shop: Shop, kind: str, status: int) -> None:
    fault(shop, kind)
    with pytest.raises(stripe.StripeError) as caught:
        pay(shop, "k")
    assert (caught.value.http_status, charges(shop)) == (status, 0)
    assert pay(shop, "k").status == "succeeded"


def test_a_slow_answer_comes_late(shop: Shop) -> None:
    fault(shop, "slow", seconds=0.2)
    begun = time.monotonic()
    pay(shop, "k")
    assert time.monotonic() - begun >= 0.2


def test_a_fault_strikes_as_often_as_asked_after_letting_some_pass(shop: Shop) -> None:
    fault(shop, "error_before", count=1, skip=1)
    pay(shop, "first")
    with pytest.raises(stripe.APIError):
        pay(shop, "second")
    assert pay(shop, "third").status == "succeeded"


def test_faults_can_be_cleared(shop: Shop) -> None:
    fault(shop, "error_before", count=5)
    shop.sandbox.control("faults", clear=True)
    assert pay(shop, "k").status == "succeeded"


def test_an_unknown_fault_is_refused(shop: Shop) -> None:
    answer = requests.post(f"{shop.sandbox.url}/_sandbox/faults", json={"fault": "earthquake"}, timeout=60)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "fault")


def test_the_sdks_own_retries_survive_a_dropped_answer(shop: Shop) -> None:
    fault(shop, "drop_after")
    patient = stripe.StripeClient("sk_x", base_addresses={"api": shop.sandbox.url}, max_network_retries=2)
    patient.v1.payment_intents.create({"amount": 900, "currency": "usd", "customer": shop.customer.id})
    assert len(shop.api.payment_intents.list({"customer": shop.customer.id}).data) == 1
