"""The description: complete, valid, and the page that shows it."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from app.api.openapi import PARAMETER, methods_of
from tests.chat.conftest import Door

UNDESCRIBED = {"api.describe", "api.show_description"}
INTERFACE = """
POST /api/chats
GET /api/chats
GET /api/chats/{chat_id}
PATCH /api/chats/{chat_id}
DELETE /api/chats/{chat_id}
POST /api/chats/{chat_id}/messages
POST /api/messages/{message_id}/stop
POST /api/messages/{message_id}/regenerate
PUT /api/messages/{message_id}
GET /api/messages/{message_id}/stream
POST /api/estimate
POST /api/keys
GET /api/keys
DELETE /api/keys/{key_id}
GET /api/models
GET /api/balance
GET /api/usage/chat/{chat_id}
GET /api/usage
GET /api/usage/calls/{call_id}
GET /api/transactions
GET /api/plans
GET /api/packs
GET /api/subscription
POST /api/subscription
PATCH /api/subscription
DELETE /api/subscription
GET /api/subscription/usage
POST /api/checkout
GET /api/auto-recharge
PUT /api/auto-recharge
"""


@pytest.fixture
def description(client: FlaskClient) -> dict[str, Any]:
    return dict(client.get("/api/openapi.json").json)


def test_every_call_of_the_interface_is_described(description: dict[str, Any]) -> None:
    described = {f"{method.upper()} {path}" for path, methods in description["paths"].items() for method in methods}

    assert set(INTERFACE.strip().splitlines()) <= described


def test_every_route_of_the_api_is_described(app: Flask, description: dict[str, Any]) -> None:
    missing = [
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/") and rule.endpoint not in UNDESCRIBED
        for method in methods_of(rule)
        if method.lower() not in description["paths"].get(PARAMETER.sub(r"{\1}", rule.rule), {})
    ]

    assert missing == []


def test_every_shape_is_a_valid_schema_and_every_reference_leads_somewhere(
    description: dict[str, Any],
) -> None:
    shapes = description["components"]["schemas"]
    for schema in shapes.values():
        Draft202012Validator.check_schema(schema)

    assert set(re.findall(r"#/components/schemas/(\w+)", str(description))) <= set(shapes)


def test_amounts_are_written_without_a_sign_and_read_with_one(description: dict[str, Any]) -> None:
    """A balance may be a debt; nobody can set one."""
    shapes = description["components"]["schemas"]
    sent, shown = str(shapes["NewChat"]["properties"]["budget_credits"]), str(shapes["Balance"])
    assert (r"^\\d+(" in sent, "-?" in sent, "-?" in shown) == (True, False, True)


def test_two_operations_never_share_an_id(description: dict[str, Any]) -> None:
    ids = [operation["operationId"] for methods in description["paths"].values() for operation in methods.values()]

    assert len(ids) == len(set(ids))


def test_the_page_shows_every_call_and_loads_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/api/docs")
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert page.status_code == 200
    assert [line for line in INTERFACE.strip().splitlines() if line not in page.text] == []
    assert [source for source in sources if not source.startswith(("/", "#"))] == []


def test_a_body_of_no_json_is_refused_in_the_described_form(ada: Door) -> None:
    for sent in (b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"name": NaN'):
        answer = ada.call("POST", "/chats", data=sent, content_type="application/json")
        assert (answer.status_code, answer.json["errors"].keys()) == (400, {"body"})


def test_an_unknown_address_and_method_answer_problems(ada: Door) -> None:
    answers = [ada.call("GET", "/nowhere"), ada.call("POST", "/balance")]

    assert [(answer.status_code, answer.json["code"]) for answer in answers] == [
        (404, "not_found"),
        (405, "method_not_allowed"),
    ]
    assert {answer.mimetype for answer in answers} == {"application/problem+json"}
