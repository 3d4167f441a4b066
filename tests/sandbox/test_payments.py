"""Payment intents, setup intents, saved cards and charges: each card does what it says."""

import pytest
import stripe

from tests.sandbox.conftest import Shop
from tests.support.webhook_inbox import WebhookInbox

DAY = 86400


def test_a_saved_card_is_charged_off_session(shop: Shop) -> None:
    intent = shop.charge(shop.save_card(), 2500, metadata={"recharge_id": "4"})
    assert (intent.status, intent.amount_received, intent.metadata["recharge_id"]) == ("succeeded", 2500, "4")


def test_the_fee_is_on_the_balance_transaction(shop: Shop) -> None:
    intent = shop.charge(shop.save_card(), 2000, expand=["latest_charge.balance_transaction"])
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
    assert (charge.balance_transaction.fee, charge.balance_transaction.net) == (88, 1912)


@pytest.mark.parametrize(
    ("token", "code", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
        ("pm_card_authenticationRequired", "authentication_required", "authentication_required"),
    ],
)
def test_a_declined_card_is_a_402_with_the_intent(shop: Shop, token: str, code: str, decline_code: str) -> None:
    with pytest.raises(stripe.CardError) as caught:
        shop.charge(token)
    error = caught.value.error
    assert error is not None
    assert error.payment_intent is not None
    assert (caught.value.http_status, caught.value.code, error.decline_code) == (402, code, decline_code)
    assert error.payment_intent.status == "requires_payment_method"


def test_a_declined_intent_remembers_why(shop: Shop) -> None:
    with pytest.raises(stripe.CardError) as caught:
        shop.charge("pm_card_visa_chargeDeclined")
    assert caught.value.error is not None
    assert caught.value.error.payment_intent is not None
    intent = shop.api.payment_intents.retrieve(caught.value.error.payment_intent.id)
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.decline_code == "generic_decline"


def test_an_intent_that_was_refused_off_session_is_confirmed_by_its_owner(shop: Shop) -> None:
    with pytest.raises(stripe.CardError) as caught:
        shop.charge(shop.save_card("authentication_always"))
    error = caught.value.error
    assert error is not None
    assert error.payment_intent is not None
    assert error.payment_method is not None
    again = shop.api.payment_intents.confirm(
        error.payment_intent.id,
        {"payment_method": error.payment_method.id, "return_url": "http://127.0.0.1/back"},
    )
    assert again.next_action is not None
    answer = shop.sandbox.post(f"/authenticate/{again.id}", outcome="complete")
    assert answer.headers["Location"] == "http://127.0.0.1/back"
    assert shop.api.payment_intents.retrieve(again.id).status == "succeeded"


def test_a_card_that_was_authenticated_once_pays_off_session(shop: Shop) -> None:
    session = shop.session("setup")
    shop.sandbox.post(f"/checkout/{session.id}/authenticate", card="authentication", outcome="complete")
    card = shop.api.payment_methods.list({"customer": shop.customer.id}).data[0]
    assert shop.charge(card.id).status == "succeeded"


def test_refusing_to_authenticate_fails_the_payment(shop: Shop, inbox: WebhookInbox) -> None:
    intent = shop.charge(shop.save_card("authentication_always"), off_session=False)
    assert intent.status == "requires_action"
    shop.sandbox.control("payment", payment_intent=intent.id, action="refuse")
    shop.sandbox.wait_until_idle()
    assert inbox.types()[-1] == "payment_intent.payment_failed"


def test_error_on_requires_action_declines_instead_of_waiting(shop: Shop) -> None:
    card = shop.save_card("authentication_always")
    with pytest.raises(stripe.CardError) as caught:
        shop.charge(card, off_session=False, error_on_requires_action=True)
    assert caught.value.code == "authentication_required"


def test_an_intent_is_made_first_and_confirmed_later(shop: Shop) -> None:
    intent = shop.api.payment_intents.create({"amount": 700, "currency": "usd", "customer": shop.customer.id})
    assert intent.status == "requires_payment_method"
    confirmed = shop.api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert confirmed.status == "succeeded"


