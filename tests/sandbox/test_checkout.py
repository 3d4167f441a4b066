"""Checkout: the hosted page paid without a browser, in all its modes and with every card."""

import pytest
import requests
import stripe

from tests.sandbox.conftest import Shop
from tests.support.webhook_inbox import WebhookInbox

DAY = 86400


def test_the_page_shows_what_is_bought_and_that_no_money_is_real(shop: Shop) -> None:
    page = requests.get(str(shop.session().url), timeout=60).text
    assert "Sandbox payments: no real money" in page
    assert "$10.00" in page


def test_paying_sends_the_customer_to_the_success_url(shop: Shop) -> None:
    session = shop.session()
    answer = shop.sandbox.pay(session.id)
    assert (answer.status_code, answer.headers["Location"]) == (
        303,
        f"http://127.0.0.1/done?session={session.id}",
    )


def test_a_paid_session_has_a_succeeded_intent_with_our_metadata(shop: Shop) -> None:
    session = shop.session(payment_intent_data={"metadata": {"payment_id": "9"}})
    shop.sandbox.pay(session.id)
    result = shop.api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    intent = result.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert (result.payment_status, intent.status, intent.metadata["payment_id"]) == ("paid", "succeeded", "9")


def test_an_open_session_has_no_intent_yet(shop: Shop) -> None:
    assert shop.session().payment_intent is None


def test_the_lines_of_a_session_can_be_read(shop: Shop) -> None:
    lines = shop.api.checkout.sessions.line_items.list(shop.session().id)
    assert [(line.amount_total, line.quantity) for line in lines.data] == [(1000, 1)]


@pytest.mark.parametrize("card", ["decline", "4000000000009995", "pm_card_chargeDeclinedExpiredCard"])
def test_a_declined_card_leaves_the_session_open(shop: Shop, card: str) -> None:
    session = shop.session()
    answer = shop.sandbox.pay(session.id, card)
    assert answer.status_code == 402
    assert shop.api.checkout.sessions.retrieve(session.id).status == "open"


def test_another_card_pays_the_same_intent(shop: Shop) -> None:
    session = shop.session()
    shop.sandbox.pay(session.id, "decline")
    shop.sandbox.pay(session.id)
    intents = shop.api.payment_intents.list({"customer": shop.customer.id}).data
    assert [intent.status for intent in intents] == ["succeeded"]


def test_a_card_that_asks_pays_after_its_owner_has_authenticated(shop: Shop) -> None:
    session = shop.session()
    asked = shop.sandbox.pay(session.id, "authentication").headers["Location"]
    shop.sandbox.post(asked.partition("?")[0], card="authentication", outcome="complete")
    assert shop.api.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_failing_the_authentication_pays_nothing(shop: Shop) -> None:
    session = shop.session()
    answer = shop.sandbox.post(f"/checkout/{session.id}/authenticate", card="authentication", outcome="fail")
    assert answer.status_code == 402
    assert shop.api.charges.list({"customer": shop.customer.id}).data == []


def test_a_session_is_paid_once(shop: Shop) -> None:
    session = shop.session()
    shop.sandbox.pay(session.id)
    shop.sandbox.pay(session.id)
    assert len(shop.api.charges.list({"customer": shop.customer.id}).data) == 1


def test_an_expired_session_cannot_be_paid(shop: Shop) -> None:
    session = shop.session()
    shop.api.checkout.sessions.expire(session.id)
    assert shop.sandbox.pay(session.id).status_code == 402


def test_a_session_expires_after_a_day(shop: Shop) -> None:
    session = shop.session()
    shop.sandbox.advance(DAY + 1)
    assert shop.api.checkout.sessions.retrieve(session.id).status == "expired"


def test_a_card_saved_by_a_payment_pays_the_next_one(shop: Shop) -> None:
    shop.sandbox.pay(shop.session(payment_intent_data={"setup_future_usage": "off_session"}).id)
    saved = shop.api.payment_methods.list({"customer": shop.customer.id, "type": "card"}).data[0]
    session = shop.session()
    shop.sandbox.post(f"/checkout/{session.id}/pay", payment_method=saved.id)
    assert shop.api.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_a_payment_saves_no_card_unless_asked(shop: Shop) -> None:
    shop.sandbox.pay(shop.session().id)
    assert shop.api.payment_methods.list({"customer": shop.customer.id}).data == []


