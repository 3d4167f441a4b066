"""Reconciliation finds and mends what webhooks missed, and finds nothing the second time."""

from collections.abc import Iterator

import pytest
import time_machine

from app.payments import reconciliation
from app.payments import subscriptions
from app.models.base import utcnow
from app.models.billing.payment import Payment
from tests.payments.stripe_scenario import Till

pytestmark = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture(autouse=True)
def an_hour_later(till: Till) -> Iterator[None]:
    """Checkouts of the last minutes are left alone."""
    with time_machine.travel(utcnow(), tick=True) as traveller:
        till.pass_hours = lambda hours: traveller.shift(hours * 3600)
        yield


def findings(till: Till) -> int:
    till.pass_hours(1)
    return len(list(reconciliation.reconcile()))


def test_a_payment_whose_notices_were_lost_is_credited(till: Till) -> None:
    till.sandbox.pay(till.begin_pack())
    assert findings(till) == 1
    assert (till.credits, findings(till)) == (5000, 0)


def test_a_subscription_whose_notices_were_lost_begins(till: Till) -> None:
    till.sandbox.pay(till.begin_plan("Plus"))
    assert findings(till) > 0
    assert (till.account.plan.name, till.allowance, findings(till)) == ("Plus", 10000, 0)


def test_a_renewal_and_an_end_whose_notices_were_lost_are_found(till: Till) -> None:
    till.subscribe("Plus")
    till.sandbox.control("clock", to="next_renewal")
    assert findings(till) == 1
    till.sandbox.client.v1.subscriptions.cancel(till.subscription.stripe_id)
    assert findings(till) == 1
    assert (till.account.plan.name, findings(till)) == ("Free", 0)


def test_refunds_and_disputes_whose_notices_were_lost_are_found(till: Till) -> None:
    payment = till.buy_pack()
    intent = payment.stripe_payment_intent_id
    till.sandbox.control("refund", payment_intent=intent, amount=400)
    till.sandbox.control("dispute", payment_intent=intent, action="open")
    assert findings(till) == 2
    assert (till.credits, till.account.frozen_by, findings(till)) == (0, "dispute", 0)


def test_an_orphan_payment_is_shown_once(till: Till) -> None:
    till.buy_pack()
    till.charge_elsewhere(700, till.account.stripe_customer_id)
    assert findings(till) == 1
    orphan = till.last(Payment)
    assert (orphan.kind, orphan.state, orphan.price_cents, till.credits) == ("unknown", "parked", 700, 5000)
    assert findings(till) == 0


def test_an_expired_checkout_is_found(till: Till) -> None:
    session_id = till.begin_pack()
    till.begin_plan("Plus")
    for session in till.sandbox.running.sandbox.store.all("checkout.session"):
        till.sandbox.client.v1.checkout.sessions.expire(session["id"])
    assert session_id
    assert (findings(till), findings(till)) == (2, 0)


def test_where_everything_is_known_nothing_is_found(till: Till) -> None:
    till.buy_pack()
    till.subscribe("Plus")
    till.renew()
    subscriptions.cancel(till.caller)
    till.deliver()
    assert findings(till) == 0


def test_the_commands_say_what_they_did(till: Till, app: "object") -> None:
    till.sandbox.pay(till.begin_pack())
    till.pass_hours(1)
    runner = app.test_cli_runner()  # type: ignore[attr-defined]
    first, second = (runner.invoke(args=["billing", "reconcile"]) for _ in range(2))
    assert "was paid" in first.output or "is complete" in first.output
    assert second.output == "Stripe and our rows agree.\n"


def test_an_event_that_never_came_can_be_replayed(till: Till, app: "object") -> None:
    till.sandbox.pay(till.begin_pack())
    event = till.notices()[-1].stripe_id
    for _ in range(2):
        done = app.test_cli_runner().invoke(args=["billing", "events", "replay", event])  # type: ignore[attr-defined]
        assert f"{event} is done" in done.output
    assert till.credits == 5000
