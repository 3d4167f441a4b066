"""Whatever is doubled, shuffled, late, broken off or repeated: the same ledger and the same rows in the end."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from devserver.redis_server import RedisServer
from tests.conftest import close
from tests.payments.event_chaos import EXAMPLES, Calm, Chance, Life
from tests.payments.stripe_scenario import StripeScenario
from tests.support.databases import Databases
from tests.support.environment import app_environment
from tests.support.running_sandbox import SECRET, StartedSandbox
from tests.support.stripe_contract import ContractClient
from tests.support.test_apps import made_apps

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("postgresql",))
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@contextmanager
def a_life(lend: Any, chance: Calm) -> Iterator[Life]:
    """A life over a database and a Stripe of its own, lived at a clock that stands still."""
    with time_machine.travel(NOON, tick=False), pytest.MonkeyPatch.context() as patch:
        sandbox = StartedSandbox()
        app, done = lend(patch, sandbox.url)
        app.extensions["stripe_http"] = ContractClient()
        with app.app_context():
            life = Life(StripeScenario(sandbox), chance)
            life.live()
            yield life
        sandbox.stop()
        done()


@pytest.fixture(scope="module")
def lend(all_databases: Databases, redis_server: RedisServer, database_kind: str) -> Any:
    """`lend(patch, stripe)`: an app over a fresh database, and what removes it."""

    def borrow(patch: pytest.MonkeyPatch, stripe: str) -> Any:
        url = all_databases.fresh(database_kind)
        keys = {
            "STRIPE_SECRET_KEY": "sk_test_sandbox",
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "STRIPE_API_BASE": stripe,
        }
        app = made_apps.lend(patch, app_environment(DATABASE_URL=url, REDIS_URL=redis_server.url, **keys))
        return app, lambda: (close(app), all_databases.drop(url))

    return borrow


@pytest.fixture(scope="module")
def plain(lend: Any) -> dict[str, Any]:
    """What a life comes to in which nothing goes wrong."""
    with a_life(lend, Calm()) as life:
        return life.outcome()


def test_a_plain_life_is_what_the_rules_say(plain: dict[str, Any]) -> None:
    kinds = [kind for kind, *_ in plain["ledger"]]
    assert kinds == ["dispute", "plan_change", "purchase", "recharge", "refill", "refill", "refund", "refund"]
    assert plain["charged"] == [1000, 2000, 2500, 5419, 10000]
    assert plain["account"][2:] == ("dispute", "Pro")


SEEDS = [random.randrange(10**9) for _ in range(EXAMPLES)] or [3]  # noqa: S311


def test_any_interleaving_ends_in_the_same_ledger_and_rows(lend: Any, plain: dict[str, Any]) -> None:
    for seed in SEEDS:
        with a_life(lend, Chance(random.Random(seed))) as life:  # noqa: S311
            assert (seed, life.outcome()) == (seed, plain)
            for state in ("received", "parked", "failed"):
                assert (seed, life.scenario.events(state)) == (seed, [])
            assert life.scenario.is_explained()
