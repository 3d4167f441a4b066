"""The job that processes stored events: all that wait, none held up by another, each taken by one worker."""

from threading import Thread

import pytest
from flask import Flask

from app.jobs import QUEUE, connect
from app.payments import jobs, webhook_events
from app.payments.webhook_handlers import REACTIONS
from app.stripe_api.client import Notice
from tests.payments.stripe_scenario import StripeScenario
from tests.payments.test_parallel import at_once

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("postgresql",))


def receive(*kinds: str) -> None:
    """Events as the webhook's door stores them; what they rang for is taken away."""
    for number, kind in enumerate(kinds):
        webhook_events.store(Notice(f"evt_{number}", kind, {"id": "x_1"}))
    connect().delete(f"rq:queue:{QUEUE}")


def enqueued() -> int:
    return connect().llen(f"rq:queue:{QUEUE}")


def test_one_job_processes_all_that_wait(scenario: StripeScenario) -> None:
    receive(*["some.new_type"] * 3)
    assert (jobs.process_events(), enqueued()) == (3, 0)
    assert len(scenario.events("done")) == 3


def test_an_event_that_breaks_its_job_leaves_the_others_to_the_next(
    scenario: StripeScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REACTIONS, "some.broken_type", lambda about: 1 / 0)
    receive("some.broken_type", "some.new_type")
    with pytest.raises(ZeroDivisionError):
        jobs.process_events()
    assert enqueued() == 1
    assert jobs.process_events() == 1
    assert [event.type for event in scenario.events("done")] == ["some.new_type"]
    assert [event.error for event in scenario.events("received")] == ["ZeroDivisionError"]


def test_a_flood_of_events_leaves_other_jobs_their_turn(
    scenario: StripeScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_events, "TURN", 0.0)
    receive("some.new_type")
    assert (jobs.process_events(), enqueued(), len(scenario.events("received"))) == (0, 1, 1)


@pytest.mark.databases("postgresql")
def test_events_are_shared_out_among_workers(scenario: StripeScenario, app: Flask) -> None:
    receive(*["some.new_type"] * 20)
    at_once(app, [(webhook_events.process_next,)] * 20)
    assert {event.attempts for event in scenario.events("done")} == {1}
    assert scenario.events("received") == []


def test_of_many_that_are_stored_while_one_enqueues_one_waits_and_enqueues_for_all(
    scenario: StripeScenario, app: Flask
) -> None:
    def store(number: int) -> Thread:
        def stored() -> None:
            with app.app_context():
                webhook_events.store(Notice(f"evt_{number}", "some.new_type", {"id": "x_1"}))

        thread = Thread(target=stored)
        thread.start()
        return thread

    with webhook_events.ENQUEUES:
        first = store(0)
        first.join(0.3)
        others = [store(number) for number in range(1, 4)]
        for thread in others:
            thread.join(5)
        assert [thread.is_alive() for thread in [first, *others]] == [True, False, False, False]
        assert (len(scenario.events("received")), enqueued()) == (4, 0)
    first.join()
    assert enqueued() == 1
