"""The doors of tests/chat, and a check of every answer against the API's own description."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, request
from jsonschema import Draft202012Validator, FormatChecker

from app.api.openapi import PARAMETER, document
from app.extensions import db
from app.models.account import Account
from app.models.membership import Membership
from app.models.user import User
from tests.chat.conftest import Door, ada, door, environment, provider
from tests.support import people

__all__ = ["ada", "door", "environment", "provider"]


@pytest.fixture(autouse=True)
def answers_as_described(app: Flask) -> Iterator[list[str]]:
    """Each answer of the API in the test is of a status, a media type and a shape that the description names."""
    with app.app_context():
        described = document()
    problems: list[str] = []

    def check(response: Response) -> Response:
        if (
            request.url_rule is not None
            and request.endpoint.startswith("api.")
            and request.method != "OPTIONS"
        ):
            problems.extend(deviations(described, response))
        return response

    app.after_request_funcs[None].append(check)
    yield problems
    assert problems == []


def deviations(described: dict[str, Any], response: Response) -> list[str]:
    """What is not as the description says, one line each."""
    path = PARAMETER.sub(r"{\1}", request.url_rule.rule)
    operation = described["paths"].get(path, {}).get(request.method.lower().replace("head", "get"))
    if operation is None:
        return (
            []
            if path in {"/api/openapi.json", "/api/docs"}
            else [f"{request.method} {path} is not described"]
        )
    status = str(response.status_code)
    answer = operation["responses"].get(status) or operation["responses"].get(f"{status[0]}XX")
    if answer is None:
        return [f"{request.method} {path} answered {status}, which is not described"]
    if not answer.get("content"):
        return [f"{path}: a body where none is described"] if response.data else []
    media = answer["content"].get(response.mimetype) or answer["content"].get("*/*")
    if media is None:
        return [f"{path} {status} came as {response.mimetype}"]
    return mistakes(media["schema"], described, response) if response.is_json else []


def mistakes(schema: dict[str, Any], described: dict[str, Any], response: Response) -> list[str]:
    validator = Draft202012Validator(
        schema | {"components": described["components"]}, format_checker=FormatChecker()
    )
    return [
        f"{request.path}: {error.message} at {error.json_path}"
        for error in validator.iter_errors(response.json)
    ]


@pytest.fixture
def member_door(client: Any) -> Callable[..., Door]:
    """`member_door(account_id, "bob")`: a key of a new member of an account; it acts on that account."""

    def of(account_id: int, name: str, role: str = "member") -> Door:
        person = people.person(name)
        account = db.session.get_one(Account, account_id)
        user = db.session.get_one(User, person.memberships[0].user_id)
        db.session.add(Membership(account=account, user=user, role=role))
        _key, secret = people.ApiKey.make(account_id, user.id, "tests")
        db.session.commit()
        return Door(client, secret)

    return of
