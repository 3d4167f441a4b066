"""The OpenAPI 3.1 description, made from the routes, and a page that shows it without foreign scripts."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from flask import Response, current_app, jsonify, render_template
from werkzeug.routing import Rule

from app.api.blueprint import api
from app.api.calls import STREAM
from app.api.schemas import EVENTS, TEXT, WHOLE, Operation, Schema, array
from app.web.access import public

VERSION = "1.0"
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
PROBLEM: Schema = {
    "title": "Problem",
    "type": "object",
    "description": "RFC 9457. `code` is stable; `detail` is for people. Refusals add what was needed and available.",
    "properties": {
        "type": TEXT,
        "status": WHOLE,
        "code": TEXT,
        "title": TEXT,
        "detail": TEXT,
        "errors": {"type": "object", "additionalProperties": array(TEXT)},
    },
    "required": ["type", "status", "code", "title", "detail"],
}
WORDS = """Sign in with `Authorization: Bearer <API key>`; a key acts on the account it was created in.
Amounts of usage come twice: `*_nanos` (whole nano-dollars of model cost) and `*_credits` (1 credit = 1,000,000
nanos). Money is `*_cents` with a `currency`. Times are ISO 8601 in UTC. What belongs to another account answers 404."""


@api.get("/openapi.json")
@public
def describe() -> Response:
    return jsonify(document())


@api.get("/docs")
@public
def show_description() -> str:
    described = document()
    return render_template("api/docs.html", description=described, sections=sections(described))


@cache
def document() -> dict[str, Any]:
    """The description of every route of the API, the same as long as the process runs."""
    shapes: dict[str, Schema] = {}
    paths: dict[str, dict[str, Any]] = {}
    for rule, method, operation in operations():
        path = PARAMETER.sub(r"{\1}", rule.rule)
        described = described_operation(rule, method, operation)
        paths.setdefault(path, {})[method.lower()] = referring(described, shapes)
    referring(PROBLEM, shapes)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tollgate", "version": VERSION, "description": WORDS},
        "security": [{"key": []}],
        "paths": paths,
        "components": {"schemas": shapes, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def operations() -> Iterator[tuple[Rule, str, Operation]]:
    """Each method of each route of the API that is described, by address."""
    for rule in sorted(current_app.url_map.iter_rules(), key=lambda rule: rule.rule):
        operation = getattr(current_app.view_functions[rule.endpoint], "operation", None)
        if operation is not None:
            yield from ((rule, method, operation) for method in methods_of(rule))


def methods_of(rule: Rule) -> list[str]:
    return sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})


def described_operation(rule: Rule, method: str, operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": f"{method.lower()}_{rule.endpoint.rpartition('.')[2]}",
        "parameters": [*parameters(rule, operation)],
        "responses": {str(status): answer_of(operation, body) for status, body in operation.answers.items()},
    }
    problem = {
        "description": "An error: `code` says which.",
        "content": {"application/problem+json": {"schema": PROBLEM}},
    }
    described["responses"] |= dict.fromkeys(("4XX", "502", "503"), problem)
    if operation.body:
        schema = operation.body.json_schema()
        described["requestBody"] = {
            "required": bool(schema["required"]),
            "content": {"application/json": {"schema": schema}},
        }
    return described


def parameters(rule: Rule, operation: Operation) -> Iterator[dict[str, Any]]:
    for name in PARAMETER.findall(rule.rule):
        yield {"name": name, "in": "path", "required": True, "schema": TEXT}
    for location, schemas in (("query", operation.query), ("header", operation.headers)):
        for name, schema in schemas.items():
            yield {"name": name, "in": location, "required": False, "schema": schema}


def answer_of(operation: Operation, body: Schema | None) -> dict[str, Any]:
    if body is None:
        return {"description": "Done."}
    content: dict[str, Any] = {operation.kind: {"schema": body}}
    if operation.also_as:
        content[operation.also_as] = {"schema": STREAM if operation.also_as == EVENTS else TEXT}
    return {"description": "Done.", "content": content}


def referring(value: Any, shapes: dict[str, Schema]) -> Any:
    """The value with each titled object put into `shapes`, and a reference in its place."""
    if isinstance(value, list):
        return [referring(item, shapes) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {key: referring(item, shapes) for key, item in value.items()}
    if not (isinstance(inner.get("title"), str) and inner.get("type") == "object"):
        return inner
    shapes[inner["title"]] = inner
    return {"$ref": f"#/components/schemas/{inner['title']}"}


def sections(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, address and operation of each route, for the page."""
    return [
        (method.upper(), path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
