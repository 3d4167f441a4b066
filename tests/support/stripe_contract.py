"""Refuses any request to Stripe, answer and event that the installed stripe wheel does not describe."""

import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, get_args
from urllib.parse import parse_qsl, urlsplit

import stripe
from stripe.params._webhook_endpoint_create_params import WebhookEndpointCreateParams

from sandbox.params import parse_form
from tests.support import direct, stripe_schema
from tests.support.stripe_operations import Operation, operation

OBJECTS_OF_EVENTS = {
    "customer.subscription": "subscription",
    "charge.dispute": "dispute",
    "charge.refund.updated": "refund",
    "setup_intent": "setup_intent",
}


ALL_OF_THE_FIRST, ONE_IN = 30, 5


class ContractClient(stripe.HTTPClient):
    """A StripeClient's `http_client`: passes on what fits the contract, raises AssertionError for the rest."""

    name = "contract"
    answers: ClassVar[Counter[str]] = Counter()
    """How many there were in this process, by operation: of many alike a part is looked at."""

    def __init__(self, inner: stripe.HTTPClient | None = None) -> None:
        super().__init__()
        self._inner = inner or stripe.RequestsClient(timeout=(5, 30))

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any
    ) -> tuple[str, int, Mapping[str, str]]:
        called = check_request(method, url, post_data)
        here = direct.at(url)
        asked = (method, url, headers, post_data)
        body, status, answer_headers = direct.ask(here, *asked) if here else self._inner.request(*asked)
        self.answers[called.name] += 1
        if self.answers[called.name] <= ALL_OF_THE_FIRST or self.answers[called.name] % ONE_IN == 0:
            check_answer(called, json.loads(body), status)
        return body, status, answer_headers

    def _sleep_time_seconds(self, num_retries: int, response: Any = None) -> float:
        """Between two tries; the package's half a second and more would be most of what a test of faults takes."""
        return 0.01

    def close(self) -> None:
        self._inner.close()


def check_request(method: str, url: str, post_data: str | None) -> Operation:
    """The operation that a request is; AssertionError naming it and the parameter where it does not fit."""
    parts = urlsplit(url)
    called = operation(method, parts.path)
    if called is None:
        raise AssertionError(f"Stripe has no operation {method.upper()} {parts.path}")
    sent = parse_form(parse_qsl(parts.query or post_data or "", keep_blank_values=True))
    refuse(called.name, request_problems(called, sent))
    return called


def request_problems(called: Operation, sent: dict[str, Any]) -> list[str]:
    if called.params is None:
        return [f"{name}: unknown parameter" for name in sent]
    lines = stripe_schema.problems(sent, called.params, "")
    asked = sent.get("expand")
    return lines + (expand_problems(called, asked) if isinstance(asked, list) else [])


def expand_problems(called: Operation, paths: list[str]) -> list[str]:
    lines = []
    for path in paths:
        inside = path.removeprefix("data.") if called.is_list else path
        lines += stripe_schema.expand_problems(inside, called.answer_class)
    return lines


def check_answer(called: Operation, answer: Any, status: int) -> None:
    """AssertionError where the answer, or the error, is not what the operation's class describes."""
    if status >= 400:
        refuse(f"{called.name} ({status})", error_problems(answer))
        return
    refuse(f"{called.name} answer", answer_problems(called, answer))


def answer_problems(called: Operation, answer: Any) -> list[str]:
    if called.is_list or called.answer.startswith("SearchResultObject["):
        return stripe_schema.list_object_problems(answer, called.answer_class, "")
    return stripe_schema.resource_problems(answer, called.answer_class, "")


def error_problems(answer: Any) -> list[str]:
    if not isinstance(answer, dict) or set(answer) != {"error"}:
        return [f"{answer!r} is not an error"]
    known = stripe_schema.fields(stripe.ErrorObject) | {"request_log_url": str}
    lines = [f"error.{name}: unknown field" for name in answer["error"] if name not in known]
    for name in answer["error"].keys() & known.keys():
        lines += stripe_schema.problems(answer["error"][name], known[name], f"error.{name}")
    return lines


def check_event(payload: dict[str, Any]) -> None:
    """AssertionError where a webhook's payload is not an event, or its object not of its class."""
    lines = stripe_schema.resource_problems(payload, stripe.Event, "")
    kind, thing = payload.get("type", ""), payload.get("data", {}).get("object", {})
    if kind not in event_types():
        lines.append(f"type: {kind!r} is not an event of Stripe's")
    # `customer.subscription.deleted` -> `subscription`, `invoice.paid` -> `invoice`.
    known = [name for prefix, name in OBJECTS_OF_EVENTS.items() if kind.startswith(prefix)]
    if thing.get("object") != (known[0] if known else kind.rpartition(".")[0]):
        lines.append(f"data.object: {thing.get('object')!r} is not what {kind} is about")
    cls = stripe_schema.class_of(thing.get("object"))
    if cls is not None:
        lines += stripe_schema.resource_problems(thing, cls, "data.object")
    refuse(f"event {kind}", lines)


@cache
def event_types() -> frozenset[str]:
    hints = stripe_schema.parameters(WebhookEndpointCreateParams)
    choices = [word for choice in get_args(hints["enabled_events"]) for word in words_in(choice)]
    return frozenset(choices) - {"*"}


def words_in(hint: Any) -> list[str]:
    if isinstance(hint, str):
        return [hint]
    return [word for inner in get_args(hint) for word in words_in(inner)]


def refuse(what: str, lines: list[str]) -> None:
    if lines:
        raise AssertionError(f"{what}: " + "; ".join(sorted(lines)[:12]))
