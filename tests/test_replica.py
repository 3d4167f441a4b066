"""Reports and exports are read from a hot standby; money is not. A real one, which streams."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from app.addresses import ConfigurationError
from app.config import from_environment
from app.db.compiled_statement import CompiledStatement
from app.db.replica import REPLICA
from app.extensions import db
from app.lab.run import reading
from app.models.base import at_once, utcnow
from app.models.catalog.ai_model import AIModel
from app.models.identity.actor import Actor
from app.models.identity.user import UserSession
from app.models.metering.reservation import settle
from app.models.operations import replica_reads
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.conftest import app_in, close
from tests.support import people
from tests.support.calls import reserve
from tests.support.databases import Databases
from tests.support.people import CREDIT
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.databases("postgresql")
IN_RECOVERY = select(func.pg_is_in_recovery())
PAGES = ("/admin/", "/admin/csv/days/", "/billing/usage", "/billing/transactions.csv", "/api/usage/months")


@pytest.fixture(scope="module")
def standby(all_databases: Databases) -> Iterator[PostgresServer]:
    copy = all_databases.postgres.standby()
    yield copy
    copy.remove()


@pytest.fixture
def app(environment: dict[str, str], standby: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    name = environment["DATABASE_URL"].rpartition("/")[2]
    standby.catch_up()
    monkeypatch.setattr(replica_reads, "away_until", 0.0)
    app = app_in(monkeypatch, environment | {"DATABASE_REPLICA_URL": standby.url(name)})
    yield app
    with app.app_context():
        db.engines[REPLICA].dispose()
    close(app)


@dataclass
class Ada:
    app: Flask
    client: FlaskClient
    actor: Actor
    key: dict[str, str]

    def call(self) -> None:
        with self.app.app_context():
            prompt = Prompt("gpt-test", (PromptMessage("user", "hi"),), 600)
            reservation = reserve(self.actor, prompt, AIModel.to_sell("gpt-test", utcnow())[1])
            settle(reservation, TokenUsage(output=100, source="reported"), "done")
            db.session.commit()

    def calls(self) -> int:
        """As the API's report has them."""
        rows = self.client.get("/api/usage", headers=self.key).get_json()["items"]
        return sum(row["calls"] for row in rows)

    def paid(self) -> int:
        balance = self.client.get("/api/balance", headers=self.key).get_json()
        return 100 * CREDIT - int(balance["available_nanos"])

    def pages(self) -> list[str]:
        answers = [self.client.get(path) for path in PAGES]
        assert [answer.status_code for answer in answers] == [200] * len(PAGES)
        return [answer.text for answer in answers]


@pytest.fixture
def ada(app: Flask, client: FlaskClient, standby: PostgresServer) -> Ada:
    """Somebody who runs the place, signed in."""
    with app.app_context():
        people.model("gpt-test", kind="demo")
        account = people.person("ada", credits=100 * CREDIT)
        person = account.memberships[0].user
        person.admin_role = "owner"
        key, secret = people.api_key(account), UserSession.begin(person, account.id)
        db.session.commit()
        ada = Ada(app, client, people.actor(account), {"Authorization": f"Bearer {key}"})
    with client.session_transaction() as cookie:
        cookie["_user_id"], cookie["_fresh"] = secret, True
    ada.call()
    standby.catch_up()
    return ada


def test_reports_are_the_replica_s_and_money_is_not(ada: Ada, standby: PostgresServer) -> None:
    before = ada.paid()
    standby.execute("SELECT pg_wal_replay_pause()")
    ada.call()
    assert (ada.calls(), ada.paid()) == (1, 2 * before)
    assert "Read from the replica" in ada.pages()[0]
    standby.execute("SELECT pg_wal_replay_resume()")
    standby.catch_up()
    assert ada.calls() == 2


def test_the_lab_reads_from_the_replica_and_nothing_writes_to_it(ada: Ada) -> None:
    with ada.app.app_context(), reading() as connection:
        assert connection.scalar(IN_RECOVERY)
    with ada.app.app_context():
        replica_reads.read_from_replica()
        assert db.session.scalar(IN_RECOVERY)
        with at_once() as connection:
            assert CompiledStatement(IN_RECOVERY).one(connection, {}) == (False,)
        with pytest.raises(DBAPIError, match="read-only"):
            people.person("bob")


def test_without_the_replica_all_is_read_where_it_is_written(ada: Ada, standby: PostgresServer) -> None:
    standby.stop()
    ada.call()
    assert ada.calls() == 2
    assert "Read from the replica" not in ada.pages()[0]


def test_a_replica_is_postgresql_s_alone() -> None:
    with pytest.raises(ConfigurationError):
        from_environment({"APP_ENV": "test", "DATABASE_REPLICA_URL": "postgresql://db/tollgate"})
