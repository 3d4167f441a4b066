"""Calls of one account that decide on the same figures, and connections that are lost between any two steps.

PostgreSQL only: with SQLite nothing is decided before the account is held.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from threading import Barrier, BrokenBarrierError, Thread
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, event, func, select, text
from sqlalchemy.exc import OperationalError

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.audit import audit
from app.models.catalog.ai_model import AIModel
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.metering import breaker
from app.models.metering import reservation as reservations
from app.models.metering.refusal import Refusal
from app.models.metering.reservation import Reservation, reserve_with, settle_with
from app.models.metering.usage import Usage
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.support import Database, people
from tests.support.environment import SWITCHES

pytestmark = pytest.mark.databases("postgresql")
AT_ONCE, SETTLING = 6, 4
PROMPT = Prompt("gpt-test", (PromptMessage("user", "hi"),), 256)
MONEY_FOR_ONE = (len("hi") + 32) * 2500 + 256 * 10_000
ANSWER = TokenUsage(uncached_input=10, output=10, source="reported")


@pytest.fixture
def rules(session: Database) -> None:
    """A model on sale; no overdraft, and as many calls at once as anybody likes."""
    people.model()
    Setting.put("overdraft", 0)
    Setting.put("parallel_calls", 1000)
    session.commit()


@pytest.fixture
def bob(rules: None, session: Database) -> Actor:
    """Money for one call."""
    actor = people.actor(people.person("bob", credits=MONEY_FOR_ONE))
    session.commit()
    return actor


@pytest.fixture
def call(app: Flask) -> Callable[[Actor], Reservation | str]:
    """Begin a call in a request of its own: the reservation, or the code of the refusal."""

    def begin(actor: Actor) -> Reservation | str:
        with app.app_context():
            _model, price = AIModel.to_sell("gpt-test", utcnow())
            try:
                made, _ids = reserve_with(None, actor, PROMPT, price, is_alone=True)
            except Refusal as refusal:
                return refusal.code
            return made

    return begin


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody writes before all have decided, so that all but the first to write must look again."""
    decide, meet = reservations.admitted, Barrier(AT_ONCE)

    def decide_with_the_others(*arguments: Any) -> Any:
        decided = decide(*arguments)
        with suppress(BrokenBarrierError):
            meet.wait(2)
        return decided

    monkeypatch.setattr(reservations, "admitted", decide_with_the_others)
    yield
    meet.abort()


def at_once(call: Callable[[Actor], Reservation | str], actor: Actor) -> list[Reservation | str]:
    with ThreadPoolExecutor(AT_ONCE) as crowd:
        return list(crowd.map(call, [actor] * AT_ONCE))


def made(results: list[Reservation | str]) -> list[Reservation]:
    return [result for result in results if isinstance(result, Reservation)]


def end(app: Flask, reservation: Reservation) -> None:
    with app.app_context():
        settle_with(None, reservation, ANSWER, "done", is_alone=True)


def test_of_many_that_decided_on_the_same_balance_one_begins(
    app: Flask, bob: Actor, call: Callable[[Actor], Reservation | str], together: None, session: Database
) -> None:
    results = at_once(call, bob)
    assert len(made(results)) == 1
    assert {result for result in results if isinstance(result, str)} <= {"credits_reserved", "out_of_credits"}
    end(app, made(results)[0])
    assert list(audit()) == []


def test_of_many_that_settle_one_call_one_is_told_what_was_paid(
    app: Flask, bob: Actor, call: Callable[[Actor], Reservation | str], session: Database
) -> None:
    """Its own thread, the sweeper and a second delivery: the balance pays once."""
    made = call(bob)
    assert isinstance(made, Reservation)

    def settle_it(_number: int) -> bool:
        with app.app_context():
            receipt = settle_with(None, made, ANSWER, "done", is_alone=True)
            db.session.commit()
            return receipt is not None

    with ThreadPoolExecutor(AT_ONCE) as threads:
        told = list(threads.map(settle_it, range(AT_ONCE)))
    assert sum(told) == 1
    session.rollback()
    assert session.get_one(Account, bob.account_id).credits_nanos == MONEY_FOR_ONE - 10 * 2500 - 10 * 10_000
    assert list(audit()) == []


