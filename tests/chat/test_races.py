"""Many sends at once, over processes and threads, on both databases. security.md 2."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from flask import Flask

from app.models.billing.audit import audit
from app.models.catalog.setting import Setting
from app.models.chat.chat import Chat
from app.models.identity.account import Account
from app.models.metering.usage import Usage
from tests.support import Database, people
from tests.support.databases import Databases
from tests.support.distant import DistantServer
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp, await_that

pytestmark = pytest.mark.databases("sqlite", "postgresql")
ROUNDS, AT_ONCE = 2, 50
MONEY_FOR_ONE = (len("hello") + 32) * 2500 + 256 * 10_000
LIMITED = {"allowance": 100 * MONEY_FOR_ONE}
"""Of which the window of hours has money for one: every other round."""


@pytest.fixture
def running(start_app: object, environment: dict[str, str]) -> Iterator[tuple[RunningApp, ProviderServer]]:
    """Two web processes in front of a provider that takes its time."""
    with ProviderServer(delay=0.02, tokens=10) as provider:
        address = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": provider.openai_url}
        yield start_app("web", WEB_CONCURRENCY="2", **address), provider  # type: ignore[operator]


@pytest.fixture
def rules(app: Flask, session: Database) -> None:
    """A model on sale; no overdraft, and as many calls at once as anybody likes."""
    people.model()
    Setting.put("overdraft", 0)
    Setting.put("parallel_calls", 1000)
    session.commit()


@pytest.fixture
def environment(environment: dict[str, str], all_databases: Databases, database_kind: str) -> Iterator[dict[str, str]]:
    """SQLite on this machine, PostgreSQL half a millisecond away, where there are more steps to fall between."""
    if database_kind == "sqlite":
        yield environment
        return
    with DistantServer("127.0.0.1", all_databases.postgres.port, delay=0.0005) as line:
        yield environment | {"DATABASE_URL": line.url(environment["DATABASE_URL"])}


def test_of_fifty_sends_with_money_for_one_exactly_one_is_accepted(
    running: tuple[RunningApp, ProviderServer], rules: None, session: Database
) -> None:
    web, _provider = running
    with ThreadPoolExecutor(AT_ONCE) as crowd:
        for number in range(ROUNDS):
            codes = list(crowd.map(lambda send: send(), sends(web, f"bob{number}", session)))
            assert sorted(codes)[0] == 200
            assert set(codes[1:] + codes[:-1]) <= {200, 402, 429}, web.log("web")[-8000:]
            assert codes.count(200) == 1, codes
    await_that(lambda: not open_calls(session), 20)
    assert list(audit()) == []
    assert session.query(Account).filter(Account.credits_nanos < 0).count() == 0


def sends(web: RunningApp, name: str, session: Database) -> list[object]:
    """As many sends of one account as there are at once, each in a chat of its own."""
    account = people.person(name, **(LIMITED if int(name[-1]) % 2 else {"credits": MONEY_FOR_ONE}))
    account.daily_limit_nanos, account.window_hours, account.window_limit_nanos = None, 12, MONEY_FOR_ONE
    owner = account.memberships[0].user_id
    chats = [Chat(account_id=account.id, user_id=owner, model="gpt-test") for _ in range(AT_ONCE)]
    session.add_all(chats)
    session.commit()
    headers = {"Authorization": f"Bearer {people.api_key(account)}"}
    addresses = [f"{web.url}/api/chats/{chat.id}/messages" for chat in chats]
    session.commit()

    def send_to(address: str) -> object:
        return lambda: requests.post(address, json={"content": "hello"}, headers=headers, timeout=30).status_code

    return [send_to(address) for address in addresses]


def open_calls(session: Database) -> int:
    session.rollback()
    return session.query(Usage).filter_by(state="running").count()
