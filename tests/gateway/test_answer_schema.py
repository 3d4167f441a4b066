"""The schema of an answer across formats: Claude takes other parts of it than OpenAI."""

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.gateway.conftest import ANTHROPIC_MODEL, OPENAI_MODEL, PATHS, Program, body_of
from tests.support.provider_server import ProviderServer

STEP = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "description": "Which"}}}
ASKED: dict[str, Any] = {
    "type": "object",
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "properties": {
        "place": {"type": ["string", "null"], "maxLength": 40, "pattern": "^(?=A)", "default": None},
        "kind": {"oneOf": [{"const": "sun"}, {"enum": ["rain"]}]},
        "steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}, "minItems": 1, "maxItems": 5},
        "day": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "cron"},
    },
    "required": ["place"],
    "$defs": {"Step": STEP},
}
HELD = {
    "type": "object",
    "properties": {
        "place": {"type": ["string", "null"], "description": '{"default": null, "maxLength": 40, "pattern": "^(?=A)"}'},
        "kind": {"anyOf": [{"const": "sun"}, {"enum": ["rain"]}]},
        "steps": {
            "type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Step"}, "description": '{"maxItems": 5}',
        },
        "day": {"type": "string", "format": "date"},
        "at": {"type": "string", "description": '{"format": "cron"}'},
    },
    "required": ["place"],
    "additionalProperties": False,
    "$defs": {
        "Step": {
            "type": "object",
            "properties": {"n": {"type": "integer", "description": 'Which {"minimum": 1}'}},
            "additionalProperties": False,
        },
    },
}  # fmt: skip
MAP = {"type": "object", "properties": {"days": {"type": "object", "additionalProperties": {"type": "integer"}}}}
TREE = {"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}}}
UNHELD: list[Any] = [MAP, TREE, {"type": "object"}, {"type": "array", "items": {}}, {"anyOf": [{"$ref": "#"}]}]


def ask(ada: Program, dialect: str, model: str, fields: dict[str, Any]) -> TestResponse:
    return ada.post(PATHS[dialect], body_of(dialect, model=model) | fields)


def asked_in(dialect: str, schema: Any) -> dict[str, Any]:
    if dialect == "messages":
        return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    named = {"name": "weather", "schema": schema}
    if dialect == "chat":
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    return {"text": {"format": {"type": "json_schema", **named}}}


@pytest.mark.parametrize("dialect", ["chat", "responses"])
def test_claude_is_held_to_what_it_takes_of_a_schema(ada: Program, provider: ProviderServer, dialect: str) -> None:
    """It refuses objects that are not closed, bounds of numbers and lengths, and what leads back to itself."""
    answer = ask(ada, dialect, ANTHROPIC_MODEL, asked_in(dialect, ASKED))
    assert answer.status_code == 200, answer.text
    assert provider.last["body"]["output_config"] == {"format": {"type": "json_schema", "schema": HELD}}
    for schema in UNHELD:
        assert ask(ada, dialect, ANTHROPIC_MODEL, asked_in(dialect, schema)).status_code == 200
        assert "output_config" not in provider.last["body"]
        assert json.dumps(schema, sort_keys=True) in provider.last["body"]["system"]


@pytest.mark.parametrize(
    ("changed", "is_strict"),
    [({}, True), ({"required": []}, False), ({"additionalProperties": True}, False), ({"allOf": [STEP]}, False)],
)
def test_openai_is_strict_only_where_no_field_may_be_left_out(
    ada: Program, provider: ProviderServer, changed: dict[str, Any], is_strict: bool
) -> None:
    closed = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    inner = {**closed, "additionalProperties": False, **changed}
    outer = {"type": "object", "properties": {"a": inner}, "required": ["a"], "additionalProperties": False}
    wanted = {"format": {"type": "json_schema", "schema": outer}}
    assert ada.call("messages", model=OPENAI_MODEL, output_config=wanted).status_code == 200
    sent = provider.last["body"]["response_format"]["json_schema"]
    assert (sent["schema"], sent["strict"]) == (outer, is_strict)
