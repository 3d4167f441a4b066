"""Signed-in people at the door of the admin: an owner, a support, and ada who is neither."""

from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.extensions import db
from app.models.identity.account import Account
from app.models.identity.user import User, UserSession
from tests.support import Database, people
from tests.support.client import form_token
from tests.support.people import CREDIT


class FormReader(HTMLParser):
    """The controls of the page's forms as a browser would send them, by the form's action."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, Any]]] = []
        self.select: tuple[str, list[str], str | list[str] | None] | None = None
        self.area: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        marks = dict(attrs)
        name = marks.get("name")
        if tag == "form":
            self.forms.append((marks.get("action") or "", {}))
        elif tag == "input" and name and self.forms and "disabled" not in marks:
            if marks.get("type") != "checkbox" or "checked" in marks:
                self.put(name, marks.get("value") or ("y" if marks.get("type") == "checkbox" else ""))
        elif tag == "textarea" and name:
            self.area = name
            self.put(name, "")
        elif tag == "select" and name and "disabled" not in marks:
            self.select = (name, [], [] if "multiple" in marks else None)
        elif tag == "option" and self.select:
            name, chosen, first = self.select
            value = marks.get("value") or ""
            chosen += [value] if "selected" in marks else []
            self.select = (name, chosen, value if first is None else first)

    def handle_data(self, text: str) -> None:
        if self.area:
            self.put(self.area, self.forms[-1][1][self.area] + text)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self.area = None
        if tag == "select" and self.select:
            name, chosen, first = self.select
            self.put(name, chosen[0] if len(chosen) == 1 else (chosen or ([] if first is None else first)))
            self.select = None

    def put(self, name: str, value: Any) -> None:
        if self.forms:
            self.forms[-1][1][name] = value


class AdminClient:
    """One signed-in browser in the admin."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str, **options: Any) -> Any:
        return self.client.get(path, **options)

    def token(self) -> str:
        return form_token(self.client)

    def post(self, path: str, **fields: Any) -> Any:
        """A POST with the form token, as a page's own form sends it."""
        return self.client.post(path, data={"csrf_token": self.token(), **fields})

    def form(self, path: str) -> dict[str, Any]:
        """What the page's sheet would send if nobody typed anything."""
        page = self.client.get(path)
        assert page.status_code == 200, (path, page.status_code)
        return next(fields for action, fields in FormReader(page.text).forms if "reason" in fields)

    def fill(self, path: str, **typed: Any) -> Any:
        """Open the page's form, type, and send it."""
        return self.send(path, self.form(path) | typed)

    def send(self, path: str, fields: dict[str, Any]) -> Any:
        """A form that was read before."""
        return self.client.post(path, data={name: value for name, value in fields.items() if value is not None})


def at_field(page: str, name: str) -> str:
    """What a page shows of one field: its label, its control, its errors."""
    return page.partition(f'data-field="{name}"')[2].partition('class="field')[0]


def sign_in(client: FlaskClient, user: User) -> None:
    secret = UserSession.begin(user, user.memberships[0].account_id)
    db.session.commit()
    with client.session_transaction() as cookie:
        cookie["_user_id"], cookie["_fresh"] = secret, True


@pytest.fixture
def ada(session: Database) -> Account:
    """ada's account, with 100 credits."""
    account = people.person("ada", credits=100 * CREDIT)
    session.commit()
    return account


@pytest.fixture
def client_of(app: Flask, session: Database) -> Iterator[Callable[..., AdminClient]]:
    """`client_of("owner")`, `client_of("support")`, `client_of(None)`: a new person of that role, signed in."""

    def of(role: str | None) -> AdminClient:
        account = people.person(f"person-{role or 'nobody'}")
        user = account.memberships[0].user
        user.admin_role = role
        client = app.test_client()
        sign_in(client, user)
        return AdminClient(client)

    return of


@pytest.fixture
def owner(client_of: Callable[..., AdminClient]) -> AdminClient:
    return client_of("owner")


@pytest.fixture
def support(client_of: Callable[..., AdminClient]) -> AdminClient:
    return client_of("support")
