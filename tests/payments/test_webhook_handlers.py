"""Each event type: what it makes us look at, with its own end; and the life of a yearly plan."""

from typing import Any

import pytest

from app.payments.webhook_handlers import REACTIONS
from tests.payments.stripe_scenario import Till

pytestmark = pytest.mark.databases("sqlite", "postgresql")

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


def newest(till: Till, kind: str) -> dict[str, Any]:
    return till.sandbox.running.sandbox.store.all(kind)[0]


def hears_only(till: Till, kind: str, about: dict[str, str]) -> None:
    """All other notices are lost."""
    till.seen |= {notice.stripe_id for notice in till.notices()}
    till.receive(kind, about)
    assert till.events("parked") == till.events("failed") == []


@pytest.mark.parametrize("kind", ABOUT_CHECKOUT)
def test_any_event_of_a_checkout_finds_its_payment(till: Till, kind: str) -> None:
    session_id = till.begin_pack()
    till.sandbox.pay(session_id)
    hears_only(till, f"checkout.session.{kind}", {"id": session_id})
    assert till.credits == 5000


@pytest.mark.parametrize("kind", ABOUT_SUBSCRIPTIONS)
def test_any_event_of_a_subscription_finds_its_state(till: Till, kind: str) -> None:
    till.sandbox.pay(till.begin_plan("Plus"))
    hears_only(till, f"customer.subscription.{kind}", {"id": newest(till, "subscription")["id"]})
    assert (till.account.plan.name, till.allowance) == ("Plus", 10000)


@pytest.mark.parametrize("kind", ABOUT_INVOICES)
@pytest.mark.parametrize("names_it", [True, False])
def test_any_event_of_an_invoice_finds_its_allowance(till: Till, kind: str, names_it: bool) -> None:
    till.sandbox.pay(till.begin_plan("Plus"))
    named = {"subscription": newest(till, "subscription")["id"]} if names_it else {}
    hears_only(till, f"invoice.{kind}", {"id": newest(till, "invoice")["id"], **named})
    assert till.allowance == 10000


@pytest.mark.parametrize("kind", ABOUT_PAYMENTS)
def test_any_event_of_a_payment_finds_its_money(till: Till, kind: str) -> None:
    till.sandbox.pay(till.begin_pack())
    hears_only(till, f"payment_intent.{kind}", {"id": newest(till, "payment_intent")["id"]})
    assert till.credits == 5000


def test_a_payment_of_an_invoice_finds_its_allowance(till: Till) -> None:
    till.sandbox.pay(till.begin_plan("Plus"))
    hears_only(till, "payment_intent.succeeded", {"id": newest(till, "payment_intent")["id"]})
    assert till.allowance == 10000


@pytest.mark.parametrize("kind", ABOUT_REFUNDS)
def test_any_event_of_a_refund_finds_the_refunds(till: Till, kind: str) -> None:
    payment = till.buy_pack()
    till.sandbox.control("refund", payment_intent=payment.stripe_payment_intent_id, amount=500)
    subject = "charge" if kind.startswith("charge") else "refund"
    hears_only(till, kind, {"id": newest(till, subject)["id"], "charge": newest(till, "charge")["id"]})
    assert till.credits == 2500


def test_a_refund_heard_before_its_payment_counts_both(till: Till) -> None:
    till.sandbox.pay(till.begin_pack())
    intent = newest(till, "payment_intent")["id"]
    till.sandbox.control("refund", payment_intent=intent, amount=500)
    hears_only(till, "refund.created", {"id": "re_1", "payment_intent": intent})
    assert till.kinds() == ["purchase", "refund"]


@pytest.mark.parametrize("kind", ABOUT_DISPUTES)
def test_any_event_of_a_dispute_finds_its_state(till: Till, kind: str) -> None:
    payment = till.buy_pack()
    till.sandbox.control("dispute", payment_intent=payment.stripe_payment_intent_id, action="open")
    hears_only(till, f"charge.dispute.{kind}", {"id": newest(till, "dispute")["id"]})
    assert (till.credits, till.account.frozen_by) == (0, "dispute")


@pytest.mark.parametrize("kind", ABOUT_CARDS)
def test_any_event_of_a_card_finds_whether_it_is_there(till: Till, kind: str) -> None:
    till.buy_pack()
    till.turn_on_recharge(below=1)
    card, customer = till.settings.card_id, till.account.stripe_customer_id
    till.sandbox.client.v1.payment_methods.detach(card)
    subject = customer if kind.startswith("customer.") else card
    hears_only(till, kind, {"id": subject, "customer": customer})
    assert till.settings.paused_for == "card_removed"


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
