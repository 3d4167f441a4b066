"""The operations that no story needs, each driven once through the contract."""

import pytest
import requests
import stripe

from tests.sandbox.conftest import Shop

DAY = 86400


def test_a_customer_can_begin_with_a_card_and_an_address(shop: Shop) -> None:
    made = shop.api.customers.create(
        {
            "payment_method": "pm_card_visa",
            "address": {"city": "Bern", "country": "CH", "line1": "Gasse 1"},
            "name": "Bob",
        }
    )
    assert made.address is not None
    assert (made.address.city, len(shop.api.customers.payment_methods.list(made.id).data)) == ("Bern", 1)


def test_a_customer_chooses_the_default_card(shop: Shop) -> None:
    card = shop.api.payment_methods.attach("pm_card_visa", {"customer": shop.customer.id})
    changed = shop.api.customers.update(shop.customer.id, {"invoice_settings": {"default_payment_method": card.id}})
    assert changed.invoice_settings is not None
    assert changed.invoice_settings.default_payment_method == card.id


def test_another_customers_card_cannot_be_the_default(shop: Shop) -> None:
    card = shop.save_card()
    bob = shop.api.customers.create({"email": "bob@example.com"})
    with pytest.raises(stripe.InvalidRequestError):
        shop.api.customers.update(bob.id, {"invoice_settings": {"default_payment_method": card}})


