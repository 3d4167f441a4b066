"""A metered call of one's own: the ten lines of docs/extending.md, and what they bring along."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.generation.call import CallOptions, Context, begin, collect, estimate
from app.models.base import utcnow
from app.models.catalog.operation import Operation, OperationRow
from app.models.catalog.plan import Plan
from app.models.identity.account import Account
from app.models.metering.refusal import Conflict, InvalidRequest, Refusal
from app.models.metering.usage import Usage
from app.payments.sweeper import sweep
from app.providers.base import ProviderError
from tests.chat.conftest import Door
from tests.conftest import app_in, close
from tests.support import Database, people
from tests.support.people import heard
from tests.support.provider_server import ProviderServer
from tests.support.test_apps import made_apps

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
ONCE = {"Idempotency-Key": "one"}


@pytest.fixture(autouse=True)
def haiku(session: Database) -> OperationRow:
    """The row that the page has one add."""
    told = re.search(r"`(Write a haiku[^`]*)`", PAGE.read_text())[1]
    row = OperationRow(name="haiku", title="Haiku", instructions=told, default_model="gpt-test")
    session.add(row)
    session.commit()
    return row


@pytest.fixture
def app(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """An app of this test's own that has the page's route."""
    app = app_in(monkeypatch, environment)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict = {"__name__": "haiku"}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102
    app.register_blueprint(names["haiku"])
    yield app
    close(app)
    made_apps.forget()


@pytest.fixture
def account(haiku: OperationRow, ada: Door, session: Database) -> Account:
    return session.query(Account).order_by(Account.id.desc()).first()


def calls(session: Database) -> list[Usage]:
    session.rollback()
    return session.query(Usage).order_by(Usage.id).all()


def test_the_ten_lines_stream_a_metered_answer(ada: Door, session: Database, provider: ProviderServer) -> None:
    provider.configure(text="Old pond.", input_tokens=30)
    before = ada.balance()["available_nanos"]
    answer = heard(ada.call("POST", "/haiku", json={"about": "frogs"}).data)
    [call] = calls(session)

    assert answer.text == "Old pond."
    assert (call.operation, call.model, call.chat_id, call.state) == ("haiku", "gpt-test", None, "settled")
    assert answer.end["cost_nanos"] == call.paid_nanos == before - ada.balance()["available_nanos"] > 0
    assert set(answer.start) >= {"call_id", "model", "ceiling_nanos", "ceiling_credits"}
    assert "message_id" not in answer.start
    assert [sent["content"] for sent in provider.last["body"]["messages"]] == [
        "Write a haiku in English. Answer with the haiku alone.",
        "frogs",
    ]


def test_it_is_listed_under_its_own_name(ada: Door, provider: ProviderServer) -> None:
    ada.call("POST", "/haiku", json={"about": "frogs"})
    rows = ada.call("GET", "/usage?group_by=operation").json["items"]
    assert [row["operation"] for row in rows] == ["haiku"]


def test_the_same_key_again_charges_nothing(ada: Door, session: Database) -> None:
    first = ada.call("POST", "/haiku", json={"about": "frogs"}, headers=ONCE)
    again = ada.call("POST", "/haiku", json={"about": "frogs"}, headers=ONCE)
    other = ada.call("POST", "/haiku", json={"about": "newts"}, headers=ONCE)

    assert (first.status_code, again.status_code, again.json["code"]) == (200, 409, "already_done")
    assert other.json["code"] == "idempotency_key_reused"
    assert [str(call.id) for call in calls(session)] == [again.json["call_id"]]


def test_a_ceiling_that_would_be_passed_reserves_nothing(ada: Door, session: Database) -> None:
    refused = ada.call("POST", "/haiku", json={"about": "frogs", "max_cost_nanos": 1})
    assert (refused.status_code, refused.json["code"]) == (409, "price_changed")
    assert calls(session) == []
    assert ada.balance()["reserved_nanos"] == 0


def test_an_operation_that_is_switched_off_is_refused_at_once(
    ada: Door, session: Database, haiku: OperationRow
) -> None:
    assert ada.call("POST", "/haiku", json={"about": "frogs"}).status_code == 200
    haiku.is_enabled = False
    session.commit()
    refused = ada.call("POST", "/haiku", json={"about": "frogs"})
    assert (refused.status_code, refused.json["code"]) == (403, "operation_disabled")


def test_a_minimum_plan_is_for_it_and_for_dearer_ones(
    ada: Door, session: Database, haiku: OperationRow, account: Account
) -> None:
    plus, pro = (session.query(Plan).filter_by(name=name).one() for name in ("Plus", "Pro"))
    haiku.minimum_plan_id = plus.id
    session.commit()
    refused = ada.call("POST", "/haiku", json={"about": "frogs"})
    assert (refused.status_code, refused.json["code"]) == (403, "operation_not_in_plan")
    assert "Plus" in refused.json["detail"]
    newer = plus.new_version()
    newer.price_cents = 1500
    session.flush()
    for plan in (plus, pro, newer.new_version()):
        session.flush()
        session.get_one(Account, account.id).plan_id = plan.id
        session.commit()
        assert ada.call("POST", "/haiku", json={"about": "frogs"}).status_code == 200


def test_a_job_collects_the_text_and_its_receipt(account: Account, session: Database, provider: ProviderServer) -> None:
    provider.configure(text="Old pond.")
    running = begin(people.actor(account), "haiku", "frogs", language="Dutch")
    assert collect(running) == "Old pond."
    [call] = calls(session)
    assert running.ending.receipt.paid == call.paid_nanos > 0


def test_a_job_hears_of_a_failure_and_pays_nothing(
    account: Account, session: Database, provider: ProviderServer
) -> None:
    provider.configure(fault="500")
    with pytest.raises(ProviderError):
        collect(begin(people.actor(account), "haiku", "frogs"))
    [call] = calls(session)
    assert (call.state, call.paid_nanos) == ("released", 0)


def test_what_was_estimated_is_what_is_reserved(account: Account, session: Database) -> None:
    prompt, price = estimate(people.actor(account), "haiku", "frogs", CallOptions(), language="English")
    running = begin(people.actor(account), "haiku", "frogs", language="English")
    assert running.reservation.ceiling == price.ceiling_of(prompt)
    collect(running)


def test_more_than_the_model_can_read_is_refused_before_anything(account: Account, session: Database) -> None:
    with pytest.raises(InvalidRequest):
        begin(people.actor(account), "haiku", "x" * 2_000_000)
    assert calls(session) == []


def test_an_operation_that_nobody_added_is_a_fault_of_the_code(account: Account) -> None:
    with pytest.raises(LookupError, match="sonnet"):
        begin(people.actor(account), "sonnet", "frogs")


def test_rows_of_ones_own_are_undone_with_a_refusal(account: Account, session: Database) -> None:
    def store(_reservation: object) -> None:
        session.add(OperationRow(name="written", title="with the call"))
        session.flush()
        raise Conflict("mine")

    with pytest.raises(Conflict):
        begin(people.actor(account), "haiku", "frogs", context=Context(store=store))
    session.rollback()
    assert "written" not in Operation.all()
    assert calls(session) == []
    assert db.session.get_one(Account, account.id).reserved_nanos == 0


def test_the_lease_of_a_call_without_rows_is_its_own(
    account: Account, session: Database, provider: ProviderServer
) -> None:
    """A long call is not swept while its process renews it, and is released once nobody does."""
    collect(begin(people.actor(account), "haiku", "frogs"))
    [call] = calls(session)
    call.state, call.outcome, call.settled_at = "running", None, None
    call.created_at = utcnow() - timedelta(minutes=10)
    call.renewed_at = utcnow()
    state = session.get_one(Account, account.id)
    state.reserved_nanos, state.running_calls = call.reserved_nanos, 1
    session.commit()
    assert sweep() == 0
    call.renewed_at = utcnow() - timedelta(minutes=3)
    session.commit()
    assert sweep() == 1
    assert session.get_one(Account, account.id).reserved_nanos == 0


def test_a_call_that_cannot_be_released_holds_up_no_other(
    account: Account, session: Database, provider: ProviderServer
) -> None:
    """Whatever is wrong with its account: here it knows of less than the call had reserved."""
    for _ in range(2):
        collect(begin(people.actor(account), "haiku", "frogs"))
    broken, whole = calls(session)
    for call in (broken, whole):
        call.state, call.outcome, call.settled_at = "running", None, None
        call.created_at = call.renewed_at = utcnow() - timedelta(minutes=10)
    broken.reserved_nanos *= 2
    state = session.get_one(Account, account.id)
    state.reserved_nanos, state.running_calls = whole.reserved_nanos, 2
    session.commit()
    with pytest.raises(IntegrityError):
        sweep()
    assert [call.state for call in calls(session)] == ["running", "released"]


@pytest.mark.parametrize(("lives", "released"), [(True, 0), (False, 1)])
def test_a_clock_that_is_ahead_neither_keeps_a_dead_call_nor_ends_one_that_lives(
    account: Account,
    session: Database,
    provider: ProviderServer,
    monkeypatch: pytest.MonkeyPatch,
    lives: bool,
    released: int,
) -> None:
    """Whoever lives writes again between two looks, whatever its clock says."""
    collect(begin(people.actor(account), "haiku", "frogs"))
    [call] = calls(session)
    call.state, call.outcome, call.settled_at = "running", None, None
    call.renewed_at = utcnow() + timedelta(hours=1)
    state = session.get_one(Account, account.id)
    state.reserved_nanos, state.running_calls = call.reserved_nanos, 1
    session.commit()

    def meanwhile(seconds: float) -> None:
        if lives:
            calls(session)[0].renewed_at = utcnow() + timedelta(hours=1, seconds=seconds)
            session.commit()

    monkeypatch.setattr("app.payments.sweeper.time.sleep", meanwhile)
    assert sweep() == released


def test_a_refusal_names_an_operation_that_is_off_for_jobs_too(
    account: Account, session: Database, haiku: OperationRow
) -> None:
    haiku.is_enabled = False
    session.commit()
    with pytest.raises(Refusal) as refused:
        begin(people.actor(account), "haiku", "frogs", CallOptions(model="gpt-test"))
    assert refused.value.code == "operation_disabled"
