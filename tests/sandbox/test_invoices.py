"""Invoices and previews by the API: voided, finalized, paid, found, looked at beforehand."""

import pytest
import stripe

from tests.sandbox.conftest import Shop
from tests.support.webhook_inbox import WebhookInbox

DAY = 86400


def open_invoice(shop: Shop) -> stripe.Invoice:
    """Of a subscription that waits for its first payment."""
    result = shop.subscribe(payment_behavior="default_incomplete", expand=["latest_invoice"]).latest_invoice
    assert isinstance(result, stripe.Invoice)
    return result


def test_an_invoice_can_be_voided_once(shop: Shop, inbox: WebhookInbox) -> None:
    invoice = open_invoice(shop)
    assert shop.api.invoices.void_invoice(invoice.id).status == "void"
    shop.sandbox.wait_until_idle()
    assert inbox.types()[-1] == "invoice.voided"
    with pytest.raises(stripe.InvalidRequestError):
        shop.api.invoices.void_invoice(invoice.id)


def test_a_finalized_invoice_is_not_finalized_again(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        shop.api.invoices.finalize_invoice(open_invoice(shop).id)


def test_a_draft_invoice_of_an_unpaid_subscription_can_be_finalized(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe()
    shop.sandbox.control("subscription", subscription=subscription.id, status="unpaid")
    shop.sandbox.control("clock", to="next_renewal")
    shop.sandbox.advance(32 * DAY)
    draft = shop.subscription(subscription).latest_invoice
    assert isinstance(draft, stripe.Invoice)
    assert (draft.status, shop.api.invoices.finalize_invoice(draft.id).status) == ("draft", "open")


def test_a_paid_invoice_is_not_paid_again(shop: Shop) -> None:
    invoice = open_invoice(shop)
    shop.api.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.api.invoices.pay(invoice.id)
    assert caught.value.code == "invoice_already_paid"


def test_an_invoice_without_a_card_cannot_be_paid(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.api.invoices.pay(open_invoice(shop).id)
    assert caught.value.code == "resource_missing"


def test_paying_an_invoice_with_a_card_that_asks_is_a_402_that_says_so(shop: Shop) -> None:
    with pytest.raises(stripe.CardError) as caught:
        shop.api.invoices.pay(open_invoice(shop).id, {"payment_method": "pm_card_authenticationRequired"})
    assert caught.value.code == "invoice_payment_intent_requires_action"


def test_the_payments_of_an_invoice_are_found_from_either_side(shop: Shop) -> None:
    invoice = shop.api.invoices.pay(open_invoice(shop).id, {"payment_method": "pm_card_visa"})
    payment = shop.api.invoice_payments.list({"invoice": invoice.id}).data[0]
    intent = str(payment.payment.payment_intent)
    result = shop.api.invoice_payments.list({"payment": {"type": "payment_intent", "payment_intent": intent}})
    assert [one.invoice for one in result.data] == [invoice.id]
    assert shop.api.invoice_payments.retrieve(payment.id).status == "paid"


def test_the_lines_of_an_invoice_are_a_list_of_their_own(shop: Shop) -> None:
    assert [line.amount for line in shop.api.invoices.line_items.list(open_invoice(shop).id).data] == [2000]


def test_an_invoice_keeps_metadata(shop: Shop) -> None:
    changed = shop.api.invoices.update(open_invoice(shop).id, {"metadata": {"seen": "1"}})
    assert changed.metadata is not None
    assert changed.metadata["seen"] == "1"


def test_an_invoice_carries_the_secret_of_its_payment_when_asked(shop: Shop) -> None:
    shop.save_card("authentication_always")
    result = shop.subscribe(expand=["latest_invoice.confirmation_secret"]).latest_invoice
    assert isinstance(result, stripe.Invoice)
    assert result.confirmation_secret is not None
    assert result.confirmation_secret.client_secret.startswith("pi_")


def test_a_preview_of_a_subscription_that_is_not_there_yet(shop: Shop) -> None:
    price = shop.prices["plus"].id
    coming = shop.api.invoices.create_preview(
        {"customer": shop.customer.id, "subscription_details": {"items": [{"price": price}]}}
    )
    assert coming.amount_due == 2000
    assert shop.api.subscriptions.list({"status": "all"}).data == []


def test_what_ends_has_no_next_invoice(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe()
    shop.api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.api.invoices.create_preview({"subscription": subscription.id})
    assert caught.value.code == "invoice_upcoming_none"
