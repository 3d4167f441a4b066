"""Many calls at once, mixed over the three dialects, with money for one. security.md 2.

On both databases with `LONG=1`; else sends are, which go the same way: `tests/chat/test_races.py`.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from flask import Flask

from app.models.billing.audit import audit
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.metering.usage import Usage
from tests.gateway.conftest import PATHS, body_of
from tests.support import Database, people
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp, await_that

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("postgresql",))
AT_ONCE = 30
MONEY_FOR_ONE = 3_100_000
"""In nanos: the ceiling of 256 tokens of output fits once, and what the answer leaves does not fit another."""


@pytest.fixture
def running(start_app: object, environment: dict[str, str]) -> Iterator[RunningApp]:
    """Two web processes in front of a provider that takes its time."""
    with ProviderServer(delay=0.005, tokens=200) as provider:
        address = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": provider.openai_url}
        yield start_app("web", WEB_CONCURRENCY="2", **address)  # type: ignore[operator]


def test_of_many_calls_with_money_for_one_exactly_one_is_accepted(
    running: RunningApp, app: Flask, session: Database
) -> None:
    people.model()
    Setting.put("overdraft", 0)
    Setting.put("parallel_calls", 1000)
    key = people.api_key(people.person("bob", credits=MONEY_FOR_ONE))
    session.commit()
    with ThreadPoolExecutor(AT_ONCE) as crowd:
        codes = list(crowd.map(lambda way: call(running, key, *way), ways()))
    assert codes.count(200) == 1, codes
    assert set(codes) <= {200, 402, 429}, running.log("web")[-8000:]
    await_that(lambda: not open_calls(session), 20)
    assert list(audit()) == []
    assert session.query(Account).filter(Account.credits_nanos < 0).count() == 0


def ways() -> list[tuple[str, bool]]:
    """Dialects, and whether as a stream."""
    return [(dialect, number % 2 == 0) for number in range(AT_ONCE // 3) for dialect in PATHS]


def call(web: RunningApp, key: str, dialect: str, is_stream: bool) -> int:
    body, headers = body_of(dialect, stream=is_stream), {"Authorization": f"Bearer {key}"}
    return requests.post(f"{web.url}{PATHS[dialect]}", json=body, headers=headers, timeout=60).status_code


def open_calls(session: Database) -> int:
    session.rollback()
    return session.query(Usage).filter_by(state="running").count()
