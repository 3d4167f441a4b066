"""Purchases, events and recharges on the running app: real web, workers and Redis, killed in the middle.

Each step is killed in `test_killed.py`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from app.jobs import enqueue
from app.models.billing.payment import Payment
from tests.payments.stripe_scenario import StripeScenario
from tests.support import people
from tests.support.running_app import RunningApp, await_that
from tests.support.running_sandbox import SECRET

Start = Callable[..., RunningApp]
DieAt = Callable[..., None]


def listen(scenario: StripeScenario, running: RunningApp) -> None:
    """From now on Stripe tells the running app."""
    scenario.sandbox.running.point_webhooks(f"{running.url}/webhooks/stripe", SECRET)


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
def test_a_customers_life_on_the_running_app(scenario: StripeScenario, start_app: Start) -> None:
    running = start_app("web", "worker")
    listen(scenario, running)
    scenario.sandbox.control("faults", fault="duplicate", count=100)
    scenario.sandbox.control("faults", fault="reorder", count=4)
    scenario.sandbox.pay(scenario.begin_pack())
    scenario.sandbox.pay(scenario.begin_plan("Plus"))
    await_that(
        lambda: (scenario.credits, scenario.allowance) == (5000, 10000),
        40,
        failing=lambda: running.log("worker")[-3000:],
    )
    scenario.sandbox.control("clock", to="next_renewal")
    await_that(lambda: scenario.kinds().count("refill") == 2, 40)
    scenario.sandbox.wait_until_idle(40)
    assert sorted(scenario.kinds()) == ["purchase", "refill", "refill"]
    assert scenario.is_explained()


def test_an_event_whose_worker_is_killed_is_applied_once(scenario: StripeScenario, die_at: DieAt) -> None:
    scenario.sandbox.pay(scenario.begin_pack())
    scenario.store("payment_intent.succeeded")
    die_at("after app.models.billing.payment:Payment.succeed", "process_events")
    scenario.make_events_due()
    scenario.work()
    assert scenario.kinds() == ["purchase"]
    assert scenario.is_explained()


def test_a_recharge_whose_worker_is_killed_is_paid_once(scenario: StripeScenario, die_at: DieAt) -> None:
    scenario.turn_on_recharge(below=1000)
    die_at("after app.stripe_api.requests:charge_saved_card", "recharge", scenario.account_id)
    scenario.work_later()
    scenario.deliver()
    assert (scenario.credits, [one.state for one in scenario.recharges()], scenario.charges()) == (
        5000,
        ["paid"],
        1,
    )


def test_a_purchase_whose_web_process_is_killed_leaves_a_page_that_still_counts(
    scenario: StripeScenario, environment: dict[str, str], tmp_path: Path
) -> None:
    with RunningApp(environment, folder=tmp_path, names=()) as running:
        running.start("web", crash="after app.stripe_api.requests:checkout_of_pack")
        running.await_ready()
        wanted = {"pack_id": str(scenario.pack().id)}
        headers = {"Authorization": f"Bearer {people.api_key(scenario.account)}"}
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{running.url}/api/checkout", json=wanted, headers=headers, timeout=30)
        assert running.await_death("web") == -9
    [session] = scenario.sandbox.running.sandbox.store.all("checkout.session")
    scenario.sandbox.pay(session["id"])
    scenario.deliver()
    assert (scenario.credits, scenario.last(Payment).state) == (5000, "paid")
