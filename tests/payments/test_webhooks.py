"""The webhook's door: what Stripe signed is stored, whatever else comes is refused and leaves no row."""

import json
import time
from typing import Any

import pytest
import redis
import stripe
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.jobs import QUEUE
from app.models.operations.webhook_event import RETRIES, StripeEvent
from tests.payments.stripe_scenario import StripeScenario
from tests.support.running_sandbox import SECRET

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")

EVENT: dict[str, Any] = {
    "id": "evt_1",
    "object": "event",
    "type": "payment_intent.created",
    "livemode": False,
    "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
}


def send(client: FlaskClient, body: str | bytes, *, secret: str = SECRET, at: float | None = None) -> TestResponse:
    raw = body if isinstance(body, bytes) else body.encode()
    text = raw.decode("utf-8", "surrogateescape")
    moment = int(at or time.time())
    signature = stripe.WebhookSignature._compute_signature
    try:
        signed = signature(f"{moment}.{text}", secret)
    except UnicodeEncodeError:
        signed = "0" * 64
    return client.post("/webhooks/stripe", data=raw, headers={"Stripe-Signature": f"t={moment},v1={signed}"})


def stored(scenario: StripeScenario) -> int:
    return len(scenario.events("received"))


def test_a_signed_event_is_stored_again_and_again_as_one(client: FlaskClient, scenario: StripeScenario) -> None:
    answers = [send(client, json.dumps(EVENT)).status_code for _ in range(3)]
    assert (answers, stored(scenario)) == ([200, 200, 200], 1)


def test_a_stored_event_is_rung_for_at_once(client: FlaskClient, scenario: StripeScenario, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as connection:
        before = connection.llen(f"rq:queue:{QUEUE}")
        send(client, json.dumps(EVENT))
        assert connection.llen(f"rq:queue:{QUEUE}") == before + 1


@pytest.mark.parametrize(
    "body",
    [
        "null",
        "[]",
        "{}",
        '"text"',
        "not json",
        "1",
        b"\xff\xfe",
        json.dumps(EVENT | {"livemode": True}),
        json.dumps(EVENT | {"data": None}),
    ],
)
def test_what_is_no_event_of_ours_is_400_though_signed(
    client: FlaskClient, scenario: StripeScenario, body: str
) -> None:
    assert (send(client, body).status_code, stored(scenario)) == (400, 0)


def test_a_wrong_secret_is_400(client: FlaskClient, scenario: StripeScenario) -> None:
    assert (send(client, json.dumps(EVENT), secret="whsec_other").status_code, stored(scenario)) == (400, 0)


def test_an_old_signature_is_400(client: FlaskClient, scenario: StripeScenario) -> None:
    answer = send(client, json.dumps(EVENT), at=time.time() - 3600)
    assert (answer.status_code, stored(scenario)) == (400, 0)


@pytest.mark.parametrize("header", [None, "", "t=1", "v1=abc", "t=x,v1=y", "t=1,v1", "=,="])
def test_a_missing_or_broken_signature_is_400(
    client: FlaskClient, scenario: StripeScenario, header: str | None
) -> None:
    headers = {} if header is None else {"Stripe-Signature": header}
    answer = client.post("/webhooks/stripe", data=json.dumps(EVENT), headers=headers)
    assert (answer.status_code, stored(scenario)) == (400, 0)


def test_five_megabytes_are_413(client: FlaskClient, scenario: StripeScenario) -> None:
    assert (send(client, "x" * 5 * 1024 * 1024).status_code, stored(scenario)) == (413, 0)


def test_both_secrets_of_a_rotation_are_valid(client: FlaskClient, scenario: StripeScenario) -> None:
    client.application.config["STRIPE_WEBHOOK_SECRETS"] = ["whsec_new", SECRET]
    answers = [send(client, json.dumps(EVENT), secret=secret).status_code for secret in ("whsec_new", SECRET)]
    assert answers == [200, 200]


def test_only_ids_of_an_event_are_kept(client: FlaskClient, scenario: StripeScenario) -> None:
    told = {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 10**9,
        "customer": "cus_1",
        "status": "succeeded",
    }
    send(client, json.dumps(EVENT | {"data": {"object": told}}))
    assert scenario.last(StripeEvent).about == {"id": "pi_1", "object": "payment_intent", "customer": "cus_1"}


def test_an_event_that_was_stored_without_a_queue_is_swept(client: FlaskClient, scenario: StripeScenario) -> None:
    session_id = scenario.begin_pack()
    scenario.sandbox.pay(session_id)
    for event in scenario.sandbox.running.sandbox.store.all("event"):
        assert send(client, json.dumps({**EVENT, **{k: event[k] for k in ("id", "type", "data")}})).status_code == 200
    scenario.make_events_due()
    scenario.work()
    assert scenario.credits == 5000


def test_an_unknown_type_is_done_without_a_look(scenario: StripeScenario) -> None:
    scenario.receive("some.new_type", {"id": "x_1"})
    assert scenario.last(StripeEvent).state == "done"


def test_an_event_whose_look_fails_is_tried_again_later(scenario: StripeScenario) -> None:
    scenario.sandbox.control("faults", fault="error_before", path="/v1/checkout/*", method="GET", count=9)
    scenario.receive("checkout.session.completed", {"id": "cs_1"})
    event = scenario.last(StripeEvent)
    assert (event.state, event.attempts) == ("received", 1)
    assert "no answer from Stripe" in event.error


def test_an_event_that_kills_its_worker_is_given_up(scenario: StripeScenario) -> None:
    scenario.receive("some.new_type", {"id": "x_1"})
    event = scenario.last(StripeEvent)
    event.reopen()
    event.attempts = RETRIES.most
    scenario.commit()
    assert scenario.process(event.stripe_id).state == "failed"
