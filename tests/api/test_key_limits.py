"""Limits of a key: by the month, in all, models; held by the reservation, whoever else has credits."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from sqlalchemy import select, update

from app.extensions import db
from app.models.catalog.setting import Setting
from app.models.identity.api_key import ApiKey
from app.models.metering.key_limit import spent_by_keys
from app.models.metering.usage import Usage
from app.models.metering.usage_rollup import KeyDay, add_up
from tests.chat.conftest import Door
from tests.gateway.conftest import Program
from tests.support import people
from tests.support.people import CREDIT, heard
from tests.support.provider_server import ProviderServer

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def both_databases(database_kind: str) -> None:
    """The sums are the database's work."""


@pytest.fixture
def program(ada: Door) -> Program:
    return Program(ada.client, ada.headers["Authorization"].partition(" ")[2])


def limit(**columns: object) -> ApiKey:
    key = db.session.query(ApiKey).order_by(ApiKey.id.desc()).first()
    for name, value in columns.items():
        setattr(key, name, value)
    db.session.commit()
    return key


def test_a_monthly_limit_shortens_the_answer_then_refuses_until_the_month_is_over(
    program: Program, provider: ProviderServer
) -> None:
    provider.configure(tokens=300, input_tokens=40)
    limit(monthly_limit_nanos=8 * CREDIT)
    with time_machine.travel(NOON, tick=False):
        first = program.call("chat", max_tokens=4000)
        assert (first.status_code, int(first.headers["X-Max-Output-Tokens"]) < 800) == (200, True)
        program.call("chat", max_tokens=300)
        refused = program.call("chat", max_tokens=300)
        error = refused.json["error"]
        assert (refused.status_code, error["code"], error["type"]) == (
            429,
            "key_limit_reached",
            "insufficient_quota",
        )
        assert refused.headers["X-Should-Retry"] == "false"
        assert (error["limit_kind"], error["limit_credits"]) == ("month", "8")
        assert error["resets_at"] == "2026-04-01T00:00:00Z"
    with time_machine.travel(datetime(2026, 4, 1, tzinfo=UTC), tick=False):
        assert program.call("chat", max_tokens=300).status_code == 200


def test_a_limit_that_running_calls_hold_is_there_again_in_a_moment(program: Program) -> None:
    limit(total_limit_nanos=4 * CREDIT, scopes="read spend hold")
    program.post("/api/reservations", {"operation": "poster", "ceiling_credits": "3"})
    refused = program.call("chat", max_tokens=300)
    assert (refused.status_code, refused.json["error"]["code"]) == (429, "key_limit_reached")
    assert (refused.json["error"]["type"], refused.json["error"]["reserved_credits"]) == ("rate_limit_exceeded", "3")
    assert (refused.headers["Retry-After"], refused.headers["X-Should-Retry"]) == ("10", "true")


def test_a_total_limit_is_once_for_all(program: Program, provider: ProviderServer) -> None:
    provider.configure(tokens=300, input_tokens=40)
    limit(total_limit_nanos=5 * CREDIT, monthly_limit_nanos=6 * CREDIT)
    with time_machine.travel(NOON, tick=False):
        assert program.call("chat", max_tokens=300).status_code == 200
    with time_machine.travel(datetime(2026, 9, 1, tzinfo=UTC), tick=False):
        refused = program.call("chat", max_tokens=300)
        assert (refused.json["error"]["code"], refused.json["error"]["limit_kind"]) == (
            "key_limit_reached",
            "total",
        )
        [key] = program.get("/api/keys").json["items"]
        assert (key["monthly_used_nanos"], key["total_used_credits"]) == (0, refused.json["error"]["used_credits"])


def test_a_key_may_ask_its_own_models_only(program: Program) -> None:
    limit(models=["gpt-other"])
    assert program.call("chat").json["error"]["code"] == "model_not_allowed"
    assert program.get("/v1/models").json["data"] == []
    people.model("gpt-first", position=-1)
    limit(models=["gpt-test"])
    assert program.post("/api/chats", {}).json["model"] == "gpt-test"
    assert program.call("chat").status_code == 200
    assert [model["id"] for model in program.get("/v1/models").json["data"]] == ["gpt-test"]


