"""Budgets: what a chat, or a person by their own wish, may cost at most. billing-rules.md 5."""

import os
from datetime import UTC, datetime
from random import Random

import pytest
from sqlalchemy import func, select

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.chat.chat import Chat
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.metering.budget import ChatBudget, own_limit, period_of
from app.models.metering.refusal import Refusal
from app.models.metering.reservation import Reservation, reserve_with, settle
from app.models.metering.usage import Usage
from app.providers.base import Prompt, PromptMessage, TokenUsage
from tests.models.conftest import refusal
from tests.support import Database
from tests.support.people import CREDIT, actor, model, person

RUNS = 10_000 if os.environ.get("LONG") == "1" else 120
AT_ONCE = 4


@pytest.fixture
def ada(session: Database) -> Account:
    model("m", kind="demo", dollars_in="0", dollars_out="5")
    account = person("ada", credits=10**9 * CREDIT)
    db.session.commit()
    return account


def chat_of(account: Account, budget: int) -> ChatBudget:
    chat = Chat(account_id=account.id, user_id=account.owner.id, model="m", budget_nanos=budget)
    db.session.add(chat)
    db.session.flush()
    budget = ChatBudget.of(chat)
    assert budget is not None
    return budget


def begin(who: Actor, budget: ChatBudget | None, tokens: int) -> Reservation:
    question, price = Prompt("m", (PromptMessage("user", "hi"),), tokens), AIModel.to_sell("m", utcnow())[1]
    columns = {"chat_id": budget.chat_id} if budget else {}
    return reserve_with(None, who, question, price, budget=budget, **columns)[0]


def end(reservation: Reservation, tokens: int) -> None:
    settle(reservation, TokenUsage(output=tokens, source="reported"), "done")


@pytest.mark.databases("sqlite", "postgresql", short=["sqlite"])
def test_random_runs_never_pass_a_chats_budget(ada: Account) -> None:
    dice, running, refused = Random(5), [], 0  # noqa: S311
    budget = chat_of(ada, dice.randint(0, 40) * CREDIT)
    for number in range(RUNS):
        if number % 40 == 39:
            for reservation in running:
                end(reservation, dice.randint(0, 9_000))
            running = []
            paid = func.sum(Usage.allowance_paid_nanos + Usage.credits_paid_nanos)
            assert int(db.session.scalar(select(paid).where(Usage.chat_id == budget.chat_id)) or 0) <= budget.nanos
            budget = chat_of(ada, dice.randint(0, 40 * CREDIT))
        try:
            running.append(begin(actor(ada), budget, dice.randint(1, 4_096)))
        except Refusal as refusal:
            refused += refusal.code == "chat_budget_reached"
        if len(running) == AT_ONCE or (running and dice.random() < 0.5):
            end(running.pop(dice.randrange(len(running))), dice.randint(0, 9_000))
    assert refused > RUNS // 20


def test_the_refusal_names_the_budget_and_raising_it_goes_on(ada: Account) -> None:
    budget = chat_of(ada, 5 * CREDIT)
    begun = begin(actor(ada), budget, 1_000)
    full = refusal(lambda: begin(actor(ada), budget, 1_000))
    assert (full.code, full.details["used"], full.details["limit"]) == (
        "chat_budget_reached",
        5 * CREDIT,
        5 * CREDIT,
    )
    end(begun, 700)
    shortened = begin(actor(ada), budget, 1_000)
    assert shortened.prompt.max_output_tokens == 300
    end(shortened, 300)
    assert begin(actor(ada), budget._replace(nanos=10 * CREDIT), 1_000).ceiling == 5 * CREDIT
    assert begin(actor(ada), None, 1_000).ceiling == 5 * CREDIT


def test_ones_own_limit_holds_in_its_period_and_what_it_leaves_shortens(ada: Account) -> None:
    limited = actor(ada, own_limit_nanos=8 * CREDIT, own_limit_period="day")
    end(begin(limited, None, 1_000), 1_000)
    assert begin(limited, None, 1_000).prompt.max_output_tokens == 600
    refused = refusal(lambda: begin(limited, None, 9))
    assert (refused.code, refused.details["limit_kind"], refused.details["resets_at"]) == (
        "own_limit_reached", "day", period_of("day", utcnow())[1],
    )  # fmt: skip
    own = ada.memberships[0]
    assert own_limit(own, utcnow()) is None
    own.own_limit_nanos, own.own_limit_period = 9 * CREDIT, "week"
    use = own_limit(own, utcnow())
    assert use is not None
    assert (use.used, use.left) == (8 * CREDIT, CREDIT)


def test_weeks_begin_on_monday() -> None:
    sunday = datetime(2026, 11, 29, 23, 59, tzinfo=UTC)
    assert period_of("week", sunday) == (
        datetime(2026, 11, 23, tzinfo=UTC),
        datetime(2026, 11, 30, tzinfo=UTC),
    )
    assert period_of("month", sunday) == (
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 12, 1, tzinfo=UTC),
    )
