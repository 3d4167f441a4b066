"""What Stripe reports and our rows do not know: parked, shown, nothing credited."""

import pytest

from app.payments import sync
from app.extensions import db
from app.models.billing.payment import Payment
from app.models.operations.webhook_event import StripeEvent
from app.models.billing.stripe_objects import Mismatch
from tests.payments.stripe_scenario import Till

pytestmark = pytest.mark.databases("sqlite", "postgresql")


def altered(till: Till, **fields: object) -> None:
    """A paid checkout whose payment intent says something else than our row."""
    till.sandbox.pay(till.begin_pack())
    intent = till.sandbox.running.sandbox.store.all("payment_intent")[0]
    intent.update(fields)
    till.deliver()


@pytest.mark.parametrize(
    "fields",
    [
        {"currency": "eur"},
        {"amount_received": 1},
        {"metadata": {"account_id": "999999", "payment_id": "1"}},
        {"metadata": {"account_id": "1", "payment_id": "999999"}},
    ],
    ids=["currency", "amount", "account", "payment"],
)
def test_a_payment_that_does_not_fit_is_parked(till: Till, fields: dict[str, object]) -> None:
    altered(till, **fields)
    assert till.credits == 0
    assert till.events("parked")
    assert "payment_parked" in till.mails()


def test_a_parked_payment_says_why(till: Till) -> None:
    altered(till, currency="eur")
    payment = till.last(Payment)
    assert payment.state == "parked"
    assert "eur" in payment.parked_for


def test_a_parked_event_can_be_processed_again(till: Till) -> None:
    altered(till, currency="eur")
    till.sandbox.running.sandbox.store.all("payment_intent")[0]["currency"] = "usd"
    for event in till.events("parked"):
        event.reopen()
    till.commit()
    till.work()
    assert (till.credits, till.last(Payment).state, till.events("parked")) == (5000, "paid", [])


def test_money_that_nobody_asked_for_is_parked(till: Till) -> None:
    till.buy_pack()
    till.charge_elsewhere(700, till.account.stripe_customer_id)
    till.deliver()
    assert till.credits == 5000
    assert "not asked for" in till.events("parked")[0].error


def test_another_customers_payment_is_nobodys(till: Till) -> None:
    customer = till.sandbox.client.v1.customers.create({"email": "eve@example.com"}).id
    till.charge_elsewhere(700, customer)
    till.deliver()
    assert till.events("parked") == []


def test_a_subscription_of_an_unknown_price_is_parked(till: Till) -> None:
    subscription = till.subscribe("Plus")
    v1 = till.sandbox.client.v1
    product = v1.products.create({"name": "Elsewhere"}).id
    price = v1.prices.create(
        {"product": product, "unit_amount": 100, "currency": "usd", "recurring": {"interval": "month"}}
    )
    item = {"id": subscription.stripe_item_id, "price": price.id}
    v1.subscriptions.update(subscription.stripe_id, {"items": [item], "proration_behavior": "none"})
    till.deliver()
    assert till.account.plan.name == "Plus"
    assert "no plan" in till.events("parked")[0].error


def test_another_accounts_checkout_is_not_taken_over(till: Till) -> None:
    till.sandbox.pay(till.begin_pack())
    session = till.sandbox.running.sandbox.store.all("checkout.session")[0]
    session["client_reference_id"] = "999999"
    with pytest.raises(Mismatch):
        sync.look_at_session(session["id"])
    db.session.rollback()
    assert till.credits == 0


def test_one_row_is_never_paid_by_two_payments(till: Till) -> None:
    payment = till.buy_pack()
    till.charge_elsewhere(1000, till.account.stripe_customer_id, **payment.labels)
    till.deliver()
    assert till.credits == 5000
    assert "already" in till.events("parked")[0].error
    assert till.last(StripeEvent) is not None