def test_a_guest_pays_without_a_customer(shop: Shop) -> None:
    session = shop.session(customer="")
    shop.sandbox.pay(session.id)
    paid = shop.api.checkout.sessions.retrieve(session.id)
    assert (paid.payment_status, paid.customer) == ("paid", None)


def test_setup_saves_a_card_and_charges_nothing(shop: Shop, inbox: WebhookInbox) -> None:
    session = shop.session("setup")
    shop.sandbox.pay(session.id)
    result = shop.api.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent.payment_method"]})
    shop.sandbox.wait_until_idle()
    assert isinstance(result.setup_intent, stripe.SetupIntent)
    assert isinstance(result.setup_intent.payment_method, stripe.PaymentMethod)
    assert result.setup_intent.payment_method.customer == shop.customer.id
    assert "setup_intent.succeeded" in inbox.types()


def test_a_declined_card_is_not_saved(shop: Shop, inbox: WebhookInbox) -> None:
    shop.sandbox.pay(shop.session("setup").id, "decline")
    shop.sandbox.wait_until_idle()
    assert "setup_intent.setup_failed" in inbox.types()
    assert shop.api.payment_methods.list({"customer": shop.customer.id}).data == []


def test_subscribing_starts_an_active_subscription_with_its_card(shop: Shop) -> None:
    session = shop.session("subscription", "plus", subscription_data={"metadata": {"subscription_id": "3"}})
    shop.sandbox.pay(session.id)
    result = shop.api.checkout.sessions.retrieve(session.id, {"expand": ["subscription"]})
    subscription = result.subscription
    assert isinstance(subscription, stripe.Subscription)
    assert (subscription.status, subscription.metadata["subscription_id"]) == ("active", "3")
    assert subscription.default_payment_method is not None


def test_a_declined_card_leaves_no_subscription_behind(shop: Shop) -> None:
    shop.sandbox.pay(shop.session("subscription", "plus").id, "decline")
    assert shop.api.subscriptions.list({"customer": shop.customer.id, "status": "all"}).data == []


def test_a_trial_begins_with_an_invoice_of_nothing(shop: Shop) -> None:
    session = shop.session("subscription", "plus", subscription_data={"trial_period_days": 7})
    shop.sandbox.pay(session.id)
    result = shop.api.checkout.sessions.retrieve(session.id, {"expand": ["subscription.latest_invoice"]})
    subscription = result.subscription
    assert isinstance(subscription, stripe.Subscription)
    assert isinstance(subscription.latest_invoice, stripe.Invoice)
    assert (result.payment_status, subscription.status) == ("no_payment_required", "trialing")
    assert (subscription.latest_invoice.amount_due, subscription.latest_invoice.status) == (0, "paid")


@pytest.mark.parametrize(
    ("card", "status", "event"),
    [
        ("pays_later", "paid", "checkout.session.async_payment_succeeded"),
        ("fails_days_later", "unpaid", "checkout.session.async_payment_failed"),
    ],
)
def test_a_bank_debit_is_answered_days_later(
    shop: Shop, inbox: WebhookInbox, card: str, status: str, event: str
) -> None:
    session = shop.session()
    shop.sandbox.pay(session.id, card)
    assert shop.api.checkout.sessions.retrieve(session.id).payment_status == "unpaid"
    shop.sandbox.advance(4 * DAY)
    shop.sandbox.wait_until_idle()
    assert shop.api.checkout.sessions.retrieve(session.id).payment_status == status
    assert event in inbox.types()


def test_the_way_back_is_on_the_page(shop: Shop) -> None:
    session = shop.session(cancel_url="http://127.0.0.1/back")
    assert 'href="http://127.0.0.1/back"' in requests.get(str(session.url), timeout=60).text
