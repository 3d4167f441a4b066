"""Each event type: what it makes us look at, with its own end; and the life of a yearly plan."""

from typing import Any

import pytest

from app.payments.webhook_handlers import REACTIONS
from tests.payments.stripe_scenario import StripeScenario

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))

ABOUT_CHECKOUT = ["completed", "async_payment_succeeded", "async_payment_failed", "expired"]
ABOUT_SUBSCRIPTIONS = [
    "created",
    "updated",
    "deleted",
    "trial_will_end",
    "paused",
    "resumed",
    "pending_update_applied",
    "pending_update_expired",
]
ABOUT_INVOICES = ["paid", "payment_failed", "payment_action_required", "finalization_failed"]
ABOUT_PAYMENTS = ["succeeded", "payment_failed", "canceled"]
ABOUT_REFUNDS = ["charge.refunded", "refund.created", "refund.updated", "refund.failed"]
ABOUT_DISPUTES = ["created", "updated", "closed", "funds_withdrawn", "funds_reinstated"]
ABOUT_CARDS = [
    "payment_method.attached",
    "payment_method.detached",
    "payment_method.automatically_updated",
    "setup_intent.succeeded",
    "setup_intent.setup_failed",
    "customer.updated",
    "customer.deleted",
]


def newest(scenario: StripeScenario, kind: str) -> dict[str, Any]:
    return scenario.sandbox.running.sandbox.store.all(kind)[0]


def hears_only(scenario: StripeScenario, kind: str, about: dict[str, str]) -> None:
    """All other notices are lost."""
    scenario.seen |= {notice.stripe_id for notice in scenario.notices()}
    scenario.receive(kind, about)
    assert scenario.events("parked") == scenario.events("failed") == []


@pytest.mark.parametrize("kind", ABOUT_CHECKOUT)
def test_any_event_of_a_checkout_finds_its_payment(scenario: StripeScenario, kind: str) -> None:
    session_id = scenario.begin_pack()
    scenario.sandbox.pay(session_id)
    hears_only(scenario, f"checkout.session.{kind}", {"id": session_id})
    assert scenario.credits == 5000


@pytest.mark.parametrize("kind", ABOUT_SUBSCRIPTIONS)
def test_any_event_of_a_subscription_finds_its_state(scenario: StripeScenario, kind: str) -> None:
    scenario.sandbox.pay(scenario.begin_plan("Plus"))
    hears_only(scenario, f"customer.subscription.{kind}", {"id": newest(scenario, "subscription")["id"]})
    assert (scenario.account.plan.name, scenario.allowance) == ("Plus", 10000)


@pytest.mark.parametrize("kind", ABOUT_INVOICES)
@pytest.mark.parametrize("names_it", [True, False])
def test_any_event_of_an_invoice_finds_its_allowance(
    scenario: StripeScenario, kind: str, names_it: bool
) -> None:
    scenario.sandbox.pay(scenario.begin_plan("Plus"))
    named = {"subscription": newest(scenario, "subscription")["id"]} if names_it else {}
    hears_only(scenario, f"invoice.{kind}", {"id": newest(scenario, "invoice")["id"], **named})
    assert scenario.allowance == 10000


@pytest.mark.parametrize("kind", ABOUT_PAYMENTS)
def test_any_event_of_a_payment_finds_its_money(scenario: StripeScenario, kind: str) -> None:
    scenario.sandbox.pay(scenario.begin_pack())
    hears_only(scenario, f"payment_intent.{kind}", {"id": newest(scenario, "payment_intent")["id"]})
    assert scenario.credits == 5000


def test_a_payment_of_an_invoice_finds_its_allowance(scenario: StripeScenario) -> None:
    scenario.sandbox.pay(scenario.begin_plan("Plus"))
    hears_only(scenario, "payment_intent.succeeded", {"id": newest(scenario, "payment_intent")["id"]})
    assert scenario.allowance == 10000


@pytest.mark.parametrize("kind", ABOUT_REFUNDS)
def test_any_event_of_a_refund_finds_the_refunds(scenario: StripeScenario, kind: str) -> None:
    payment = scenario.buy_pack()
    scenario.sandbox.control("refund", payment_intent=payment.stripe_payment_intent_id, amount=500)
    subject = "charge" if kind.startswith("charge") else "refund"
    hears_only(
        scenario, kind, {"id": newest(scenario, subject)["id"], "charge": newest(scenario, "charge")["id"]}
    )
    assert scenario.credits == 2500


def test_a_refund_heard_before_its_payment_counts_both(scenario: StripeScenario) -> None:
    scenario.sandbox.pay(scenario.begin_pack())
    intent = newest(scenario, "payment_intent")["id"]
    scenario.sandbox.control("refund", payment_intent=intent, amount=500)
    hears_only(scenario, "refund.created", {"id": "re_1", "payment_intent": intent})
    assert scenario.kinds() == ["purchase", "refund"]


@pytest.mark.parametrize("kind", ABOUT_DISPUTES)
def test_any_event_of_a_dispute_finds_its_state(scenario: StripeScenario, kind: str) -> None:
    payment = scenario.buy_pack()
    scenario.sandbox.control("dispute", payment_intent=payment.stripe_payment_intent_id, action="open")
    hears_only(scenario, f"charge.dispute.{kind}", {"id": newest(scenario, "dispute")["id"]})
    assert (scenario.credits, scenario.account.frozen_by) == (0, "dispute")


@pytest.mark.parametrize("kind", ABOUT_CARDS)
def test_any_event_of_a_card_finds_whether_it_is_there(scenario: StripeScenario, kind: str) -> None:
    scenario.buy_pack()
    scenario.turn_on_recharge(below=1)
    card, customer = scenario.settings.card_id, scenario.account.stripe_customer_id
    scenario.sandbox.client.v1.payment_methods.detach(card)
    subject = customer if kind.startswith("customer.") else card
    hears_only(scenario, kind, {"id": subject, "customer": customer})
    assert scenario.settings.pause_reason == "card_removed"


def test_every_event_worth_a_function_has_one() -> None:
    wanted = {
        *(f"checkout.session.{kind}" for kind in ABOUT_CHECKOUT),
        *(f"customer.subscription.{kind}" for kind in ABOUT_SUBSCRIPTIONS),
        *(f"invoice.{kind}" for kind in ABOUT_INVOICES),
        *(f"payment_intent.{kind}" for kind in ABOUT_PAYMENTS),
        *(f"charge.dispute.{kind}" for kind in ABOUT_DISPUTES),
        *ABOUT_REFUNDS,
        *ABOUT_CARDS,
    }
    assert wanted <= REACTIONS.keys()
