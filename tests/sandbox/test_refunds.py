"""Refunds and disputes: by the API, from Stripe's dashboard, by the bank."""

import pytest
import stripe

from tests.sandbox.conftest import Shop
from tests.support.webhook_inbox import WebhookInbox


@pytest.fixture
def paid(shop: Shop) -> stripe.PaymentIntent:
    return shop.charge(shop.save_card(), 1000)


def charge_of(shop: Shop, intent: stripe.PaymentIntent) -> stripe.Charge:
    result = shop.api.payment_intents.retrieve(intent.id, {"expand": ["latest_charge.refunds"]})
    assert isinstance(result.latest_charge, stripe.Charge)
    return result.latest_charge


def test_a_refund_without_an_amount_returns_all(shop: Shop, paid: stripe.PaymentIntent) -> None:
    shop.api.refunds.create({"payment_intent": paid.id})
    charge = charge_of(shop, paid)
    assert (charge.amount_refunded, charge.refunded) == (1000, True)


def test_two_partial_refunds_of_odd_amounts_add_up(shop: Shop, paid: stripe.PaymentIntent) -> None:
    shop.api.refunds.create({"payment_intent": paid.id, "amount": 333})
    shop.api.refunds.create({"payment_intent": paid.id, "amount": 334})
    charge = charge_of(shop, paid)
    assert (charge.amount_refunded, charge.refunded) == (667, False)
    assert charge.refunds is not None
    assert [refund.amount for refund in charge.refunds.data] == [334, 333]


def test_more_than_was_paid_is_not_refunded(shop: Shop, paid: stripe.PaymentIntent) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount"):
        shop.api.refunds.create({"payment_intent": paid.id, "amount": 1001})


def test_what_was_refunded_is_not_refunded_again(shop: Shop, paid: stripe.PaymentIntent) -> None:
    shop.api.refunds.create({"payment_intent": paid.id})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.api.refunds.create({"payment_intent": paid.id})
    assert caught.value.code == "charge_already_refunded"


def test_a_refund_from_the_dashboard_is_told_of(shop: Shop, paid: stripe.PaymentIntent, inbox: WebhookInbox) -> None:
    shop.sandbox.control("refund", payment_intent=paid.id, amount=250)
    shop.sandbox.wait_until_idle()
    assert inbox.types()[-3:] == ["refund.created", "charge.refunded", "charge.refund.updated"]


def test_a_failed_refund_counts_as_never_made(shop: Shop, paid: stripe.PaymentIntent, inbox: WebhookInbox) -> None:
    refund = shop.api.refunds.create({"payment_intent": paid.id, "amount": 400})
    shop.sandbox.control("refund", refund=refund.id, action="fail")
    shop.sandbox.wait_until_idle()
    assert {"refund.updated", "refund.failed"} < set(inbox.types())
    assert shop.api.refunds.retrieve(refund.id).status == "failed"
    assert charge_of(shop, paid).amount_refunded == 0


@pytest.mark.parametrize(
    ("actions", "status", "events"),
    [
        (["open"], "needs_response", ["created", "funds_withdrawn"]),
        (["open", "win"], "won", ["created", "funds_withdrawn", "funds_reinstated", "closed"]),
        (["open", "lose"], "lost", ["created", "funds_withdrawn", "closed"]),
        (["inquiry"], "warning_needs_response", ["created"]),
        (["inquiry", "win"], "warning_closed", ["created", "closed"]),
        (["inquiry", "escalate"], "needs_response", ["created", "updated", "funds_withdrawn"]),
        (
            ["open", "win", "reopen"],
            "appeal_needs_response",
            ["created", "funds_withdrawn", "funds_reinstated", "closed", "updated", "funds_withdrawn"],
        ),
    ],
)
def test_a_dispute_goes_its_way(
    shop: Shop,
    paid: stripe.PaymentIntent,
    inbox: WebhookInbox,
    actions: list[str],
    status: str,
    events: list[str],
) -> None:
    for action in actions:
        shop.sandbox.control("dispute", payment_intent=paid.id, action=action)
    shop.sandbox.wait_until_idle()
    assert [dispute.status for dispute in shop.api.disputes.list({"payment_intent": paid.id}).data] == [status]
    assert [kind.rpartition(".")[2] for kind in inbox.types() if "dispute" in kind] == events


def test_a_dispute_of_a_partly_refunded_payment_is_about_the_rest(shop: Shop, paid: stripe.PaymentIntent) -> None:
    shop.api.refunds.create({"payment_intent": paid.id, "amount": 300})
    dispute = shop.sandbox.control("dispute", payment_intent=paid.id, action="open")
    assert shop.api.disputes.retrieve(dispute["id"]).amount == 700


def test_a_disputed_payment_is_not_refunded(shop: Shop, paid: stripe.PaymentIntent) -> None:
    shop.sandbox.control("dispute", payment_intent=paid.id, action="open")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.api.refunds.create({"payment_intent": paid.id})
    assert caught.value.code == "charge_disputed"


def test_the_money_of_a_won_dispute_comes_back(shop: Shop, paid: stripe.PaymentIntent) -> None:
    shop.sandbox.control("dispute", payment_intent=paid.id, action="open")
    won = shop.sandbox.control("dispute", payment_intent=paid.id, action="win")
    dispute = shop.api.disputes.retrieve(won["id"])
    assert [entry.amount for entry in dispute.balance_transactions] == [-1000, 1000]


def test_some_cards_are_disputed_at_once(shop: Shop) -> None:
    intent = shop.charge("pm_card_createDispute")
    assert len(shop.api.disputes.list({"payment_intent": intent.id}).data) == 1
