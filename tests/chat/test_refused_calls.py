"""What a refused call leaves behind: who asked for what and the code, for 90 days, and no words."""

from contextlib import ExitStack, suppress
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy.exc import TimeoutError as NoConnection

from app.extensions import db
from app.generation.jobs import forget_refused_calls
from app.models.base import utcnow
from app.models.identity.account import Account
from app.models.metering.refusal import Attempt, Refusal
from app.models.operations.refused_call import MOST_A_DAY, RefusalCount, RefusedCall
from tests.chat.conftest import Door
from tests.support import Database, people
from tests.support.people import CREDIT

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


def kept(session: Database) -> list[RefusedCall]:
    session.rollback()
    return session.query(RefusedCall).order_by(RefusedCall.id).all()


def test_a_call_that_the_balance_refuses_is_kept_with_what_it_asked_for(ada: Door, session: Database) -> None:
    chat, account = ada.new_chat(), session.query(Account).order_by(Account.id.desc()).first()
    people.give(account, credits=-account.credits_nanos - 60 * CREDIT, allowance=-account.allowance_nanos)
    session.commit()
    begun = utcnow()
    answer = ada.send("How do the tides work?", chat=chat, max_output_tokens=900)
    [call] = kept(session)

    assert answer.status_code == 402
    assert (call.code, call.account_id, call.user_id) == (
        "out_of_credits",
        account.id,
        account.memberships[0].user_id,
    )
    assert (call.model, call.max_output_tokens, call.api_key_id is None) == ("gpt-test", 900, False)
    assert call.input_bound >= len("How do the tides work?")
    assert begun <= call.created_at <= utcnow()


def test_a_refusal_before_the_prompt_is_kept_without_one(ada: Door, session: Database) -> None:
    chat, account = ada.new_chat(), session.query(Account).order_by(Account.id.desc()).first()
    account.frozen_at, account.frozen_by = utcnow(), "admin"
    session.commit()
    ada.send("hi", chat=chat)
    [call] = kept(session)

    assert (call.code, call.model, call.input_bound, call.max_output_tokens) == (
        "account_frozen",
        None,
        None,
        None,
    )


def test_a_refusal_is_told_where_no_connection_is_left_to_keep_it(
    ada: Door, session: Database, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat, account = ada.new_chat(), session.query(Account).order_by(Account.id.desc()).first()
    account.frozen_at, account.frozen_by = utcnow(), "admin"
    session.commit()
    note, taken = RefusalCount.note, ExitStack()

    def when_all_are_taken(account_id: int, code: str) -> int:
        with suppress(NoConnection):
            while True:
                taken.enter_context(db.engine.connect())
        return note(account_id, code)

    monkeypatch.setattr(RefusalCount, "note", when_all_are_taken)
    with app.app_context():
        pool = db.engine.pool
    with monkeypatch.context() as hurried, taken:  # before the pool is made again, as it is, for the next test
        hurried.setattr(pool, "_timeout", 0.01)
        answer = ada.send("hi", chat=chat)
    assert (answer.status_code, answer.json["code"]) == (403, "account_frozen")
    assert kept(session) == []


def test_what_is_asked_again_and_again_is_kept_so_often_and_counted_on(session: Database) -> None:
    account = people.person("ada")
    refusal = Refusal("out_of_credits")
    refusal.attempt = Attempt("m", 10, 20, 1)
    session.add(RefusalCount(account_id=account.id, day=utcnow().date(), code="out_of_credits", count=MOST_A_DAY - 2))
    session.commit()
    counts = []
    for _ in range(4):
        counts.append(RefusalCount.note(account.id, "out_of_credits"))
        RefusedCall.note(people.actor(account), refusal, counts[-1])
    session.commit()

    assert counts == [MOST_A_DAY - 1, MOST_A_DAY, MOST_A_DAY + 1, MOST_A_DAY + 2]
    assert len(kept(session)) == 2


def test_a_purchase_that_a_plan_forbids_is_no_call(session: Database) -> None:
    account = people.person("ada")
    RefusedCall.note(people.actor(account), Refusal("packs_not_allowed"), 1)
    session.commit()

    assert kept(session) == []


def test_after_90_days_it_is_gone(session: Database) -> None:
    account = people.person("ada")
    RefusedCall.note(people.actor(account), Refusal("out_of_credits"), 1)
    session.commit()
    with time_machine.travel(utcnow() + timedelta(days=89, hours=23)):
        assert forget_refused_calls() == 0
    with time_machine.travel(utcnow() + timedelta(days=90, seconds=1)):
        assert forget_refused_calls() == 1
    assert kept(session) == []
