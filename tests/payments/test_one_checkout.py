"""Two tabs, a double click, a repeated request: one checkout, one change. A bank debit ends as Stripe's object says."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import time_machine

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.payment import Payment
from app.models.billing.payment_errors import UnknownOutcome
from app.models.billing.subscription import Subscription
from app.payments import reconciliation, session_sync, subscriptions
from app.stripe_api import requests
from tests.payments.conftest import CustomerClient
from tests.payments.stripe_scenario import StripeScenario

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("sqlite",))


def sessions(scenario: StripeScenario) -> list[Any]:
    return scenario.sandbox.running.sandbox.store.all("checkout.session")


def buy(customer: CustomerClient, pack_id: int, quantity: int = 1, **headers: str) -> Any:
    signed = {"Authorization": f"Bearer {customer.key}"} | headers
    return customer.client.post("/api/checkout", json={"pack_id": pack_id, "quantity": quantity}, headers=signed)


def test_two_tabs_lead_to_one_checkout(scenario: StripeScenario) -> None:
    first, second = scenario.begin_pack(), scenario.begin_pack()
    assert first == second
    assert scenario.begin_pack(quantity=2) != first
    scenario.sandbox.pay(first)
    scenario.deliver()
    assert scenario.begin_pack() != first
    assert scenario.credits == 5000


def test_a_click_while_the_first_is_on_its_way_gets_the_same_page(scenario: StripeScenario) -> None:
    """The first request has written its row and has no answer yet."""
    first = scenario.begin_pack()
    scenario.last(Payment).stripe_session_id = None
    db.session.commit()
    assert scenario.begin_pack() == first
    assert len(sessions(scenario)) == 1


def test_an_old_checkout_is_not_offered_again(scenario: StripeScenario) -> None:
    first = scenario.begin_pack()
    with time_machine.travel(utcnow().replace(year=utcnow().year + 1), tick=True):
        assert scenario.begin_pack() != first


def test_a_new_price_is_a_new_checkout(scenario: StripeScenario) -> None:
    first = scenario.begin_pack()
    scenario.pack().margin_bps = 4000
    db.session.commit()
    assert scenario.begin_pack() != first


def test_a_key_names_one_purchase(scenario: StripeScenario, customer: CustomerClient) -> None:
    pack = scenario.pack().id
    one, again = (
        buy(customer, pack, **{"Idempotency-Key": "a"}),
        buy(customer, pack, **{"Idempotency-Key": "a"}),
    )
    other = buy(customer, pack, **{"Idempotency-Key": "b"})
    assert one.json == again.json != other.json
    reused = buy(customer, pack, 2, **{"Idempotency-Key": "a"})
    assert (reused.status_code, reused.json["code"]) == (409, "idempotency_key_reused")
    assert buy(customer, pack, **{"Idempotency-Key": "x" * 201}).status_code == 400


def test_subscribing_twice_is_one_checkout(scenario: StripeScenario) -> None:
    first = scenario.begin_plan("Plus")
    assert scenario.begin_plan("Plus") == first
    assert scenario.begin_plan("Pro") != first
    assert len(sessions(scenario)) == 2


@pytest.mark.parametrize("path", ["checkout/sessions", "customers"])
def test_an_error_that_stripe_keeps_is_not_asked_for_again(scenario: StripeScenario, path: str) -> None:
    scenario.sandbox.control("faults", fault="error_after", path=f"/v1/{path}", method="POST")
    first = scenario.begin_pack()
    assert scenario.begin_pack() == first
    scenario.sandbox.control("faults", fault="error_after", path="/v1/checkout/sessions", method="POST")
    scenario.sandbox.pay(scenario.begin_plan("Plus"))
    scenario.sandbox.pay(first)
    scenario.deliver()
    assert (scenario.credits, scenario.allowance) == (5_000, 10_000)


def test_a_checkout_that_cannot_be_looked_at_is_not_begun_anew(scenario: StripeScenario) -> None:
    """It may have been paid."""
    first = scenario.begin_pack()
    scenario.sandbox.control("faults", fault="error_after", path="/v1/checkout/sessions/*", method="GET", count=3)
    with pytest.raises(UnknownOutcome):
        scenario.begin_pack()
    scenario.sandbox.control("faults", clear=True)
    assert scenario.begin_pack() == first
    assert len(sessions(scenario)) == 1


CHANGES: dict[str, tuple[str, str, Callable[[StripeScenario], object]]] = {
    "cancel": ("DELETE", "/v1/subscriptions/*", lambda scenario: subscriptions.cancel(scenario.actor, at_once=True)),
    "undo": ("POST", "/v1/subscription_schedules/*/release", lambda scenario: subscriptions.resume(scenario.actor)),
    "up": ("POST", "/v1/subscriptions/*", lambda scenario: scenario.change_quietly("Enterprise")),
}


@pytest.mark.parametrize(("change", "plan"), [("cancel", "Free"), ("undo", "Pro"), ("up", "Enterprise")])
@pytest.mark.parametrize("fault", ["drop_after", "error_after"])
def test_a_change_whose_answer_was_lost_is_done_once(
    scenario: StripeScenario, change: str, plan: str, fault: str
) -> None:
    scenario.subscribe("Pro")
    scenario.publish("Enterprise")
    if change == "undo":
        scenario.change("Plus")
    method, path, act = CHANGES[change]
    scenario.sandbox.control("faults", fault=fault, path=path, method=method, count=3)
    with suppress(UnknownOutcome):
        act(scenario)
    scenario.sandbox.control("faults", clear=True)
    act(scenario)
    scenario.deliver()
    assert (scenario.account.plan.name, scenario.is_explained()) == (plan, True)
    paid = scenario.sandbox.running.sandbox.store.where("payment_intent", status="succeeded")
    assert len(paid) == (2 if change == "up" else 1)


@pytest.mark.parametrize(
    ("fault", "then"),
    [("drop_before", "Plus"), ("error_after", "Plus"), ("drop_after", "Enterprise"), ("error_before", "Free")],
)
def test_after_a_change_that_was_broken_off_any_other_can_be_asked_for_at_once(
    scenario: StripeScenario, fault: str, then: str
) -> None:
    scenario.subscribe("Pro")
    scenario.publish("Enterprise")
    scenario.sandbox.control("faults", fault=fault, path="/v1/subscription_schedules/*", method="POST", count=3)
    with pytest.raises(UnknownOutcome):
        subscriptions.change_plan(scenario.actor, scenario.plan("Plus"))
    scenario.sandbox.control("faults", clear=True)
    if then == "Free":
        subscriptions.cancel(scenario.actor)
    else:
        subscriptions.change_plan(scenario.actor, scenario.plan(then))
    scenario.renew()
    assert (scenario.account.plan.name, scenario.is_explained()) == (then, True)


def test_two_clicks_on_a_change_are_one_change(scenario: StripeScenario) -> None:
    subscription = scenario.subscribe("Plus")
    key = subscription.idempotency_key
    subscriptions.change_plan(scenario.actor, scenario.plan("Pro"))
    again = scenario.subscription
    again.plan, again.stripe_price_id = scenario.plan("Plus"), scenario.plan("Plus").stripe_price_id
    again.change_counter = int(key.rsplit("-", 1)[1])
    db.session.commit()
    subscriptions.ask_once(again, scenario.plan("Pro"), requests.upgrade)
    scenario.deliver()
    updates = scenario.sandbox.running.sandbox.store.where("invoice", billing_reason="subscription_update")
    assert (len(updates), scenario.kinds().count("plan_change")) == (1, 1)


def fails_later(scenario: StripeScenario) -> Payment:
    """A bank debit that was begun, and whose failure nobody tells."""
    scenario.sandbox.pay(scenario.begin_pack(), "fails_days_later")
    return scenario.last(Payment)


@pytest.mark.parametrize("heard", ["page", "reconciliation", "event", "nothing before", "event alone"])
def test_a_bank_debit_that_failed_is_failed_whoever_tells(scenario: StripeScenario, heard: str) -> None:
    payment = fails_later(scenario)
    if heard not in {"nothing before", "event alone"}:
        scenario.deliver()
        assert scenario.last(Payment).state == "processing"
    scenario.sandbox.advance(4 * 86400)
    intent = scenario.sandbox.running.sandbox.store.all("payment_intent")[0]["id"]
    with time_machine.travel(utcnow().replace(year=utcnow().year + 1), tick=True):
        if heard == "page":
            session_sync.sync_session(payment.stripe_session_id or "")
            db.session.commit()
        elif heard.startswith("event"):
            scenario.receive("payment_intent.payment_failed", {"id": intent})
        else:
            assert len(list(reconciliation.reconcile())) == 1
        assert (scenario.last(Payment).state, scenario.credits) == ("failed", 0)
        assert list(reconciliation.reconcile()) == []


def test_two_tabs_that_pay_two_plans_have_one_and_the_other_s_money_back(scenario: StripeScenario) -> None:
    one, two = scenario.begin_plan("Plus"), scenario.begin_plan("Pro")
    for session_id in (one, two):
        scenario.sandbox.pay(session_id)
    scenario.deliver()
    store = scenario.sandbox.running.sandbox.store
    assert scenario.account.plan.name == "Plus"
    assert len(store.where("subscription", status="active")) == 1
    assert ([one["amount"] for one in store.all("refund")], scenario.allowance) == (
        [scenario.plan("Pro").price_cents],
        10_000,
    )
    kept, sent_away = db.session.query(Subscription).order_by(Subscription.id)
    assert (kept.status, sent_away.status, scenario.last(Payment).refunded_cents) == ("active", "canceled", 10_000)
    assert list(reconciliation.reconcile()) == []
    assert scenario.is_explained()


def lose_notices(scenario: StripeScenario, days: int) -> None:
    """Days pass at Stripe, and nothing is told of them."""
    scenario.sandbox.advance(days * 86400)
    scenario.seen |= {notice.stripe_id for notice in scenario.notices()}


@pytest.mark.parametrize("heard", ["reconciliation", "event"])
def test_a_first_debit_that_fails_unheard_begins_nothing(scenario: StripeScenario, heard: str) -> None:
    scenario.subscribe("Plus", card="fails_days_later")
    begun = scenario.last(Subscription).stripe_id
    lose_notices(scenario, 4)
    if heard == "event":
        scenario.receive("customer.subscription.updated", {"id": begun})
    list(reconciliation.reconcile())
    assert list(reconciliation.reconcile()) == []
    assert (scenario.last(Subscription).status, scenario.allowance) == ("incomplete_expired", 0)
    assert (scenario.kinds(), scenario.account.plan.name) == ([], "Pay as you go")


@pytest.mark.parametrize("heard", ["reconciliation", "event"])
def test_a_renewal_s_debit_that_fails_unheard_refills_nothing(scenario: StripeScenario, heard: str) -> None:
    scenario.subscribe("Plus")
    scenario.use_allowance(400)
    made = scenario.sandbox.control("method", customer=scenario.account.stripe_customer_id, card="fails_days_later")
    subscription_id = scenario.subscription.stripe_id
    wanted: Any = {"default_payment_method": made["id"]}
    scenario.sandbox.client.v1.subscriptions.update(subscription_id, wanted)
    scenario.renew()
    assert scenario.subscription.status == "active"
    lose_notices(scenario, 4)
    open_invoice = str(scenario.sandbox.client.v1.invoices.list({"status": "open"}).data[0].id)
    if heard == "event":
        scenario.receive("invoice.payment_failed", {"id": open_invoice, "subscription": subscription_id})
    list(reconciliation.reconcile())
    assert list(reconciliation.reconcile()) == []
    assert (scenario.subscription.status, scenario.allowance) == ("past_due", 9_600)
    assert scenario.kinds().count("refill") == 1