def test_a_canceled_intent_tells_of_it_and_cannot_be_confirmed(shop: Shop, inbox: WebhookInbox) -> None:
    intent = shop.api.payment_intents.create({"amount": 700, "currency": "usd"})
    shop.api.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})
    shop.sandbox.wait_until_idle()
    assert "payment_intent.canceled" in inbox.types()
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert caught.value.code == "payment_intent_unexpected_state"


def test_a_succeeded_intent_cannot_be_canceled(shop: Shop) -> None:
    intent = shop.charge(shop.save_card())
    with pytest.raises(stripe.InvalidRequestError, match="status of succeeded"):
        shop.api.payment_intents.cancel(intent.id)


def test_less_than_fifty_cents_cannot_be_charged(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.charge("pm_card_visa", 49)
    assert (caught.value.code, caught.value.param) == ("amount_too_small", "amount")


def test_another_customers_card_cannot_be_charged(shop: Shop) -> None:
    card = shop.save_card()
    bob = shop.api.customers.create({"email": "bob@example.com"})
    with pytest.raises(stripe.InvalidRequestError):
        shop.charge(card, customer=bob.id)


def test_a_detached_card_cannot_be_charged_again(shop: Shop, inbox: WebhookInbox) -> None:
    card = shop.save_card()
    shop.api.payment_methods.detach(card)
    shop.sandbox.wait_until_idle()
    assert "payment_method.detached" in inbox.types()
    with pytest.raises(stripe.InvalidRequestError):
        shop.charge(card)


def test_a_detached_default_is_nobodys_default(shop: Shop) -> None:
    shop.api.payment_methods.detach(shop.save_card())
    settings = shop.api.customers.retrieve(shop.customer.id).invoice_settings
    assert settings is not None
    assert settings.default_payment_method is None


def test_a_setup_intent_saves_its_card(shop: Shop) -> None:
    setup = shop.api.setup_intents.create(
        {"customer": shop.customer.id, "payment_method": "pm_card_visa", "confirm": True}
    )
    assert setup.status == "succeeded"
    assert len(shop.api.customers.payment_methods.list(shop.customer.id).data) == 1


def test_a_setup_intent_that_asks_waits_for_its_owner(shop: Shop) -> None:
    setup = shop.api.setup_intents.create(
        {"customer": shop.customer.id, "payment_method": "pm_card_authenticationRequired", "confirm": True}
    )
    assert setup.status == "requires_action"
    shop.sandbox.post(f"/authenticate/{setup.id}", outcome="complete")
    assert shop.api.setup_intents.retrieve(setup.id).status == "succeeded"


def test_a_declined_card_cannot_be_attached(shop: Shop) -> None:
    card = shop.api.payment_methods.create({"type": "card", "card": {"number": "4000000000000002"}})
    with pytest.raises(stripe.CardError):
        shop.api.payment_methods.attach(card.id, {"customer": shop.customer.id})


def test_the_behaviour_of_a_saved_card_can_be_changed(shop: Shop) -> None:
    card = shop.save_card()
    shop.sandbox.control("card", payment_method=card, behaviour="decline")
    with pytest.raises(stripe.CardError):
        shop.charge(card)


def test_a_card_expires(shop: Shop) -> None:
    card = shop.save_card()
    shop.sandbox.control("card", payment_method=card, action="expire")
    with pytest.raises(stripe.CardError) as caught:
        shop.charge(card)
    assert caught.value.code == "expired_card"


def test_the_bank_sends_a_new_card(shop: Shop, inbox: WebhookInbox) -> None:
    card = shop.save_card()
    shop.sandbox.control("card", payment_method=card, action="update")
    shop.sandbox.wait_until_idle()
    assert inbox.types()[-1] == "payment_method.automatically_updated"


def test_a_bank_debit_is_processing_until_the_bank_answers(shop: Shop) -> None:
    intent = shop.charge("pm_usBankAccount_success")
    assert intent.status == "processing"
    shop.sandbox.control("payment", payment_intent=intent.id, action="succeed")
    assert shop.api.payment_intents.retrieve(intent.id).status == "succeeded"