def test_a_customers_subscriptions_can_be_expanded(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe()
    result = shop.api.customers.retrieve(shop.customer.id, {"expand": ["subscriptions"]}).subscriptions
    assert result is not None
    assert [one.id for one in result.data] == [subscription.id]


def test_a_deleted_customer_is_shown_as_such_where_it_is_expanded(shop: Shop) -> None:
    intent = shop.charge(shop.save_card())
    shop.api.customers.delete(shop.customer.id)
    result = shop.api.payment_intents.retrieve(intent.id, {"expand": ["customer"]}).customer
    assert isinstance(result, stripe.Customer)
    assert result.deleted is True


def test_a_product_may_have_an_id_of_ours_and_a_price_of_its_own(shop: Shop) -> None:
    wanted = {"currency": "usd", "unit_amount": 700}
    product = shop.api.products.create({"id": "pack-7", "name": "Pack", "default_price_data": wanted})  # type: ignore[typeddict-item]
    assert shop.api.prices.retrieve(str(product.default_price)).product == "pack-7"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.api.products.create({"id": "pack-7", "name": "Pack"})
    assert caught.value.code == "resource_already_exists"


def test_a_product_without_prices_can_be_deleted(shop: Shop) -> None:
    assert shop.api.products.delete(shop.api.products.create({"name": "Plus"}).id).deleted is True
    with pytest.raises(stripe.InvalidRequestError):
        shop.api.products.delete(str(shop.prices["pack"].product))


def test_prices_are_listed_by_product_and_renamed(shop: Shop) -> None:
    shop.api.prices.update(shop.prices["plus"].id, {"nickname": "old"})
    result = shop.api.prices.list({"product": str(shop.prices["plus"].product), "active": True}).data
    assert [price.nickname for price in result] == ["old"]


def test_a_price_without_an_amount_or_a_product_is_refused(shop: Shop) -> None:
    for wanted in ({"currency": "usd", "product": "prod_x"}, {"currency": "usd", "unit_amount": 5}):
        with pytest.raises(stripe.InvalidRequestError):
            shop.api.prices.create(wanted)  # type: ignore[arg-type]


def test_an_inline_price_is_for_one_session(shop: Shop) -> None:
    data = {"currency": "usd", "unit_amount": 1234, "product_data": {"name": "Gift"}}
    lines = [{"price_data": data, "quantity": 2}]
    params = {"mode": "payment", "success_url": "http://127.0.0.1/", "line_items": lines}
    session = shop.api.checkout.sessions.create(params)  # type: ignore[arg-type]
    assert session.amount_total == 2468


def test_a_session_keeps_its_metadata_and_is_listed_by_customer(shop: Shop) -> None:
    session = shop.session()
    shop.api.checkout.sessions.update(session.id, {"metadata": {"payment_id": "5"}})
    listed = shop.api.checkout.sessions.list({"customer": shop.customer.id, "status": "open"}).data
    assert [one.metadata["payment_id"] for one in listed if one.metadata] == ["5"]


@pytest.mark.parametrize("wanted", [{"mode": "gift"}, {"mode": "payment", "success_url": "http://127.0.0.1/"}])
def test_a_session_that_makes_no_sense_is_refused(shop: Shop, wanted: dict[str, str]) -> None:
    answer = requests.post(f"{shop.sandbox.url}/v1/checkout/sessions", wanted, auth=("sk_x", ""), timeout=60)
    assert answer.json()["error"]["param"] in ("mode", "line_items")


def test_setup_intents_wait_are_confirmed_and_canceled(shop: Shop) -> None:
    waiting = shop.api.setup_intents.create({"customer": shop.customer.id, "metadata": {"a": "1"}})
    assert shop.api.setup_intents.confirm(waiting.id, {"payment_method": "pm_card_visa"}).status == "succeeded"
    other = shop.api.setup_intents.create({"customer": shop.customer.id})
    assert shop.api.setup_intents.cancel(other.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError):
        shop.api.setup_intents.confirm(other.id, {"payment_method": "pm_card_visa"})


def test_a_setup_that_the_bank_declines_is_a_402(shop: Shop) -> None:
    with pytest.raises(stripe.CardError):
        shop.api.setup_intents.create({"payment_method": "pm_card_visa_chargeDeclined", "confirm": True})


def test_refusing_a_setups_authentication_saves_nothing(shop: Shop) -> None:
    setup = shop.api.setup_intents.create(
        {"customer": shop.customer.id, "payment_method": "pm_card_authenticationRequired", "confirm": True}
    )
    shop.sandbox.post(f"/authenticate/{setup.id}", outcome="fail")
    assert shop.api.setup_intents.retrieve(setup.id).status == "requires_payment_method"


def test_an_intent_is_changed_while_it_waits_and_not_after(shop: Shop) -> None:
    intent = shop.api.payment_intents.create({"amount": 700, "currency": "usd"})
    assert shop.api.payment_intents.update(intent.id, {"amount": 800}).amount == 800
    shop.api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    with pytest.raises(stripe.InvalidRequestError):
        shop.api.payment_intents.update(intent.id, {"amount": 900})


def test_an_intent_without_a_card_cannot_be_confirmed(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="missing a payment method"):
        shop.api.payment_intents.create({"amount": 700, "currency": "usd", "confirm": True})


def test_a_card_gets_another_expiry_by_the_api(shop: Shop) -> None:
    changed = shop.api.payment_methods.update(shop.save_card(), {"card": {"exp_month": 1, "exp_year": 2040}})
    assert changed.card is not None
    assert (changed.card.exp_month, changed.card.exp_year) == (1, 2040)


def test_one_card_of_a_customer_is_read_by_its_id(shop: Shop) -> None:
    card = shop.save_card()
    assert shop.api.customers.payment_methods.retrieve(shop.customer.id, card).id == card


def test_a_card_on_nobody_cannot_be_detached_nor_taken_from_another(shop: Shop) -> None:
    card = shop.save_card()
    bob = shop.api.customers.create({})
    with pytest.raises(stripe.InvalidRequestError):
        shop.api.payment_methods.attach(card, {"customer": bob.id})
    shop.api.payment_methods.detach(card)
    with pytest.raises(stripe.InvalidRequestError):
        shop.api.payment_methods.detach(card)


def test_a_dispute_is_answered_and_given_up_by_the_api(shop: Shop) -> None:
    intent = shop.charge("pm_card_createDispute")
    dispute = shop.api.disputes.list({"payment_intent": intent.id}).data[0]
    assert shop.api.disputes.update(dispute.id, {"submit": True}).status == "under_review"
    assert shop.api.disputes.close(dispute.id).status == "lost"


def test_a_refund_keeps_metadata_and_needs_something_to_refund(shop: Shop) -> None:
    refund = shop.api.refunds.create({"payment_intent": shop.charge("pm_card_visa").id, "amount": 100})
    changed = shop.api.refunds.update(refund.id, {"metadata": {"why": "late"}})
    assert changed.metadata is not None
    assert changed.metadata["why"] == "late"
    waiting = shop.api.payment_intents.create({"amount": 700, "currency": "usd"})
    for wanted in ({}, {"payment_intent": waiting.id}):
        with pytest.raises(stripe.InvalidRequestError):
            shop.api.refunds.create(wanted)  # type: ignore[arg-type]


def test_the_balance_explains_each_movement(shop: Shop) -> None:
    intent = shop.charge("pm_card_visa")
    shop.api.refunds.create({"payment_intent": intent.id, "amount": 100})
    moved = [(entry.type, entry.amount) for entry in shop.api.balance_transactions.list().data]
    assert moved == [("refund", -100), ("charge", 1000)]


def test_an_endpoint_is_listed_without_its_secret_and_deleted(shop: Shop) -> None:
    made = shop.api.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["*"]})
    assert shop.api.webhook_endpoints.list().data[0].secret is None
    assert shop.api.webhook_endpoints.delete(made.id).deleted is True
    assert shop.api.webhook_endpoints.list().data == []


