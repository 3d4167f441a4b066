"""Two machines on two loopback addresses: each a web process and a worker, over one PgBouncer and one Redis."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from flask import Flask

from devserver.redis_server import RedisServer
from tests.payments.stripe_scenario import StripeScenario
from tests.support import people, pgbouncer
from tests.support.cuttable import CuttableLine
from tests.support.databases import Databases
from tests.support.environment import app_environment
from tests.support.mailbox import Mailbox
from tests.support.people import CREDIT
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp
from tests.support.running_sandbox import SECRET, StartedSandbox
from tests.support.scraping import TOKEN

HOSTS = ("127.0.0.1", "127.0.0.2")


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """Said by name where PgBouncer is not there; a failure where CI says that all must run."""
    if not pgbouncer.is_installed() and os.environ.get("CI") != "true":
        pytest.skip(pgbouncer.MISSING)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[StartedSandbox]:
    started = StartedSandbox()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture(scope="module")
def shared_environment(
    all_databases: Databases, mail_server: Mailbox, sandbox: StartedSandbox, provider: ProviderServer
) -> Iterator[dict[str, str]]:
    """What both machines are told."""
    redis, url = RedisServer(), all_databases.fresh("pgbouncer")
    redis.start()
    yield app_environment(
        DATABASE_URL=url,
        PGBOUNCER="1",
        REDIS_URL=redis.url,
        MAIL_URL=mail_server.url,
        TRUSTED_HOSTS=",".join(HOSTS),
        METRICS_TOKEN=TOKEN,
        OPENAI_API_KEY="sk-test",
        OPENAI_BASE_URL=provider.openai_url,
        STRIPE_SECRET_KEY="sk_test_sandbox",
        STRIPE_API_BASE=sandbox.url,
        STRIPE_WEBHOOK_SECRET=SECRET,
    )
    redis.stop()
    all_databases.drop(url)


@pytest.fixture(scope="module")
def machines(
    shared_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[RunningApp]]:
    with ExitStack() as ended:
        folder = tmp_path_factory.mktemp("machines")
        yield [ended.enter_context(RunningApp(shared_environment, folder=folder, host=host)) for host in HOSTS]


@pytest.fixture(scope="module")
def line(machines: list[RunningApp]) -> Iterator[CuttableLine]:
    """One address for both, taken in turns."""
    with CuttableLine(*(machine.address for machine in machines)) as line:
        yield line


@pytest.fixture
def environment(shared_environment: dict[str, str]) -> dict[str, str]:
    """The test's own app stands beside them."""
    return shared_environment


@pytest.fixture
def scenario(app: Flask, session: object, sandbox: StartedSandbox, line: CuttableLine) -> StripeScenario:
    """A customer whose Stripe tells both machines."""
    sandbox.running.point_webhooks(f"{line.url}/webhooks/stripe", SECRET)
    return StripeScenario(sandbox, "carl")


@pytest.fixture
def adas(app: Flask, session: object) -> dict[str, str]:
    """The headers of ada's key; she has 1,000 credits."""
    people.model()
    return {"Authorization": f"Bearer {people.api_key(people.person('ada', credits=1000 * CREDIT))}"}
