"""What Stripe reports and our rows do not know: parked, shown, nothing credited."""

from typing import Any

import pytest

from app.extensions import db
from app.models.billing.payment import Payment
from app.models.billing.payment_errors import Mismatch
from app.models.billing.subscription import Subscription
from app.models.operations.webhook_event import StripeEvent
from app.payments import reconciliation, session_sync
from tests.payments.stripe_scenario import StripeScenario

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))


def altered(scenario: StripeScenario, **fields: object) -> None:
    """A paid checkout whose payment intent says something else than our row."""
    scenario.sandbox.pay(scenario.begin_pack())
    intent = scenario.sandbox.running.sandbox.store.all("payment_intent")[0]
    intent.update(fields)
    scenario.deliver()


@pytest.mark.parametrize(
    "fields",
    [
        {"amount_received": 1},
        {"metadata": {"account_id": "999999", "payment_id": "1"}},
        {"metadata": {"account_id": "1", "payment_id": "999999"}},
    ],
    ids=["amount", "account", "payment"],
)
def test_a_payment_that_does_not_fit_is_parked(scenario: StripeScenario, fields: dict[str, object]) -> None:
    altered(scenario, **fields)
    assert scenario.credits == 0
    assert scenario.events("parked")
    assert "payment_parked" in scenario.mails()


def test_a_parked_payment_says_why_and_can_be_processed_again(scenario: StripeScenario) -> None:
    altered(scenario, currency="eur")
    payment = scenario.last(Payment)
    assert (scenario.credits, payment.state, "eur" in payment.review_reason) == (0, "parked", True)
    scenario.sandbox.running.sandbox.store.all("payment_intent")[0]["currency"] = "usd"
    for event in scenario.events("parked"):
        event.reopen()
    scenario.commit()
    scenario.work()
    assert (scenario.credits, scenario.last(Payment).state, scenario.events("parked")) == (5000, "paid", [])


def test_money_that_nobody_asked_for_is_parked(scenario: StripeScenario) -> None:
    scenario.buy_pack()
    scenario.charge_elsewhere(700, scenario.account.stripe_customer_id)
    scenario.deliver()
    assert scenario.credits == 5000
    assert "not asked for" in scenario.events("parked")[0].error


def test_another_products_things_are_nobodys_whatever_they_say(scenario: StripeScenario) -> None:
    v1 = scenario.sandbox.client.v1
    scenario.begin_pack()
    scenario.begin_plan("Plus")
    scenario.seen |= {notice.stripe_id for notice in scenario.notices()}
    sold, begun = scenario.last(Payment), scenario.last(Subscription)
    customer = v1.customers.create({"email": "eve@example.com"}).id
    labels = sold.labels | begun.labels
    for missing in ("account_id", "payment_id", None):
        scenario.charge_elsewhere(1000, customer, **{name: labels[name] for name in labels if name != missing})
    wanted: Any = {"mode": "payment", "customer": customer, "metadata": {"payment_id": "999999"}}
    lines = [{"price": scenario.pack().stripe_price_id, "quantity": 1}]
    session = v1.checkout.sessions.create(wanted | {"line_items": lines, "success_url": "http://127.0.0.1/"})
    scenario.sandbox.pay(session.id)
    items = [{"price": scenario.plan("Plus").stripe_price_id}]
    scenario.sandbox.control("method", customer=customer, card="success")
    v1.subscriptions.create({"customer": customer, "items": items, "metadata": labels})
    scenario.deliver()
    assert (scenario.events("parked"), scenario.entries(), scenario.subscription) == ([], [], None)
    assert list(reconciliation.reconcile()) == []


def test_a_payment_without_our_account_is_not_what_it_names(scenario: StripeScenario) -> None:
    payment = scenario.buy_pack()
    scenario.charge_elsewhere(1000, scenario.account.stripe_customer_id, payment_id=str(payment.id + 1))
    scenario.deliver()
    assert "not asked for here" in scenario.events("parked")[0].error


def test_another_accounts_checkout_is_not_taken_over(scenario: StripeScenario) -> None:
    scenario.sandbox.pay(scenario.begin_pack())
    session = scenario.sandbox.running.sandbox.store.all("checkout.session")[0]
    session["client_reference_id"] = "999999"
    with pytest.raises(Mismatch):
        session_sync.sync_session(session["id"])
    db.session.rollback()
    assert scenario.credits == 0


def test_one_row_is_never_paid_by_two_payments(scenario: StripeScenario) -> None:
    payment = scenario.buy_pack()
    scenario.charge_elsewhere(1000, scenario.account.stripe_customer_id, **payment.labels)
    scenario.deliver()
    assert scenario.credits == 5000
    assert "already" in scenario.events("parked")[0].error
    assert scenario.last(StripeEvent) is not None
