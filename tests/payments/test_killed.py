"""kill -9 at each step of a purchase, an event, a recharge, a refund, a change: nothing lost, nothing twice."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.extensions import db
from app.jobs import commit
from app.models.billing.payment import Payment
from app.models.operations.webhook_event import StripeEvent
from app.payments import jobs, refunds, subscriptions
from tests.conftest import IS_LONG
from tests.payments.stripe_scenario import StripeScenario
from tests.support import people
from tests.support.running_sandbox import StartedSandbox
from tests.support.steps import is_killed_at

Work = Callable[[], object]
Story = Callable[[StripeScenario, FlaskClient], Work]


def asked(scenario: StripeScenario, client: FlaskClient, method: str, path: str, sent: Any) -> Work:
    """A request to the app, as a program makes it."""
    headers = {"Authorization": f"Bearer {people.api_key(scenario.account)}"}
    return lambda: client.open(path, method=method, json=sent, headers=headers)


def buy_a_pack(scenario: StripeScenario, client: FlaskClient) -> Work:
    return asked(scenario, client, "POST", "/api/checkout", {"pack_id": str(scenario.pack().id)})


def subscribe(scenario: StripeScenario, client: FlaskClient) -> Work:
    return asked(scenario, client, "POST", "/api/subscription", {"plan_id": str(scenario.plan("Plus").id)})


def upgrade(scenario: StripeScenario, client: FlaskClient) -> Work:
    scenario.subscribe("Plus")
    subscriptions.cancel(scenario.actor)
    return asked(scenario, client, "PATCH", "/api/subscription", {"plan_id": str(scenario.plan("Pro").id)})


def hear_of_a_pack(scenario: StripeScenario, _client: FlaskClient) -> Work:
    scenario.sandbox.pay(scenario.begin_pack())
    scenario.store("payment_intent.succeeded")
    return jobs.process_events


def hear_of_a_subscription(scenario: StripeScenario, _client: FlaskClient) -> Work:
    scenario.sandbox.pay(scenario.begin_plan("Plus"))
    scenario.store("invoice.paid")
    return jobs.process_events


def recharge(scenario: StripeScenario, _client: FlaskClient) -> Work:
    scenario.turn_on_recharge(below=1000, most=1000)
    return lambda: jobs.recharge(scenario.account_id)


def pay_back(scenario: StripeScenario, _client: FlaskClient) -> Work:
    options = refunds.request_refund(scenario.buy_pack().id, 400, reason="kindness")
    commit()
    refund_id = options.id
    return lambda: jobs.pay_back(refund_id)


STORIES: dict[Story, tuple[int, int, str]] = {
    buy_a_pack: (5000, 0, "Pay as you go"),
    subscribe: (0, 10000, "Plus"),
    upgrade: (0, 55000, "Pro"),
    hear_of_a_pack: (5000, 0, "Pay as you go"),
    hear_of_a_subscription: (0, 10000, "Plus"),
    recharge: (5000, 0, "Pay as you go"),
    pay_back: (3000, 0, "Pay as you go"),
}
"""Each with the credits, the allowance and the plan that it ends in."""


ELSEWHERE = {buy_a_pack, hear_of_a_pack}
"""Killed in `test_processes.py`, each at its dearest step."""

CASES = [(kind, story) for kind in ("sqlite", "postgresql") for story in STORIES]
if not IS_LONG:
    CASES = [("postgresql" if story is recharge else "sqlite", story) for story in STORIES if story not in ELSEWHERE]


@pytest.mark.parametrize(
    ("database_kind", "story"),
    CASES,
    indirect=["database_kind"],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_killed_at_each_step_it_ends_as_if_it_had_not_been(
    story: Story, app: Flask, client: FlaskClient, scenario: StripeScenario, sandbox: StartedSandbox
) -> None:
    for step in count():
        person = StripeScenario(sandbox, f"{story.__name__}{step}")
        person.seen = scenario.seen
        work = story(person, client)
        was_killed = is_killed_at(step, app, work)
        assert getattr(work(), "status_code", 200) < 300
        end_all(person)
        figures = (person.credits, round(person.allowance, -2), person.account.plan.name)
        assert (step, figures) == (step, STORIES[story])
        assert_agreed(person)
        if not was_killed:
            break
    assert step > 1


def end_all(scenario: StripeScenario) -> None:
    """The first page that Stripe has made is paid, also where we do not know of it; then all notices come."""
    mine = {"client_reference_id": str(scenario.account_id), "status": "open"}
    for session in scenario.sandbox.running.sandbox.store.where("checkout.session", **mine)[-1:]:
        scenario.sandbox.pay(session["id"])
    scenario.deliver()
    scenario.make_events_due()
    scenario.work_later()
    scenario.deliver()


def assert_agreed(scenario: StripeScenario) -> None:
    """Stripe's charges and refunds of the customer are those that our rows have, and every balance is explained."""
    made = scenario.sandbox.running.sandbox.store
    customers = [one for one in made.all("customer") if one["metadata"]["account_id"] == str(scenario.account_id)]
    assert len(customers) == 1
    charges = made.where("charge", customer=customers[0]["id"], status="succeeded")
    paid = db.session.query(Payment).filter_by(account_id=scenario.account_id, state="paid")
    theirs = sorted((one["amount"], one["amount_refunded"]) for one in charges)
    assert theirs == sorted((one.price_cents, one.refunded_cents) for one in paid if one.price_cents)
    assert db.session.query(StripeEvent).filter(StripeEvent.state != "done").count() == 0
    assert scenario.is_explained()
