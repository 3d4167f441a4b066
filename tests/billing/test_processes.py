"""Purchases, events and recharges on the running app: real web, workers and Redis, killed at each step."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.queue import enqueue
from tests.billing.till import Till
from tests.support.running_app import RunningApp, await_that
from tests.support.running_sandbox import SECRET

Start = Callable[..., RunningApp]
DieAt = Callable[[str, str, int], None]

STEPS_OF_AN_EVENT = [
    "after app.models.stripe_event:StripeEvent.claim",
    "after app.billing.gateway:payment",
    "after app.models.payment:Payment.succeed",
    "before app.models.stripe_event:StripeEvent.finish",
]
STEPS_OF_A_RECHARGE = [
    "after app.models.recharge:Recharge.attempt",
    "after app.billing.recharging:write_attempt",
    "after app.billing.orders:charge_saved_card",
    "after app.models.payment:Payment.succeed",
]


def listen(till: Till, running: RunningApp) -> None:
    """From now on Stripe tells the running app."""
    till.sandbox.running.point_webhooks(f"{running.url}/webhooks/stripe", SECRET)


@pytest.fixture
def die_at(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[[str, str, int], None]]:
    """`die_at(step, job, id)`: a worker that is killed at that step of that job."""
    running = RunningApp(environment, folder=tmp_path, names=())

    def die(step: str, job: str, identifier: int) -> None:
        running.start("worker", crash=step)
        enqueue(f"app.billing.jobs.{job}", identifier)
        assert running.await_death("worker", 60) == -9

    yield die
    running.__exit__()


@pytest.mark.databases("sqlite", "postgresql")
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


def test_ten_settles_at_once_with_two_workers_make_one_recharge(till: Till, start_app: Start) -> None:
    till.turn_on_recharge(below=1000)
    for _ in range(10):
        enqueue("app.billing.jobs.recharge", till.account_id)
    start_app("worker", "worker.2")
    await_that(lambda: till.credits >= 5000, 40)
    await_that(till.is_queue_empty, 40)
    assert (till.credits, len(till.recharges()), till.charges()) == (5000, 1, 1)


@pytest.mark.parametrize("step", STEPS_OF_AN_EVENT)
def test_an_event_whose_worker_is_killed_is_applied_once(till: Till, die_at: DieAt, step: str) -> None:
    till.sandbox.pay(till.begin_pack())
    die_at(step, "process_event", till.store("payment_intent.succeeded"))
    till.make_events_due()
    till.work()
    assert till.kinds() == ["purchase"]
    assert till.is_explained()


@pytest.mark.parametrize("step", STEPS_OF_A_RECHARGE)
def test_a_recharge_whose_worker_is_killed_is_paid_once(till: Till, die_at: DieAt, step: str) -> None:
    till.turn_on_recharge(below=1000)
    die_at(step, "recharge", till.account_id)
    till.work_later()
    till.deliver()
    assert (till.credits, [one.state for one in till.recharges()], till.charges()) == (5000, ["paid"], 1)
