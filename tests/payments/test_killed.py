"""kill -9 at each step of a purchase, an event, a recharge, a refund, a change: nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.payments import jobs
from app.payments import refunds
from app.payments.transaction import commit
from app.extensions import db
from app.models.billing.payment import Payment
from app.models.operations.webhook_event import StripeEvent
from tests.payments.stripe_scenario import Till
from tests.support import people
from tests.support.running_sandbox import StartedSandbox
from tests.support.steps import is_killed_at

Work = Callable[[], object]
Story = Callable[[Till, FlaskClient], Work]


def asked(till: Till, client: FlaskClient, method: str, path: str, sent: Any) -> Work:
    """A request to the app, as a program makes it."""
    headers = {"Authorization": f"Bearer {people.api_key(till.account)}"}
    return lambda: client.open(path, method=method, json=sent, headers=headers)


def buy_a_pack(till: Till, client: FlaskClient) -> Work:
    return asked(till, client, "POST", "/api/checkout", {"pack_id": str(till.pack().id)})


def subscribe(till: Till, client: FlaskClient) -> Work:
    return asked(till, client, "POST", "/api/subscription", {"plan_id": str(till.plan("Plus").id)})


def upgrade(till: Till, client: FlaskClient) -> Work:
    till.subscribe("Plus")
    return asked(till, client, "PATCH", "/api/subscription", {"plan_id": str(till.plan("Pro").id)})


def hear_of_a_pack(till: Till, _client: FlaskClient) -> Work:
    till.sandbox.pay(till.begin_pack())
    till.store("payment_intent.succeeded")
    return jobs.process_events


def hear_of_a_subscription(till: Till, _client: FlaskClient) -> Work:
    till.sandbox.pay(till.begin_plan("Plus"))
    till.store("invoice.paid")
    return jobs.process_events


def recharge(till: Till, _client: FlaskClient) -> Work:
    till.turn_on_recharge(below=1000, most=1000)
    return lambda: jobs.recharge(till.account_id)


def pay_back(till: Till, _client: FlaskClient) -> Work:
    wish = refunds.want_refund(till.buy_pack().id, 400, reason="kindness")
    commit()
    refund_id = wish.id
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


ON_POSTGRESQL = [buy_a_pack, hear_of_a_subscription, recharge]
CASES = [("sqlite", story) for story in STORIES] + [("postgresql", story) for story in ON_POSTGRESQL]


@pytest.mark.parametrize(
    ("database_kind", "story"),
    CASES,
    indirect=["database_kind"],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_killed_at_each_step_it_ends_as_if_it_had_not_been(
    story: Story, app: Flask, client: FlaskClient, till: Till, sandbox: StartedSandbox
) -> None:
    for step in count():
        person = Till(sandbox, f"{story.__name__}{step}")
        person.seen = till.seen
        work = story(person, client)
        was_killed = is_killed_at(step, app, work)
        work()
        end_all(person)
        figures = (person.credits, round(person.allowance, -2), person.account.plan.name)
        assert (step, figures) == (step, STORIES[story])
        assert_agreed(person)
        if not was_killed:
            break
    assert step > 2


def end_all(till: Till) -> None:
    """The first page that Stripe has made is paid, also where we do not know of it; then all notices come."""
    mine = {"client_reference_id": str(till.account_id), "status": "open"}
    for session in till.sandbox.running.sandbox.store.where("checkout.session", **mine)[-1:]:
        till.sandbox.pay(session["id"])
    till.deliver()
    till.make_events_due()
    till.work_later()
    till.deliver()


def assert_agreed(till: Till) -> None:
    """Stripe's charges and refunds of the customer are those that our rows have, and every balance is explained."""
    made = till.sandbox.running.sandbox.store
    customers = [one for one in made.all("customer") if one["metadata"]["account_id"] == str(till.account_id)]
    assert len(customers) == 1
    charges = made.where("charge", customer=customers[0]["id"], status="succeeded")
    paid = db.session.query(Payment).filter_by(account_id=till.account_id, state="paid")
    theirs = sorted((one["amount"], one["amount_refunded"]) for one in charges)
    assert theirs == sorted((one.price_cents, one.refunded_cents) for one in paid if one.price_cents)
    assert db.session.query(StripeEvent).filter(StripeEvent.state != "done").count() == 0
    assert till.is_explained()