def test_of_many_that_decided_on_the_same_limit_of_a_member_one_begins(
    app: Flask, bob: Actor, call: Callable[[Actor], Reservation | str], together: None, session: Database
) -> None:
    account = session.get_one(Account, bob.account_id)
    account.kind = "team"
    people.give(account, credits=1000 * MONEY_FOR_ONE)
    account.memberships[0].monthly_limit_nanos = MONEY_FOR_ONE
    session.commit()
    results = at_once(call, bob)
    assert len(made(results)) == 1
    assert {result for result in results if isinstance(result, str)} == {"member_limit_reached"}
    end(app, made(results)[0])
    assert list(audit()) == []


def test_who_is_late_three_times_holds_the_account(
    app: Flask, bob: Actor, call: Callable[[Actor], Reservation | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write, tries = reservations.write, []

    def too_late(*arguments: Any) -> Any:
        tries.append(arguments)
        return write(*arguments) if len(tries) > reservations.LOOKS else None

    monkeypatch.setattr(reservations, "write", too_late)
    with app.app_context():
        _model, price = AIModel.to_sell("gpt-test", utcnow())
        held, _ids = reserve_with(None, bob, PROMPT, price, is_alone=True)
        db.session.commit()
    assert (held.ceiling, len(tries)) == (MONEY_FOR_ONE, reservations.LOOKS + 1)


def test_who_is_late_even_then_is_told_to_try_again(
    client: FlaskClient, bob: Actor, session: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setattr(reservations, "write", lambda *_: None)
    key = people.api_key(session.get_one(Account, bob.account_id))
    session.commit()
    body = {"model": "gpt-test", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    answer = client.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.headers["X-Should-Retry"]) == (503, "true"), answer.json
    assert (answer.json["error"]["code"], session.query(Usage).count()) == ("busy", 0)


@pytest.fixture
def lose_connection() -> Iterator[Callable[[int], None]]:
    """`lose_connection(n)`: just before the statement of that number from now on the server ends the connection."""
    waiting: list[int] = []

    def lose(connection: Connection, *_: object) -> None:
        if waiting and waiting[0] == 0:
            waiting.clear()
            driver: Any = connection.connection.dbapi_connection
            with db.engine.connect() as other:
                ended = text("SELECT pg_terminate_backend(:pid, 5000)")
                assert other.scalar(ended, {"pid": driver.info.backend_pid})
        elif waiting:
            waiting[0] -= 1

    engine = db.engine
    event.listen(engine, "before_cursor_execute", lose)
    yield waiting.append
    event.remove(engine, "before_cursor_execute", lose)


@pytest.mark.parametrize("step", range(5))
def test_a_connection_lost_before_any_statement_reserves_and_charges_nothing_twice(
    app: Flask,
    bob: Actor,
    call: Callable[[Actor], Reservation | str],
    session: Database,
    lose_connection: Callable[[int], None],
    step: int,
) -> None:
    """The statements: the model, the account, the settings, reserve; settle."""
    if SWITCHES.get("PGBOUNCER") == "1":
        pytest.skip("a pooler replaces what the server ends; test_lost_lines.py breaks the line to the pooler")
    lose_connection(step)
    lost = tried(lambda: call(bob))
    assert (lost is None) == (step < SETTLING)
    reservation = lost or call(bob)
    assert isinstance(reservation, Reservation)
    if step == SETTLING:
        assert tried(lambda: end(app, reservation)) is None
    end(app, reservation)
    session.rollback()
    assert [call.state for call in session.query(Usage)] == ["settled"]
    assert session.get_one(Account, bob.account_id).reserved_nanos == 0
    assert list(audit()) == []


def tried(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except OperationalError:
        return None


def test_what_settles_while_the_breaker_adds_up_counts_too(
    app: Flask,
    bob: Actor,
    call: Callable[[Actor], Reservation | str],
    session: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [running] = made([call(bob)])
    read, settling = breaker.spending_by_key, Thread(target=end, args=(app, running))

    def read_before_it_settles(account_id: int, start: datetime) -> Any:
        sums = read(account_id, start)
        if settling.ident is None:
            settling.start()
            settling.join(1)
        return sums

    monkeypatch.setattr(breaker, "spending_by_key", read_before_it_settles)
    breaker.write_down(bob.account_id, utcnow())
    session.commit()
    settling.join()
    account = session.get_one(Account, bob.account_id, populate_existing=True)
    paid = session.scalar(select(func.sum(Usage.allowance_paid_nanos + Usage.credits_paid_nanos)))
    assert account.hour_spent_nanos == account.day_spent_nanos == paid > 0