def test_a_portal_configuration_is_made_and_used(shop: Shop) -> None:
    made = shop.api.billing_portal.configurations.create({"features": {"invoice_history": {"enabled": True}}})
    session = shop.api.billing_portal.sessions.create({"customer": shop.customer.id, "configuration": made.id})
    assert session.configuration == made.id


def test_a_subscription_changes_its_settings_without_an_invoice(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe()
    card = shop.save_card()
    changed = shop.api.subscriptions.update(
        subscription.id,
        {"default_payment_method": card, "pause_collection": {"behavior": "void"}, "description": "x"},
    )
    assert changed.pause_collection is not None
    assert (changed.default_payment_method, changed.pause_collection.behavior) == (card, "void")


def test_items_are_added_and_taken_away(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe()
    first = subscription["items"].data[0].id
    both = shop.api.subscriptions.update(subscription.id, {"items": [{"price": shop.prices["max"].id}]})
    assert len(both["items"].data) == 2
    one = shop.api.subscriptions.update(subscription.id, {"items": [{"id": first, "deleted": True}]})
    assert [item.price.id for item in one["items"].data] == [shop.prices["max"].id]


def test_a_trial_is_made_longer_and_a_subscription_ends_on_a_date(shop: Shop) -> None:
    shop.save_card()
    subscription = shop.subscribe(trial_period_days=7)
    later = subscription.created + 20 * DAY
    assert shop.api.subscriptions.update(subscription.id, {"trial_end": later}).trial_end == later
    shop.api.subscriptions.update(subscription.id, {"cancel_at": subscription.created + 10 * DAY})
    shop.sandbox.advance(11 * DAY)
    assert shop.api.subscriptions.retrieve(subscription.id).status == "canceled"


def test_a_subscription_that_runs_cannot_be_resumed(shop: Shop) -> None:
    shop.save_card()
    with pytest.raises(stripe.InvalidRequestError):
        shop.api.subscriptions.resume(shop.subscribe().id)


def test_a_weekly_price_renews_each_week(shop: Shop) -> None:
    shop.save_card()
    data = {
        "currency": "usd",
        "unit_amount": 500,
        "recurring": {"interval": "week"},
        "product_data": {"name": "W"},
    }
    shop.prices["weekly"] = shop.api.prices.create(data)  # type: ignore[arg-type]
    subscription = shop.subscribe("weekly")
    shop.sandbox.advance(15 * DAY)
    assert len(shop.api.invoices.list({"subscription": subscription.id}).data) == 3
