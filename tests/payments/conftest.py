"""The app with the sandbox as its Stripe, every call between them held to the contract."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models.identity.user import User
from tests.admin.conftest import sign_in
from tests.auth.conftest import quick_passwords
from tests.payments.published import publish_all
from tests.payments.stripe_scenario import StripeScenario
from tests.support import Database, people
from tests.support.client import form_token
from tests.support.environment import app_environment
from tests.support.mailbox import Mailbox
from tests.support.running_sandbox import SECRET, StartedSandbox
from tests.support.stripe_contract import ContractClient

__all__ = ["quick_passwords"]


@pytest.fixture
def sandbox() -> Iterator[StartedSandbox]:
    started = StartedSandbox()
    yield started
    started.stop()


@pytest.fixture
def environment(database_url: str, redis_url: str, mailbox: Mailbox, sandbox: StartedSandbox) -> dict[str, str]:
    return app_environment(
        DATABASE_URL=database_url,
        REDIS_URL=redis_url,
        MAIL_URL=mailbox.url,
        STRIPE_SECRET_KEY="sk_test_sandbox",
        STRIPE_API_BASE=sandbox.url,
        STRIPE_WEBHOOK_SECRET=SECRET,
    )


@pytest.fixture
def app(app: Flask) -> Flask:
    app.extensions["stripe_http"] = ContractClient()
    return app


@pytest.fixture
def published(app: Flask, session: Database, sandbox: StartedSandbox) -> None:
    """Stripe knows all plans and packs; overridden where telling it is what the tests are about."""
    publish_all(sandbox.running.sandbox)


@pytest.fixture
def scenario(app: Flask, session: Database, published: None, sandbox: StartedSandbox) -> StripeScenario:
    """Ada, her account on the Pay-as-you-go plan, and what she and Stripe do."""
    return StripeScenario(sandbox)


class CustomerClient:
    """Ada's browser and her programs, at the app's own doors."""

    def __init__(self, client: FlaskClient, scenario: StripeScenario) -> None:
        self.client = client
        self.scenario = scenario
        self.key = people.api_key(scenario.account)
        self.token: str | None = None

    def json(self, method: str, path: str, sent: Any = None, *, key: str | None = None) -> TestResponse:
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return self.client.open(path, method=method, json=sent, headers=headers)

    def sign_in(self, email: str = "ada@example.com") -> None:
        sign_in(self.client, User.with_email(email))
        self.token = form_token(self.client)

    def page(self, path: str) -> TestResponse:
        if self.token is None:
            self.sign_in()
        return self.client.get(path)

    def form(self, path: str, **fields: Any) -> TestResponse:
        if self.token is None:
            self.sign_in()
        return self.client.post(path, data={"csrf_token": self.token} | fields)


@pytest.fixture
def customer(client: FlaskClient, scenario: StripeScenario) -> CustomerClient:
    return CustomerClient(client, scenario)