def test_the_chats_api_holds_a_keys_limit_too(ada: Door, provider: ProviderServer) -> None:
    provider.configure(tokens=300)
    limit(total_limit_nanos=4 * CREDIT)
    answer = ada.send("hello")
    stream, balance = heard(answer.data), ada.balance()
    left = 4 * CREDIT - stream.end["cost_nanos"]
    remaining = stream.start["ceiling_nanos"] + int(Decimal(answer.headers["X-Credits-Remaining"]) * CREDIT)
    assert (remaining, stream.end["available_nanos"], balance["spendable_nanos"]) == (4 * CREDIT, left, left)
    assert balance["available_nanos"] == left + 996 * CREDIT
    refused = ada.send("hello")
    assert (refused.status_code, refused.json["code"]) == (429, "key_limit_reached")
    assert "This message could cost up to" in refused.json["detail"]
    for model, code in (("gpt-other", "model_not_allowed"), ("gpt-test", "key_limit_reached")):
        limit(models=[model], total_limit_nanos=0)
        assert ada.call("POST", "/chats", json={"model": "gpt-test"}).json["code"] == code


def test_a_rotated_key_keeps_its_limits_and_what_it_has_spent(
    program: Program, provider: ProviderServer, door: Callable[..., Door]
) -> None:
    provider.configure(tokens=300)
    key = limit(total_limit_nanos=4 * CREDIT)
    program.call("chat", max_tokens=300)
    secret = key.rotate()
    db.session.commit()
    assert program.call("chat").status_code == 401
    fresh = Program(program.client, secret)
    assert fresh.call("chat", max_tokens=300).json["error"]["code"] == "key_limit_reached"
    [shown] = fresh.get("/api/keys").json["items"]
    [row] = fresh.get("/api/usage?group_by=key").json["items"]
    assert shown["monthly_used_nanos"] == shown["total_used_nanos"] == row["cost_nanos"]
    assert (row["key_id"], row["calls"]) == (str(key.id), 1)
    assert row["cost_nanos"] > 0
    assert "key_id" in fresh.get("/api/usage?group_by=key&format=csv").text.splitlines()[0]


def test_what_is_too_large_even_for_the_balance_is_refused_in_words(program: Program, provider: ProviderServer) -> None:
    Setting.put("overdraft", 0)
    account = people.person("bob", credits=CREDIT)
    bob = Program(program.client, people.api_key(account))
    refused = bob.call("chat", "x" * 40_000)
    assert (refused.status_code, refused.json["error"]["code"]) == (402, "request_too_large")


def test_what_is_added_up_counts_once_and_is_not_summed_again(program: Program, provider: ProviderServer) -> None:
    provider.configure(tokens=300, input_tokens=40)
    key = limit(total_limit_nanos=12 * CREDIT)
    with time_machine.travel(NOON, tick=False):
        assert program.call("chat", max_tokens=300).status_code == 200
    [(of_month, spent)] = spent_by_keys([key.id], NOON).values()
    add_up(NOON + timedelta(days=1))
    assert spent_by_keys([key.id], NOON) == {key.id: (of_month, spent)}
    assert db.session.scalars(select(KeyDay.paid_nanos)).all() == [of_month] == [spent]
    limit(total_limit_nanos=2 * spent)
    with time_machine.travel(NOON + timedelta(days=2), tick=False):
        assert program.call("chat", max_tokens=300).status_code == 200
    db.session.execute(update(Usage).values(credits_paid_nanos=0))  # what is added up is read nowhere else
    limit(total_limit_nanos=spent)
    with time_machine.travel(NOON + timedelta(days=2), tick=False):
        assert program.call("chat", max_tokens=300).status_code == 429
        limit(total_limit_nanos=None, monthly_limit_nanos=spent)
        assert program.call("chat", max_tokens=300).status_code == 429
    with time_machine.travel(datetime(2026, 4, 1, tzinfo=UTC), tick=False):
        limit(monthly_limit_nanos=8 * CREDIT)
        assert program.call("chat", max_tokens=300).status_code == 200
