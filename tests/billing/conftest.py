"""The app with the sandbox as its Stripe, every call between them held to the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session, scoped_session

from tests.billing.till import Till
from tests.support.mailbox import Mailbox
from tests.support.environment import app_environment
from tests.support.running_sandbox import SECRET, StartedSandbox
from tests.support.stripe_contract import ContractClient


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
def till(app: Flask, session: "scoped_session[Session]", sandbox: StartedSandbox) -> Till:
    """Ada, her account on the Pay-as-you-go plan, and what she and Stripe do."""
    return Till(sandbox)
