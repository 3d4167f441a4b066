"""The contract check bites: each kind of wrong request, answer and event is refused, with its name."""

import copy
from typing import Any

import pytest
import stripe

from tests.sandbox.conftest import DONE, Shop
from tests.support.stripe_contract import check_answer, check_event, check_request, event_types

URL = "http://127.0.0.1"


def refused(verb: str, path: str, form: str) -> str:
    with pytest.raises(AssertionError) as caught:
        check_request(verb, URL + path, form)
    return str(caught.value)


@pytest.mark.parametrize(
    ("verb", "path", "form", "complaint"),
    [
        ("post", "/v1/customers", "emial=ada@example.com", "customer.create: emial: unknown parameter"),
        ("post", "/v1/payment_intents", "currency=usd", "amount: missing parameter"),
        ("post", "/v1/payment_intents", "currency=usd&amount=ten", "amount: 'ten' is not int"),
        ("post", "/v1/payment_intents", "currency=usd&amount=1000.0", "amount: '1000.0' is not int"),
        (
            "post",
            "/v1/payment_intents/pi_1/confirm",
            "payment_method_types[0]=card",
            "payment_method_types: unknown",
        ),
        (
            "post",
            "/v1/subscriptions/sub_1",
            "billing_cycle_anchor=now",
            "billing_cycle_anchor: 'now' is not an object",
        ),
        ("post", "/v1/subscriptions/sub_1", "cancel_at_period_end=yes", "'yes' is not bool"),
        ("post", "/v1/subscriptions/sub_1", "proration_behavior=always", "'always' is not one of"),
        ("post", "/v1/subscriptions/sub_1", "items[0][prize]=price_1", "items[0].prize: unknown parameter"),
        ("post", "/v1/subscriptions/sub_1", "items=price_1", "items: 'price_1' is not a list"),
        ("post", "/v1/subscriptions/sub_1", "metadata[a][b]=1", "metadata.a: {'b': '1'} is not str"),
        ("post", "/v1/subscriptions/sub_1", "expand[0]=latest_invoice.payment_intent", "cannot be expanded"),
        ("get", "/v1/invoices?expand[0]=data.charge", "", "cannot be expanded at 'charge'"),
        ("get", "/v1/invoices?status=payed", "", "status: 'payed' is not one of"),
        ("post", "/v1/checkout/sessions", "mode=payment&ui_mode=hosted", "ui_mode: 'hosted' is not one of"),
        ("post", "/v1/invoices/upcoming", "proration=1", "proration: unknown parameter"),
        ("get", "/v1/subscription", "", "Stripe has no operation GET /v1/subscription"),
        ("delete", "/v1/payment_intents/pi_1", "", "Stripe has no operation DELETE"),
    ],
)
def test_a_request_that_stripe_would_not_know_is_refused(verb: str, path: str, form: str, complaint: str) -> None:
    assert complaint in refused(verb, path, form)


@pytest.mark.parametrize(
    ("verb", "path", "form", "operation"),
    [
        ("post", "/v1/subscriptions/sub_1", "billing_cycle_anchor[type]=now", "subscription.update"),
        ("post", "/v1/subscriptions/sub_1", "metadata=&default_source=", "subscription.update"),
        ("post", "/v1/subscriptions/sub_1", "trial_end=now", "subscription.update"),
        ("get", "/v1/invoices?expand[0]=data.payments.data.payment.payment_intent", "", "invoice.list"),
        ("get", "/v1/events?created[gte]=1&types[0]=invoice.paid", "", "event.list"),
    ],
)
def test_a_request_that_stripe_knows_passes(verb: str, path: str, form: str, operation: str) -> None:
    assert check_request(verb, URL + path, form).name == operation


def test_the_sdk_cannot_send_a_wrong_parameter_through_the_client(shop: Shop) -> None:
    wrong: Any = {"mode": "payment", "success_url": DONE, "payment_method_types": ["card"]}
    with pytest.raises(AssertionError, match=r"session\.create: payment_method_types: unknown parameter"):
        shop.api.checkout.sessions.create(wrong)


CUSTOMER: dict[str, Any] = {"id": "cus_1", "object": "customer", "created": 1, "livemode": False}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"livemode": None}, "livemode: None is not bool"),
        ({"created": "1"}, "created: '1' is not int"),
        ({"created": True}, "created: True is not int"),
        ({"plan": "gold"}, "plan: unknown field of Customer"),
        ({"tax_exempt": "some"}, "tax_exempt: 'some' is not one of"),
        ({"metadata": {"account_id": 7}}, "metadata.account_id: 7 is not str"),
        ({"address": {"street": "x"}}, "address.street: unknown field of Address"),
        ({"discount": {"object": "customer"}}, "object 'customer' is not a Discount"),
        ({"object": "client"}, "object: 'client' is not one of"),
    ],
)
def test_an_answer_with_a_wrong_field_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_answer(check_request("get", f"{URL}/v1/customers/cus_1", None), {**CUSTOMER, **change}, 200)
    assert complaint in str(caught.value)


def test_an_answer_without_a_field_that_is_always_there_is_refused() -> None:
    called = check_request("get", f"{URL}/v1/customers/cus_1", None)
    with pytest.raises(AssertionError, match="created: missing field of Customer"):
        check_answer(called, {name: value for name, value in CUSTOMER.items() if name != "created"}, 200)


def test_a_list_must_be_a_list_object() -> None:
    with pytest.raises(AssertionError, match="has_more: missing or mistyped"):
        check_answer(check_request("get", f"{URL}/v1/customers", None), {"object": "list", "data": [], "url": ""}, 200)


def test_an_expanded_object_is_held_to_its_own_class() -> None:
    called = check_request("get", f"{URL}/v1/payment_methods/pm_1", None)
    with pytest.raises(AssertionError, match="customer: object 'product' is not a Customer"):
        check_answer(called, {"customer": {**CUSTOMER, "object": "product"}}, 200)


def test_an_error_with_an_invented_field_is_refused() -> None:
    called = check_request("get", f"{URL}/v1/prices/price_1", None)
    with pytest.raises(AssertionError, match=r"error\.reason: unknown field"):
        check_answer(called, {"error": {"type": "card_error", "reason": "x"}}, 402)


@pytest.fixture
def event(shop: Shop) -> dict[str, Any]:
    result: dict[str, Any] = shop.api.events.list({"type": "customer.created"}).data[0].to_dict(for_json=True)
    return result


def test_an_event_of_the_sandbox_fits(event: dict[str, Any]) -> None:
    check_event(event)
    assert event["type"] in event_types()


@pytest.mark.parametrize("kind", ["customer.made", "invoice.paid"])
def test_an_event_of_an_unknown_type_or_about_something_else_is_refused(event: dict[str, Any], kind: str) -> None:
    with pytest.raises(AssertionError):
        check_event({**event, "type": kind})


def test_an_event_whose_object_is_not_of_its_class_is_refused(event: dict[str, Any]) -> None:
    broken = copy.deepcopy(event)
    broken["data"]["object"]["balance"] = "0"
    with pytest.raises(AssertionError, match=r"data\.object\.balance: '0' is not int"):
        check_event(broken)


def test_the_contract_is_that_of_the_installed_wheel(shop: Shop) -> None:
    assert shop.api.customers.retrieve(shop.customer.id).last_response is not None
    assert stripe.api_version == "2026-10-28.endive"
