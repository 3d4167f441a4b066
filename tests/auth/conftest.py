"""Browsers without a screen: they keep cookies, read form tokens, follow links in mails."""

import re
from collections.abc import Callable

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models.identity import password
from tests.admin.conftest import sign_in
from tests.support import Database, people
from tests.support.client import form_token
from tests.support.mailbox import Mailbox, body_of
from tests.support.people import PASSWORD
from tests.support.queue import work_off

LINK = re.compile(r"http://127\.0\.0\.1(/\S+)")


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2id at its cheapest; what production stores is tested in `test_passwords.py`."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(password, "HASHER", cheap)
    monkeypatch.setattr(password, "NOBODYS_HASH", cheap.hash("nobody's"))


class Browser:
    """A person's browser: `send` posts a form as the page would."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str, **options: object) -> TestResponse:
        return self.client.get(path, **options)

    def token(self) -> str:
        return form_token(self.client)

    def send(self, path: str, **fields: object) -> TestResponse:
        return self.client.post(path, data={"csrf_token": self.token()} | fields)

    def sign_in(self, name: str, word: str = PASSWORD) -> TestResponse:
        return self.send("/login", email=f"{name}@example.com", password=word)

    def sign_up(self, name: str, **fields: object) -> TestResponse:
        form = {"email": f"{name}@example.com", "password": PASSWORD, "name": name.title()} | fields
        return self.send("/signup", **form)

    @property
    def is_signed_in(self) -> bool:
        return self.get("/settings").status_code == 200


@pytest.fixture
def new_browser(app: Flask) -> Callable[[], Browser]:
    """`new_browser()`: one without cookies."""
    return lambda: Browser(app.test_client())


@pytest.fixture
def guest(new_browser: Callable[[], Browser]) -> Browser:
    return new_browser()


@pytest.fixture
def signed_in(new_browser: Callable[[], Browser], session: Database) -> Callable[..., Browser]:
    """`signed_in("ada")`: a new person, in a browser of their own, whose session began without the form."""

    def enter(name: str, **details: object) -> Browser:
        person, own = people.person(name, **details), new_browser()
        sign_in(own.client, person.owner)
        with own.client.session_transaction() as cookie:
            cookie.permanent = True
        return own

    return enter


@pytest.fixture
def post_office(app: Flask, mailbox: Mailbox) -> "PostOffice":
    return PostOffice(app, mailbox)


class PostOffice:
    """Has the worker send what was posted, and reads it."""

    def __init__(self, app: Flask, mailbox: Mailbox) -> None:
        self.app, self.mailbox = app, mailbox

    def mails_to(self, address: str) -> list[str]:
        """The texts of the mails to that address, oldest first, once the queue is empty."""
        work_off(self.app)
        return [body_of(mail) for mail in self.mailbox.to(address)]

    def link_to(self, address: str) -> str:
        """The path of the first link in the newest mail."""
        return LINK.search(self.mails_to(address)[-1])[1]
