"""A model ends: told 30 days before, hidden and refused by name from its last day on, taken over with the prices."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from app.extensions import db
from app.generation.model_jobs import tell_of_endings
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.provider_account import ProviderAccount
from app.models.identity.account import Account
from app.models.metering.refusal import Refusal
from app.models.metering.usage_rollup import AccountDay
from app.models.operations.outbox import OutgoingMail
from app.web.refusals import text_of
from tests.support import Database, people

LAST_DAY = datetime(2026, 11, 30, tzinfo=UTC)
NAME = "claude-sonnet-4-5"
pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


@pytest.fixture(autouse=True)
def in_time(database_kind: str):
    with time_machine.travel(LAST_DAY - timedelta(days=9), tick=False):
        yield


@pytest.fixture(autouse=True)
def usable(database_kind: str, session: Database) -> None:
    session.query(ProviderAccount).update({"key_variable": None})
    session.commit()


def used(account: Account, calls: int, days_ago: int) -> None:
    figures = dict.fromkeys(("input_tokens", "output_tokens", "cost_nanos", "paid_nanos", "absorbed_nanos"), 1)
    day = (utcnow() - timedelta(days=days_ago)).date()
    whose = {"account_id": account.id, "user_id": account.memberships[0].user_id}
    db.session.add(AccountDay(day=day, model=NAME, operation="chat", chat_id=0, calls=calls, **whose, **figures))
    db.session.commit()


def test_from_its_last_day_on_a_model_is_hidden_and_refused_with_its_successor(session: Database) -> None:
    before = LAST_DAY - timedelta(microseconds=1)
    assert AIModel.to_sell(NAME, before)[0].name == NAME
    assert NAME in [model.name for model, _ in AIModel.for_sale(before)]
    with pytest.raises(Refusal) as refusal:
        AIModel.to_sell(NAME, LAST_DAY)

    assert NAME not in [model.name for model, _ in AIModel.for_sale(LAST_DAY)]
    assert (refusal.value.code, refusal.value.details["model"]) == ("model_not_for_sale", "claude-sonnet-5-5")
    assert text_of(refusal.value) == (
        "claude-sonnet-4-5 hasn't been available since 30 November 2026. Ask claude-sonnet-5-5 instead."
    )


def test_a_successor_that_is_not_on_sale_is_not_named(session: Database) -> None:
    AIModel.named("claude-sonnet-5-5").is_for_sale = False
    session.commit()
    with pytest.raises(Refusal) as refusal:
        AIModel.to_sell(NAME, LAST_DAY)
    assert text_of(refusal.value).endswith("30 November 2026. Choose another model.")


def test_those_who_used_it_and_the_admins_are_told_once(app: Flask, session: Database) -> None:
    ada, bob, boss = (people.person(name) for name in ("ada", "bob", "boss"))
    boss.memberships[0].user.admin_role = "owner"
    used(ada, 3, days_ago=2)
    used(bob, 3, days_ago=40)

    assert tell_of_endings() == tell_of_endings() == 3
    told = session.scalars(select(OutgoingMail).where(OutgoingMail.key.like("model_ends:%"))).all()
    assert {mail.to for mail in told if mail.template == "model_ends"} == {"ada@example.com"}
    assert [mail.context["calls"] for mail in told if mail.template == "model_ends"] == [3]
    assert "boss@example.com" in {mail.to for mail in told if mail.template == "model_ends_admin"}


def test_nobody_is_told_31_days_before_or_of_what_is_off_sale(app: Flask, session: Database) -> None:
    session.query(AIModel).filter(AIModel.name != NAME).update({"is_for_sale": False})
    session.commit()
    with time_machine.travel(LAST_DAY - timedelta(days=31), tick=False):
        assert tell_of_endings() == 0
    with time_machine.travel(LAST_DAY - timedelta(days=30), tick=False):
        assert tell_of_endings() == 1


def test_the_last_day_comes_with_the_price_proposals(app: Flask, session: Database) -> None:
    session.query(AIModel).filter_by(name=NAME).update({"sold_until": None, "successor": None})
    session.query(AIModel).filter_by(name="gpt-5-mini").update({"sold_until": LAST_DAY})
    session.commit()
    proposed = app.test_cli_runner().invoke(args=["prices", "import"]).output
    approved = app.test_cli_runner().invoke(args=["prices", "import", "--approve"]).output
    session.expire_all()

    assert "ends       claude-sonnet-4-5: last day none -> 2026-11-30, then claude-sonnet-5-5" in proposed == approved
    assert "ends       gpt-5-mini: last day 2026-11-30 -> 2026-12-10" in proposed
    assert (AIModel.named(NAME).sold_until, AIModel.named("gpt-5-mini").sold_until) == (LAST_DAY, LAST_DAY)
    app.test_cli_runner().invoke(args=["prices", "import", "--approve", "gpt-5-mini"])
    session.expire_all()
    assert AIModel.named("gpt-5-mini").sold_until == datetime(2026, 12, 10, tzinfo=UTC)
