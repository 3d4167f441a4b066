"""An id in a body or a form is looked up like one in an address: another's is not found. security.md 1."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from app.api.openapi import document
from app.extensions import db
from app.models.chat.chat import Chat
from app.models.documents.document import Document
from app.models.identity.account import Account
from app.models.identity.user import User
from tests.auth.conftest import Browser
from tests.support import Database

FOR_ALL = {"plan_id", "pack_id"}
SENT: dict[tuple[str, str], dict[str, Any]] = {
    ("POST /api/chats", "document_id"): {"model": "gpt-test"},
    ("POST /api/chats", "attachments"): {"model": "gpt-test", "content": "hello"},
    ("PATCH /api/chats/{chat_id}", "document_id"): {},
    ("PATCH /api/chats/{chat_id}", "shown_message_id"): {},
    ("POST /api/chats/{chat_id}/messages", "document_id"): {"content": "hello"},
    ("POST /api/chats/{chat_id}/messages", "attachments"): {"content": "hello"},
    ("POST /api/images", "chat_id"): {"prompt": "a boat"},
    ("POST /api/images", "document_id"): {"prompt": "a boat"},
    ("POST /api/estimate", "chat_id"): {"content": "hello", "model": "gpt-test"},
    ("POST /api/estimate", "message_id"): {"model": "gpt-test"},
    ("POST /api/estimate", "document_id"): {"operation": "refine", "instructions": "shorter", "model": "gpt-test"},
    ("POST /api/estimate", "attachments"): {"content": "hello", "model": "gpt-test"},
}
"""What stands beside the id in each body that takes one."""

FORMS = {
    "/chat/{chat_id}/version": "message_id",
    "/chat/{chat_id}/settings": "document_id",
    "/account/switch": "account_id",
    "/support": "call_id",
}


@pytest.fixture
def hers(eve: Browser, session: Database) -> dict[str, int]:
    """A chat and a document of eve's own."""
    team = session.query(Account).filter_by(name="eve's team").one()
    own = {"account_id": team.id, "user_id": User.with_email("eve@example.com").id}
    rows = Chat(**own, title="mine", model="gpt-test"), Document(**own, title="mine")
    session.add_all(rows)
    session.commit()
    return {"chat_id": rows[0].id, "document_id": rows[1].id}


def taken(app: Flask) -> Iterator[tuple[str, str]]:
    """Each route of the API with each id that its body takes."""
    with app.test_request_context():
        described = document()
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            while "$ref" in body:
                body = described["components"]["schemas"][body["$ref"].rpartition("/")[2]]
            for name in body.get("properties", {}):
                if (name.endswith("_id") or name == "attachments") and name not in FOR_ALL:
                    yield f"{method.upper()} {path}", name


def test_every_id_that_a_body_takes_is_tried_here(app: Flask) -> None:
    assert set(taken(app)) == set(SENT)


def test_anothers_id_in_a_body_or_form_is_not_found(eve: Browser, adas: dict[str, Any], hers: dict[str, int]) -> None:
    for (route, name), besides in SENT.items():
        method, path = route.format(**hers).split()
        value = str(adas[{"attachments": "attachment_id", "shown_message_id": "message_id"}.get(name, name)])
        body = besides | {name: [value] if name == "attachments" else value}
        answer = eve.client.open(path, method=method, json=body, headers={"X-CSRFToken": eve.token()})
        assert answer.status_code in {400, 404}, (route, name, answer.text)
        assert "secret" not in answer.text.lower(), (route, name)
        if answer.status_code == 400:
            assert list(answer.json["errors"]) == [name], route
    ids = adas | {"account_id": db.session.query(Account).filter_by(name="ada's team").one().id}
    for path, name in FORMS.items():
        answer = eve.send(path.format(**hers), message="help", **{name: ids[name]})
        assert answer.status_code in {400, 404}, (path, answer.text)
        assert "secret" not in answer.text.lower(), path
