"""Purchases, events and recharges on the running app: real web, workers and Redis, killed in the middle.

Each step is killed in `test_killed.py`; a whole life goes on over two machines in `tests/scale`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from app.jobs import enqueue
from app.models.billing.payment import Payment
from tests.payments.stripe_scenario import StripeScenario
from tests.support import people
from tests.support.running_app import RunningApp

DieAt = Callable[..., None]


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
