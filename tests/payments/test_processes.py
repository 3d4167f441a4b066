"""Purchases, events and recharges on the running app: real web, workers and Redis, killed in the middle.

Each step is killed in `test_killed.py`.
"""

import random
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path

import pytest
import requests

from app.payments import product_sync
from app.models.billing.payment import Payment
from app.jobs import enqueue
from tests.payments.stripe_scenario import Till
from tests.support import people
from tests.support.running_app import RunningApp, await_that
from tests.support.running_sandbox import SECRET

EVENTS_OF_A_LIFE = {
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "invoice.paid",
}
Start = Callable[..., RunningApp]
DieAt = Callable[..., None]


def listen(till: Till, running: RunningApp) -> None:
    """From now on Stripe tells the running app."""
    till.sandbox.running.point_webhooks(f"{running.url}/webhooks/stripe", SECRET)


@pytest.fixture
def die_at(environment: dict[str, str], tmp_path: Path) -> Iterator[DieAt]:
    """`die_at(step, job, *ids)`: a worker that is killed at that step of that job."""
    running = RunningApp(environment, folder=tmp_path, names=())

    def die(step: str, job: str, *identifiers: int) -> None:
        running.start("worker", crash=step)
        enqueue(f"app.payments.jobs.{job}", *identifiers)
        assert running.await_death("worker", 60) == -9

    yield die
    running.__exit__()


@pytest.mark.databases("sqlite", "postgresql", short=("postgresql",))
def test_a_customers_life_on_the_running_app(till: Till, start_app: Start) -> None:
    running = start_app("web", "worker", "worker.2")
    listen(till, running)
    till.sandbox.control("faults", fault="duplicate", count=100)
    till.sandbox.control("faults", fault="reorder", count=4)
    till.sandbox.pay(till.begin_pack())
    till.sandbox.pay(till.begin_plan("Plus"))
    await_that(
        lambda: (till.credits, till.allowance) == (5000, 10000),
        40,
        failing=lambda: running.log("worker")[-3000:],
    )
    till.sandbox.control("clock", to="next_renewal")
    await_that(lambda: till.kinds().count("refill") == 2, 40)
    till.sandbox.wait_until_idle(40)
    assert sorted(till.kinds()) == ["purchase", "refill", "refill"]
    assert "Every balance is explained" in running.run("flask", "billing", "audit")


@pytest.mark.databases("postgresql")
def test_a_sample_of_the_720_orders_over_http_ends_alike(till: Till, start_app: Start) -> None:
    orders = random.Random(4).sample(list(permutations(range(6))), 8)  # noqa: S311
    people_of_orders = [Till(till.sandbox, f"ada{number}") for number, _ in enumerate(orders)]
    lives = [life_of(one) for one in people_of_orders]
    listen(till, start_app("web", "worker", "worker.2"))
    for order, life in zip(orders, lives, strict=True):
        for index in order:
            till.sandbox.control("resend", event=life[index])
    till.sandbox.wait_until_idle(40)
    await_that(lambda: len(till.events("done")) == 48, 40)
    assert {roughly(one) for one in people_of_orders} == {
        (("refill", 10000, 0), ("plan_change", 45000, 0), ("allowance_ended", -55000, 0))
    }
    assert till.is_explained()


def roughly(person: Till) -> tuple[tuple[str, int, int], ...]:
    """The ledger to ten credits: an upgrade is prorated by the second, and lives begin one after another."""
    return tuple(
        (kind, round(allowance, -1), round(credits, -1)) for kind, allowance, credits in person.entries()
    )


def life_of(person: Till) -> list[str]:
    """The ids of the six events of a subscription that is bought, upgraded, paid and ended while nobody listens."""
    person.sandbox.pay(person.begin_plan("Plus"))
    customer = person.account.stripe_customer_id
    [found] = person.sandbox.running.sandbox.store.where("subscription", customer=customer)
    product_sync.publish(person.plan("Pro"))
    item = {"id": found["items"]["data"][0]["id"], "price": str(person.plan("Pro").stripe_price_id)}
    changed = {"items": [item], "proration_behavior": "always_invoice"}
    person.sandbox.client.v1.subscriptions.update(found["id"], changed)
    person.sandbox.client.v1.subscriptions.cancel(found["id"])
    told = [one for one in person.notices() if found["id"] in one.about.values()]
    return [one.stripe_id for one in told if one.type in EVENTS_OF_A_LIFE]


def test_ten_settles_at_once_with_two_workers_make_one_recharge(till: Till, start_app: Start) -> None:
    till.turn_on_recharge(below=1000)
    for _ in range(10):
        enqueue("app.payments.jobs.recharge", till.account_id)
    start_app("worker", "worker.2")
    await_that(lambda: till.credits >= 5000, 40)
    await_that(till.is_queue_empty, 40)
    assert (till.credits, len(till.recharges()), till.charges()) == (5000, 1, 1)


def test_an_event_whose_worker_is_killed_is_applied_once(till: Till, die_at: DieAt) -> None:
    till.sandbox.pay(till.begin_pack())
    till.store("payment_intent.succeeded")
    die_at("after app.models.payment:Payment.succeed", "process_events")
    till.make_events_due()
    till.work()
    assert till.kinds() == ["purchase"]
    assert till.is_explained()


def test_a_recharge_whose_worker_is_killed_is_paid_once(till: Till, die_at: DieAt) -> None:
    till.turn_on_recharge(below=1000)
    die_at("after app.billing.orders:charge_saved_card", "recharge", till.account_id)
    till.work_later()
    till.deliver()
    assert (till.credits, [one.state for one in till.recharges()], till.charges()) == (5000, ["paid"], 1)


def test_a_purchase_whose_web_process_is_killed_leaves_a_page_that_still_counts(
    till: Till, environment: dict[str, str], tmp_path: Path
) -> None:
    with RunningApp(environment, folder=tmp_path, names=()) as running:
        running.start("web", crash="after app.billing.orders:checkout_of_pack")
        running.await_ready()
        wanted = {"pack_id": str(till.pack().id)}
        headers = {"Authorization": f"Bearer {people.api_key(till.account)}"}
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{running.url}/api/checkout", json=wanted, headers=headers, timeout=30)
        assert running.await_death("web") == -9
    [session] = till.sandbox.running.sandbox.store.all("checkout.session")
    till.sandbox.pay(session["id"])
    till.deliver()
    assert (till.credits, till.last(Payment).state) == (5000, "paid")
