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


def test_two_tabs_lead_to_one_checkout_until_it_is_paid_old_or_at_another_price(scenario: StripeScenario) -> None:
    first, second = scenario.begin_pack(), scenario.begin_pack()
    assert first == second
    scenario.last(Payment).stripe_session_id = None  # the first request has written its row and has no answer yet
    db.session.commit()
    assert scenario.begin_pack() == first
    assert len(sessions(scenario)) == 1
    assert scenario.begin_pack(quantity=2) != first
    scenario.sandbox.pay(first)
    scenario.deliver()
    third = scenario.begin_pack()
    assert third != first
    assert scenario.credits == 5000
    scenario.pack().margin_bps = 4000
    db.session.commit()
    fourth = scenario.begin_pack()
    assert fourth != third
    with time_machine.travel(utcnow().replace(year=utcnow().year + 1), tick=True):
        assert scenario.begin_pack() != fourth


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


def test_an_error_that_stripe_keeps_is_not_asked_for_again(scenario: StripeScenario) -> None:
    scenario.sandbox.control("faults", fault="error_after", path="/v1/customers", method="POST")
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


def twice(scenario: StripeScenario, fault: str, call: str, act: Callable[[], object]) -> None:
    """Asked for once, and its answer lost; asked for again, and told."""
    method, path = call.split()
    scenario.sandbox.control("faults", fault=fault, path=f"/v1/{path}", method=method, count=3)
    with suppress(UnknownOutcome):
        act()
    scenario.sandbox.control("faults", clear=True)
    act()
    scenario.deliver()
    assert scenario.is_explained()


@pytest.mark.parametrize("fault", ["drop_after", "error_after"])
def test_a_change_whose_answer_was_lost_is_done_once(scenario: StripeScenario, fault: str) -> None:
    scenario.subscribe("Pro")
    scenario.publish("Enterprise")
    scenario.change("Plus")
    twice(scenario, fault, "POST subscription_schedules/*/release", lambda: subscriptions.resume(scenario.actor))
    assert (scenario.account.plan.name, scenario.subscription.pending_plan) == ("Pro", None)
    twice(scenario, fault, "POST subscriptions/*", lambda: scenario.change_quietly("Enterprise"))
    paid = scenario.sandbox.running.sandbox.store.where("payment_intent", status="succeeded")
    assert (scenario.account.plan.name, len(paid)) == ("Enterprise", 2)
    twice(scenario, fault, "DELETE subscriptions/*", lambda: subscriptions.cancel(scenario.actor, at_once=True))
    assert (scenario.account.plan.name, scenario.kinds().count("plan_change")) == ("Free", 1)


@pytest.mark.parametrize(
    ("fault", "then"),
    [("error_after", "Plus"), ("drop_after", "Enterprise"), ("error_before", "Free")],
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


def begin_debit(scenario: StripeScenario) -> tuple[str, str]:
    """A bank debit that was begun, and whose failure nobody tells: its session and its payment at Stripe."""
    session_id = scenario.begin_pack()
    scenario.sandbox.pay(session_id, "fails_days_later")
    return session_id, scenario.sandbox.running.sandbox.store.all("payment_intent")[0]["id"]


def states(scenario: StripeScenario) -> list[str]:
    db.session.expire_all()
    return [one.state for one in db.session.query(Payment).order_by(Payment.id)]


def test_a_bank_debit_that_failed_is_failed_whoever_tells(scenario: StripeScenario) -> None:
    """The first three were heard of when they began."""
    by_page, by_event, _by_reconciliation = (begin_debit(scenario) for _ in range(3))
    scenario.deliver()
    assert states(scenario) == ["processing"] * 3
    by_event_alone, _by_reconciliation_alone = (begin_debit(scenario) for _ in range(2))
    scenario.sandbox.advance(4 * 86400)
    with time_machine.travel(utcnow().replace(year=utcnow().year + 1), tick=True):
        session_sync.sync_session(by_page[0])
        db.session.commit()
        for _session, intent in (by_event, by_event_alone):
            scenario.receive("payment_intent.payment_failed", {"id": intent})
        assert states(scenario) == ["failed", "failed", "processing", "failed", "open"]
        assert len(list(reconciliation.reconcile())) == 2
        assert (states(scenario), scenario.credits) == (["failed"] * 5, 0)
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


def test_a_first_debit_that_fails_unheard_begins_nothing(scenario: StripeScenario) -> None:
    for heard in ("event", "reconciliation"):
        scenario.subscribe("Plus", card="fails_days_later")
        begun = scenario.last(Subscription).stripe_id
        lose_notices(scenario, 4)
        if heard == "event":
            scenario.receive("customer.subscription.updated", {"id": begun})
        list(reconciliation.reconcile())
        assert list(reconciliation.reconcile()) == []
        assert (scenario.last(Subscription).status, scenario.allowance) == ("incomplete_expired", 0)
        assert (scenario.kinds(), scenario.account.plan.name) == ([], "Pay as you go")


def test_a_renewal_s_debit_that_fails_unheard_refills_nothing(scenario: StripeScenario) -> None:
    scenario.subscribe("Plus")
    scenario.use_allowance(400)
    made = scenario.sandbox.control("method", customer=scenario.account.stripe_customer_id, card="fails_days_later")
    wanted: Any = {"default_payment_method": made["id"]}
    scenario.sandbox.client.v1.subscriptions.update(scenario.subscription.stripe_id, wanted)
    scenario.renew()
    assert scenario.subscription.status == "active"
    lose_notices(scenario, 4)
    list(reconciliation.reconcile())
    assert list(reconciliation.reconcile()) == []
    assert (scenario.subscription.status, scenario.allowance) == ("past_due", 9_600)
    assert scenario.kinds().count("refill") == 1
