"""Reconciliation finds and mends what webhooks missed, and finds nothing the second time."""

from collections.abc import Iterator

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.payment import Payment
from app.payments import reconciliation
from sandbox.shapes import listing
from tests.payments.stripe_scenario import StripeScenario
from tests.support import people

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))


@pytest.fixture(autouse=True)
def an_hour_later(scenario: StripeScenario) -> Iterator[None]:
    """Checkouts of the last minutes are left alone."""
    with time_machine.travel(utcnow(), tick=True) as traveller:
        scenario.pass_hours = lambda hours: traveller.shift(hours * 3600)
        yield


def findings(scenario: StripeScenario) -> int:
    scenario.pass_hours(1)
    return len(list(reconciliation.reconcile()))


def test_a_payment_whose_notices_were_lost_is_credited_and_the_command_says_so(
    scenario: StripeScenario, app: Flask
) -> None:
    scenario.sandbox.pay(scenario.begin_pack())
    scenario.pass_hours(1)
    first, second = (app.test_cli_runner().invoke(args=["billing", "reconcile"]) for _ in range(2))
    assert "was paid" in first.output or "is complete" in first.output
    assert first.output.splitlines()[1:] == ["1 findings"]
    assert second.output == "Stripe and our records agree.\n"
    assert scenario.credits == 5000


def test_a_subscription_its_renewal_and_its_end_whose_notices_were_lost_are_found(scenario: StripeScenario) -> None:
    scenario.sandbox.pay(scenario.begin_plan("Plus"))
    assert findings(scenario) > 0
    assert (scenario.account.plan.name, scenario.allowance, findings(scenario)) == ("Plus", 10000, 0)
    scenario.use_allowance(400)
    scenario.sandbox.control("clock", to="next_renewal")
    assert (findings(scenario), scenario.allowance) == (1, 10_000)
    scenario.sandbox.client.v1.subscriptions.cancel(scenario.subscription.stripe_id)
    assert findings(scenario) == 1
    assert (scenario.account.plan.name, findings(scenario)) == ("Free", 0)


def test_expired_checkouts_refunds_and_disputes_whose_notices_were_lost_are_found(scenario: StripeScenario) -> None:
    scenario.begin_pack()
    scenario.begin_plan("Plus")
    for session in scenario.sandbox.running.sandbox.store.all("checkout.session"):
        scenario.sandbox.client.v1.checkout.sessions.expire(session["id"])
    assert (findings(scenario), findings(scenario)) == (2, 0)
    intent = scenario.buy_pack().stripe_payment_intent_id
    scenario.sandbox.control("refund", payment_intent=intent, amount=400)
    scenario.sandbox.control("dispute", payment_intent=intent, action="open")
    assert findings(scenario) == 2
    assert (scenario.credits, scenario.account.frozen_by, findings(scenario)) == (0, "dispute", 0)


def test_an_orphan_payment_is_shown_once_and_leaves_alone_what_it_only_names(scenario: StripeScenario) -> None:
    """Another product numbers its payments too."""
    scenario.begin_pack()
    begun = scenario.last(Payment).id
    for of in ("nobody", "ada", "eve"):
        labels = {} if of == "nobody" else {"payment_id": str(begun)}
        if of == "eve":
            payment = db.session.get_one(Payment, begun)
            payment.account = people.person("eve")
            scenario.commit()
            labels["account_id"] = str(payment.account_id)
        scenario.charge_elsewhere(700, scenario.account.stripe_customer_id, **labels)
        assert (of, findings(scenario)) == (of, 1)
        orphan = scenario.last(Payment)
        told = orphan.kind, orphan.state, orphan.price_cents, orphan.account_id
        assert told == ("unknown", "parked", 700, scenario.account_id)
        assert (db.session.get_one(Payment, begun).state, scenario.credits) == ("open", 0)
    assert findings(scenario) == 0


def test_an_invoice_of_the_founders_own_is_none_of_ours(scenario: StripeScenario) -> None:
    scenario.buy_pack()
    stripe, customer = scenario.sandbox.running.sandbox, scenario.account.stripe_customer_id
    scenario.charge_elsewhere(700, customer)
    amounts = dict.fromkeys(("amount_due", "amount_paid", "amount_remaining", "subtotal", "total"), 700)
    own = stripe.make("invoice", customer=customer, currency="usd", status="paid", lines=listing([], "/"), **amounts)
    named = {"payment_intent": stripe.store.all("payment_intent")[0]["id"], "type": "payment_intent"}
    wanted = {"invoice": own["id"], "payment": named, "amount_requested": 700, "currency": "usd", "status": "paid"}
    stripe.make("invoice_payment", **wanted)
    scenario.deliver()
    assert (scenario.events("parked"), scenario.kinds(), findings(scenario)) == ([], ["purchase"], 0)


def test_what_cannot_be_looked_at_holds_up_nothing_else(scenario: StripeScenario) -> None:
    lost = scenario.begin_pack(1000)
    scenario.sandbox.pay(scenario.begin_pack(2500))
    scenario.sandbox.running.sandbox.store.remove("checkout.session", lost)

    assert findings(scenario) == 2
    assert (scenario.credits, findings(scenario)) == (13_000, 0)
    assert set(db.session.scalars(select(Payment.state))) == {"paid", "canceled"}


def test_an_event_that_never_came_can_be_replayed(scenario: StripeScenario, app: Flask) -> None:
    scenario.sandbox.pay(scenario.begin_pack())
    event = scenario.notices()[-1].stripe_id
    for _ in range(2):
        commands = app.test_cli_runner()
        refused = commands.invoke(args=["billing", "events", "replay", "evt_none"])
        assert (refused.exit_code, refused.output[:7]) == (1, "Error: ")
        assert commands.invoke(args=["billing", "events", "list", "--state", "lost"]).exit_code == 2
        done = commands.invoke(args=["billing", "events", "replay", event])
        assert f"{event} is done" in done.output
    assert scenario.credits == 5000
