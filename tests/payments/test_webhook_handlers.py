"""Each event type: what it makes us look at, with its own end; and the life of a yearly plan."""

from typing import Any

import pytest

from app.payments.webhook_handlers import REACTIONS
from tests.payments.stripe_scenario import StripeScenario

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))

ALIKE = {
    "checkout.session": "completed async_payment_succeeded async_payment_failed expired",
    "customer.subscription": "created updated deleted paused resumed pending_update_applied pending_update_expired",
    "invoice": "paid payment_failed payment_action_required finalization_failed voided marked_uncollectible",
    "payment_intent": "succeeded payment_failed canceled",
    "refund": "created updated failed",
    "charge.dispute": "created updated closed funds_withdrawn funds_reinstated",
    "payment_method": "attached automatically_updated",
    "setup_intent": "succeeded setup_failed",
    "customer": "updated deleted",
    "charge": "refunded refund.updated",
    "credit_note": "created updated voided",
}
"""Events of one subject have one function: the tests below drive it by one of them."""

OF_THEIR_OWN = {"customer.subscription.trial_will_end", "payment_method.detached", "subscription_schedule.updated"}


def newest(scenario: StripeScenario, kind: str) -> dict[str, Any]:
    return scenario.sandbox.running.sandbox.store.all(kind)[0]


def hears_only(scenario: StripeScenario, kind: str, about: dict[str, str]) -> None:
    """All other notices are lost."""
    scenario.seen |= {notice.stripe_id for notice in scenario.notices()}
    scenario.receive(kind, about)
    assert scenario.events("parked") == scenario.events("failed") == []


def test_an_event_of_a_checkout_finds_its_payment(scenario: StripeScenario) -> None:
    session_id = scenario.begin_pack()
    scenario.sandbox.pay(session_id)
    hears_only(scenario, "checkout.session.expired", {"id": session_id})
    assert scenario.credits == 5000


@pytest.mark.parametrize("kind", ["deleted", "trial_will_end"])
def test_an_event_of_a_subscription_finds_its_state(scenario: StripeScenario, kind: str) -> None:
    scenario.sandbox.pay(scenario.begin_plan("Plus"))
    hears_only(scenario, f"customer.subscription.{kind}", {"id": newest(scenario, "subscription")["id"]})
    assert (scenario.account.plan.name, scenario.allowance) == ("Plus", 10000)


@pytest.mark.parametrize("names_it", [True, False])
def test_an_event_of_an_invoice_finds_its_allowance(scenario: StripeScenario, names_it: bool) -> None:
    scenario.sandbox.pay(scenario.begin_plan("Plus"))
    named = {"subscription": newest(scenario, "subscription")["id"]} if names_it else {}
    hears_only(scenario, "invoice.payment_failed", {"id": newest(scenario, "invoice")["id"], **named})
    assert scenario.allowance == 10000


def test_an_event_of_a_payment_finds_its_money(scenario: StripeScenario) -> None:
    scenario.sandbox.pay(scenario.begin_pack())
    hears_only(scenario, "payment_intent.canceled", {"id": newest(scenario, "payment_intent")["id"]})
    assert scenario.credits == 5000


def test_a_payment_of_an_invoice_finds_its_allowance(scenario: StripeScenario) -> None:
    scenario.sandbox.pay(scenario.begin_plan("Plus"))
    hears_only(scenario, "payment_intent.succeeded", {"id": newest(scenario, "payment_intent")["id"]})
    assert scenario.allowance == 10000


def test_an_event_of_a_refund_finds_the_refunds(scenario: StripeScenario) -> None:
    payment = scenario.buy_pack()
    scenario.sandbox.control("refund", payment_intent=payment.stripe_payment_intent_id, amount=500)
    charge = newest(scenario, "charge")["id"]
    hears_only(scenario, "charge.refunded", {"id": charge, "charge": charge})
    assert scenario.credits == 2500


def test_a_refund_heard_before_its_payment_counts_both(scenario: StripeScenario) -> None:
    scenario.sandbox.pay(scenario.begin_pack())
    intent = newest(scenario, "payment_intent")["id"]
    scenario.sandbox.control("refund", payment_intent=intent, amount=500)
    hears_only(scenario, "refund.created", {"id": "re_1", "payment_intent": intent})
    assert scenario.kinds() == ["purchase", "refund"]


def test_an_event_of_a_dispute_finds_its_state(scenario: StripeScenario) -> None:
    payment = scenario.buy_pack()
    scenario.sandbox.control("dispute", payment_intent=payment.stripe_payment_intent_id, action="open")
    hears_only(scenario, "charge.dispute.closed", {"id": newest(scenario, "dispute")["id"]})
    assert (scenario.credits, scenario.account.frozen_by) == (0, "dispute")


@pytest.mark.parametrize("kind", ["payment_method.attached", "payment_method.detached", "customer.updated"])
def test_any_event_of_a_card_finds_whether_it_is_there(scenario: StripeScenario, kind: str) -> None:
    scenario.buy_pack()
    scenario.turn_on_recharge(below=1)
    card, customer = scenario.settings.card_id, scenario.account.stripe_customer_id
    scenario.sandbox.client.v1.payment_methods.detach(card)
    subject = customer if kind.startswith("customer.") else card
    hears_only(scenario, kind, {"id": subject, "customer": customer})
    assert scenario.settings.pause_reason == "card_removed"


def test_every_event_worth_a_function_has_that_of_its_subject() -> None:
    for subject, kinds in ALIKE.items():
        assert len({REACTIONS[f"{subject}.{kind}"] for kind in kinds.split()}) == 1, subject
    assert REACTIONS["setup_intent.succeeded"] is REACTIONS["payment_method.attached"]
    assert REACTIONS["charge.refunded"] is REACTIONS["refund.created"]


def test_every_event_worth_a_function_is_named_here() -> None:
    alike = {f"{subject}.{kind}" for subject, kinds in ALIKE.items() for kind in kinds.split()}
    assert alike | OF_THEIR_OWN == REACTIONS.keys()
