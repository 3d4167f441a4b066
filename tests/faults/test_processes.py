"""Processes killed at each step of a chat and of a purchase, and at random under load."""

import random
from collections.abc import Iterable
from datetime import timedelta
from functools import partial

import pytest
import requests

from app.models.base import utcnow
from app.models.catalog.plan import CreditPack, Plan
from app.models.identity.account import Account
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.models.metering.usage import Usage
from app.models.operations.webhook_event import StripeEvent
from devserver.ports import free_port
from tests.conftest import IS_LONG
from tests.faults.consistency import assert_whole
from tests.faults.environment import Stage
from tests.faults.load import Crowd, ask
from tests.faults.signed import deliver
from tests.faults.targets import Victims
from tests.support.running_app import await_that

pytestmark = pytest.mark.databases("postgresql")
MESSAGES = 32

STEPS_OF_A_CHAT = {
    "before app.models.metering.reservation:reserve_with": None,
    "after app.models.metering.reservation:reserve_with": "interrupted",
    "before app.generation.registry:begin": "interrupted",
    "before app.models.metering.reservation:settle_with": "interrupted",
    "after app.models.metering.reservation:settle_with": "done",
    "after app.generation.generation:Generation._settle_once": "done",
}
"""Where the web process is killed, and what becomes of the call; None: there never was one."""

AS_ANOTHER = {"before app.generation.registry:begin", "after app.generation.generation:Generation._settle_once"}
"""Where the database is as after the step before."""

STEPS_OF_A_PURCHASE = [
    "after app.stripe_api.requests:make_customer",
    "after app.models.billing.payment:Payment.begin",
    "after app.stripe_api.requests:checkout_of_pack",
]


def dying_webs(stage: Stage, steps: Iterable[str]) -> dict[str, str]:
    """For each step a second web process that dies at it: name and address."""
    ports: dict[str, str] = {}
    for step in steps:
        name = f"web.{free_port()}"
        while name in ports:  # a port that is free may be given twice
            name = f"web.{free_port()}"
        ports[name] = step
    for name, step in ports.items():
        port = name.partition(".")[2]
        there = {"PORT": port, "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}"}
        stage.running.start(name, crash=step, **there)
    urls = {name: f"http://127.0.0.1:{name.partition('.')[2]}" for name in ports}
    for name, url in urls.items():
        await_that(partial(is_there, url), 60, failing=partial(stage.running.log, name))
    return urls


def is_there(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=5).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False


def test_a_chat_that_dies_at_any_step_is_whole(stage: Stage) -> None:
    steps = {step: outcome for step, outcome in STEPS_OF_A_CHAT.items() if IS_LONG or step not in AS_ANOTHER}
    for number, (name, url) in enumerate(dying_webs(stage, steps).items()):
        assert ask(url, stage.person(f"peg{number}"), "hello") == "broken"
        assert stage.running.await_death(name) == -9
    assert_whole(stage, dead=[*steps.values()].count("interrupted"))

    for number, (step, outcome) in enumerate(steps.items()):
        call = only_call_of(stage, f"peg{number}")
        assert (call and call.outcome) == outcome, step
        assert call is None or (call.paid_nanos > 0) == (call.outcome == "done"), step


def only_call_of(stage: Stage, name: str) -> Usage | None:
    with stage.looking() as session:
        return session.query(Usage).filter_by(account_id=stage.account_of(name)).one_or_none()


@pytest.mark.long
def test_a_purchase_that_dies_at_any_step_is_credited_once(stage: Stage) -> None:
    with stage.looking() as session:
        options = {"pack_id": str(session.query(CreditPack).filter_by(price_cents=1000).one().id)}
    for number, (name, url) in enumerate(dying_webs(stage, STEPS_OF_A_PURCHASE).items()):
        headers = stage.person(f"pia{number}", credits=1)
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{url}/api/checkout", json=options, headers=headers, timeout=20)
        assert stage.running.await_death(name) == -9
        again = requests.post(f"{stage.running.url}/api/checkout", json=options, headers=headers, timeout=20)
        stage.sandbox.pay(again.json()["checkout_url"].rsplit("/", 1)[1])
    assert_whole(stage)
    assert [stage.credits_of(f"pia{number}") for number in range(len(STEPS_OF_A_PURCHASE))] == [5001] * 3


def test_an_event_whose_worker_dies_over_it_is_applied_soon(stage: Stage) -> None:
    """Its lease runs out, and the clock has it processed: nobody waits for Stripe to send it again."""
    stage.running.kill("worker")
    stage.running.start("worker", crash="before app.payments.webhook_handlers:react")
    assert deliver(stage, 1000) == 200
    assert stage.running.await_death("worker") == -9
    stage.running.start("worker")
    lose_its_lease(stage)
    await_that(lambda: states(stage) == {"done"}, 30)


def lose_its_lease(stage: Stage) -> None:
    """As after the ten seconds for which it is claimed."""
    with stage.looking() as session:
        event = session.query(StripeEvent).filter_by(state="received").one()
        assert utcnow() < event.next_try_at <= utcnow() + timedelta(seconds=10)
        event.next_try_at = utcnow()
        session.commit()


def states(stage: Stage) -> set[str]:
    with stage.looking() as session:
        return {event.state for event in session.query(StripeEvent)}


@pytest.mark.long
def test_processes_that_die_at_random_under_load_lose_nothing(stage: Stage) -> None:
    crowd, chance = Crowd(stage.running.url, stage.person("pete")), random.Random(7)  # noqa: S311
    victims = Victims(stage)
    crowd.ask(f"question {number}" for number in range(MESSAGES))
    for kind in chance.sample(list(victims.ways), len(victims.ways)):
        victims.kill(kind)
        crowd.await_more(2)
    ends = crowd.join()
    victims.bring_back()
    assert_whole(stage)
    assert ends["done"] > MESSAGES // 2, ends


def test_what_changes_in_mid_stream_does_not_stop_the_answer(stage: Stage) -> None:
    """A member is removed, the plan is retired, the account is closed: the answer that runs is finished and paid."""
    stage.provider.configure(tokens=60, delay=0.02)
    names = ("mia", "rita", "paul")
    crowds = [Crowd(stage.running.url, stage.person(name)) for name in names]
    with stage.looking() as session:
        session.get_one(Account, stage.account_of("rita")).plan = Plan(name="Old", status="active")
        session.commit()
    for crowd in crowds:
        crowd.ask(["hello"])
    await_that(lambda: stage.provider.active == 3, 20)
    with stage.looking() as session:
        session.query(Plan).filter_by(name="Old").one().status = "inactive"
        mia = session.query(User).filter_by(name="Mia").one()
        session.query(Membership).filter_by(user_id=mia.id).update({"role": "member"})
        mia.disable()
        session.get_one(Account, stage.account_of("paul")).close()
        session.commit()

    assert [crowd.join() for crowd in crowds] == [{"done": 1}] * 3
    assert_whole(stage)
    assert [ask(stage.running.url, crowd.headers, "more") for crowd in crowds] == ["401", "403", "401"]
