"""Calls that run while a day, a month or a clock turns over: whose allowance pays, and which day's use it is."""

from datetime import UTC, datetime

import pytest
import time_machine
from flask import Flask

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.audit import audit
from app.models.catalog.ai_model import AIModel
from app.models.chat.chat import Chat
from app.models.identity.account import Account
from app.models.metering.account_state import AccountState
from app.models.metering.reservation import Receipt, settle
from app.models.metering.usage import Usage
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.support import Database
from tests.support.calls import reserve
from tests.support.people import CREDIT, actor, give, model, person

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")
BORN = "2026-01-31T12:00:00"


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """A key, so that the model is for sale; nobody is asked."""
    return environment | {"OPENAI_API_KEY": "sk-nobody"}


def at(text: str) -> time_machine.travel:
    return time_machine.travel(datetime.fromisoformat(text).replace(tzinfo=UTC), tick=False)


@pytest.fixture
def ada(app: Flask, session: Database) -> Account:
    """On the free plan (500 credits a month, 50 a day) since the 31st of January, with its first month."""
    model("m", dollars_in="0", dollars_out="10")
    with at(BORN):
        account = person("ada", allowance=500 * CREDIT)
        account.period_end = datetime(2026, 2, 28, 12, tzinfo=UTC)
    session.flush()
    return account


def call(ada: Account, begins: str, ends: str, credits: int) -> Receipt:
    """A call that begins at one moment, ends at another, and comes to so many credits."""
    with at(begins):
        now = datetime.fromisoformat(begins).replace(tzinfo=UTC)
        price = AIModel.to_sell("m", now)[1]
        reservation = reserve(actor(ada), Prompt("m", (PromptMessage("user", "hi"),), 4000), price)
    with at(ends):
        receipt = settle(reservation, TokenUsage(output=credits * 100, source="reported"), "done")
    assert receipt is not None
    db.session.refresh(ada)
    return receipt


def used_at(ada: Account, moment: str) -> int:
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    return AccountState.load(ada.id).used_on(now)


def test_a_call_over_midnight_uses_nothing_of_the_new_day(ada: Account) -> None:
    call(ada, "2026-02-10T12:00", "2026-02-10T12:01", 20)
    receipt = call(ada, "2026-02-10T23:59:59", "2026-02-11T00:00:01", 30)
    assert receipt.paid == 30 * CREDIT
    assert used_at(ada, "2026-02-11T00:00:02") == 0
    assert list(audit()) == []


def test_a_call_over_the_months_edge_draws_on_the_new_allowance(ada: Account, session: Database) -> None:
    give(ada, allowance=-495 * CREDIT)
    session.flush()
    call(ada, "2026-02-28T11:59:59", "2026-02-28T12:00:01", 30)
    assert (ada.allowance_nanos, ada.credits_nanos) == (470 * CREDIT, 0)
    assert [entry.kind for entry in ada.entries()] == ["refill", "grant", "grant"]
    assert list(audit()) == []


def test_a_clock_that_is_put_back_gives_no_second_day(ada: Account) -> None:
    call(ada, "2026-02-11T00:00:05", "2026-02-11T00:00:06", 30)
    with at("2026-02-10T23:59:58"):
        assert AccountState.load(ada.id).balance(utcnow()).available == 20 * CREDIT
    call(ada, "2026-02-10T23:59:58", "2026-02-10T23:59:59", 5)
    assert used_at(ada, "2026-02-11T00:00:07") == 35 * CREDIT


def test_a_clock_that_jumps_a_year_gives_one_month(ada: Account) -> None:
    call(ada, "2027-02-28T12:00:00", "2027-02-28T12:00:01", 10)
    assert ada.allowance_nanos == 490 * CREDIT
    assert [entry.month for entry in ada.entries()] == ["2027-02", None]


def test_allowance_and_credits_add_up_in_a_receipt_and_in_a_chats_total(ada: Account, session: Database) -> None:
    give(ada, credits=100 * CREDIT)
    session.flush()
    chat = Chat(account_id=ada.id, user_id=ada.memberships[0].user_id, model="m")
    session.add(chat)
    session.flush()
    call(ada, "2026-02-10T11:00", "2026-02-10T11:01", 20)
    receipt = call(ada, "2026-02-10T12:00", "2026-02-10T12:01", 40)
    usage = session.get_one(Usage, receipt.usage_id)
    assert (usage.allowance_paid_nanos, usage.credits_paid_nanos) == (30 * CREDIT, 10 * CREDIT)
    assert usage.paid_nanos == receipt.paid == 40 * CREDIT
    assert usage.seconds == 60
    usage.chat_id, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h = chat.id, 1, 2, 4
    session.flush()
    assert Usage.total_of(chat.id, ada.id) == (40 * CREDIT, 4000 + usage.input_tokens)
    assert Usage.total_of(chat.id, ada.id + 1) == (0, 0)
    assert usage.input_tokens == usage.uncached_input + 7


def test_a_key_of_a_call_is_free_again_after_a_day(ada: Account, session: Database) -> None:
    call(ada, "2026-02-10T12:00", "2026-02-10T12:01", 1)
    usage = session.query(Usage).one()
    usage.idempotency_key = "once"
    session.flush()
    with at("2026-02-11T11:59:59"):
        assert Usage.with_idempotency_key(ada.id, "once") is usage
        assert Usage.with_idempotency_key(ada.id + 1, "once") is None
    with at("2026-02-11T12:00:00"):
        assert Usage.with_idempotency_key(ada.id, "once") is None
    assert usage.idempotency_key is None


def test_an_answer_of_one_token_is_paid_and_one_of_none_is_not(ada: Account, session: Database) -> None:
    receipts = []
    for output in (1, 0):
        with at("2026-02-10T12:00"):
            now = datetime(2026, 2, 10, 12, tzinfo=UTC)
            prompt = Prompt("m", (PromptMessage("user", "hi"),), 4000)
            reservation = reserve(actor(ada), prompt, AIModel.to_sell("m", now)[1])
            receipts.append(settle(reservation, TokenUsage(output=output, source="reported"), "done"))
    assert [receipt.paid for receipt in receipts] == [10_000, 0]
    assert [usage.state for usage in session.query(Usage).order_by(Usage.id)] == ["settled", "released"]


def settled(ada: Account, outcome: str, **used: int) -> Usage:
    """The receipt of a call at noon that ends so and used so much."""
    with at("2026-02-10T12:00"):
        price = AIModel.to_sell("m", utcnow())[1]
        reservation = reserve(actor(ada), Prompt("m", (PromptMessage("user", "hi"),), 4000), price)
        settle(reservation, TokenUsage(**used, source="reported"), outcome)
    return db.session.get_one(Usage, reservation.usage_id)


def test_what_a_broken_call_cost_is_ours(ada: Account) -> None:
    usage = settled(ada, "interrupted", output=5)
    assert (usage.cost_nanos, usage.paid_nanos, usage.absorbed_nanos) == (50_000, 0, 50_000)


def test_pieces_without_a_price_are_left_out(ada: Account) -> None:
    for piece in ({"images": 2}, {"searches": 3}):
        usage = settled(ada, "done", output=5, **piece)
        assert (usage.cost_nanos, usage.images, usage.searches) == (50_000, 0, 0)
