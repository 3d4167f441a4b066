"""An answer that was cut short says so and goes on in its place; a cheaper model is named only where it would pass."""

import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from app.models.billing.audit import audit
from app.models.catalog.ai_model import AIModel
from app.models.catalog.setting import Setting
from app.models.chat.chat import Message
from app.models.identity.account import Account
from app.models.metering.usage import Usage
from tests.chat.conftest import Door
from tests.support import Database, people
from tests.support.people import CREDIT, Heard, heard
from tests.support.provider_server import ProviderServer


def go_on(door: Door, of: Heard, **body: object) -> Heard:
    answer = door.call("POST", f"/messages/{of.start['message_id']}/continue", json=body)
    assert answer.status_code == 200, answer.text
    return heard(answer.data)


def cut_short(door: Door, provider: ProviderServer, **fields: object) -> Heard:
    provider.configure(finish="length", text="The tides are")
    return door.ask("How do the tides work?", **fields)


@pytest.mark.databases("sqlite", "postgresql", short="in turns")
def test_the_same_message_goes_on_by_a_call_of_its_own(ada: Door, provider: ProviderServer, session: Database) -> None:
    first = cut_short(ada, provider)
    told = {"message_id": first.start["message_id"], "goes_on": True}
    price = ada.call("POST", "/estimate", json=told).json
    provider.configure(text=" the moon's doing.")
    second = go_on(ada, first, max_cost_nanos=price["ceiling_nanos"])
    chat = ada.call("GET", f"/chats/{first.start['chat_id']}").json
    [_question, answer] = chat["messages"]

    assert answer["content"] == "The tides are the moon's doing."
    assert (answer["id"], answer["call_id"]) == (first.start["message_id"], second.start["call_id"])
    assert (second.text, second.ids[-1]) == (" the moon's doing.", len(answer["content"]))
    assert answer["cost_nanos"] == first.end["cost_nanos"] + second.end["cost_nanos"]
    assert second.end["cost_nanos"] <= second.start["ceiling_nanos"] == price["ceiling_nanos"]
    sent = [(said["role"], said["content"]) for said in provider.last["body"]["messages"]]
    assert sent[:2] == [("user", "How do the tides work?"), ("assistant", "The tides are")]
    receipts = [ada.call("GET", f"/usage/calls/{call.start['call_id']}").json for call in (first, second)]
    assert [one["message_id"] for one in receipts] == [answer["id"]] * 2
    assert receipts[1]["continues_call_id"] == first.start["call_id"]
    followed = heard(ada.call("GET", f"/messages/{answer['id']}/stream").data)
    assert followed.text == answer["content"]
    assert list(audit()) == []


def test_only_the_last_answer_that_was_cut_short_goes_on_and_once(
    ada: Door, provider: ProviderServer, session: Database
) -> None:
    first = cut_short(ada, provider)
    provider.configure(finish="stop", text=" so.")
    done = go_on(ada, first)
    again = ada.call("POST", f"/messages/{first.start['message_id']}/continue", json={})
    assert (again.status_code, again.json["code"]) == (409, "cannot_go_on")
    older = cut_short(ada, provider, chat=first.start["chat_id"])
    ada.ask("And now?", chat=first.start["chat_id"])
    past = ada.call("POST", f"/messages/{older.start['message_id']}/continue", json={})
    assert (past.status_code, past.json["code"]) == (409, "cannot_go_on")
    assert done.end["can_go_on"] is False


@pytest.mark.databases("sqlite", "postgresql")
def test_of_several_who_go_on_at_once_one_does(
    app: Flask, ada: Door, provider: ProviderServer, session: Database
) -> None:
    def press(path: str) -> int:
        return app.test_client().post(path, json={}, headers=ada.headers, buffered=True).status_code

    Setting.put("parallel_calls", 100)
    session.commit()
    with ThreadPoolExecutor(6) as crowd:
        for _ in range(2):
            path = f"/api/messages/{cut_short(ada, provider).start['message_id']}/continue"
            provider.configure(finish="stop", text=" so.")
            assert sorted(crowd.map(press, [path] * 6)) == [200] + [409] * 5
    session.rollback()
    assert list(audit()) == []


def test_what_fails_is_free_keeps_what_was_there_and_goes_on(
    ada: Door, provider: ProviderServer, session: Database
) -> None:
    first = cut_short(ada, provider)
    provider.configure(fault="cut", after=2, finish="stop")
    failed = go_on(ada, first)
    session.expire_all()
    message = session.get_one(Message, int(first.start["message_id"]))
    assert (failed.ended_as, failed.end["cost_nanos"], message.status) == ("error", 0, "failed")
    assert message.content.startswith("The tides are")
    assert message.can_go_on
    provider.reset()
    provider.configure(text=" it.")
    go_on(ada, first)
    session.expire_all()
    assert message.content.endswith(" it.")
    assert message.status == "done"
    assert message.charged_nanos == sum(call.paid_nanos for call in session.query(Usage))


def test_a_repeat_under_one_key_is_the_same_answer(ada: Door, provider: ProviderServer) -> None:
    headers, chat = {"Idempotency-Key": "k"}, ada.new_chat()
    provider.configure(finish="length", text="One, two")
    first = heard(ada.send("Count.", chat=chat, headers=headers).data)
    provider.configure(text=", three")
    path = f"/messages/{first.start['message_id']}/continue"
    rest = [heard(ada.call("POST", path, json={}, headers=headers).data) for _ in range(2)]
    again = heard(ada.send("Count.", chat=chat, headers=headers).data)

    assert rest[0].start["call_id"] == rest[1].start["call_id"]
    assert rest[1].text == again.text == "One, two, three"


def test_a_shortened_answer_says_so(door: Callable[..., Door], provider: ProviderServer, session: Database) -> None:
    bob = door("bob", credits=CREDIT)
    stream = cut_short(bob, provider, max_output_tokens=16_000)
    receipt = bob.call("GET", f"/usage/calls/{stream.start['call_id']}").json

    assert (stream.end["finish_reason"], stream.end["shortened"]) == ("length", True)
    assert "your balance or a limit" in stream.end["note"]
    assert receipt["shortened_from"] == 16_000 > receipt["max_output_tokens"]
    whole = cut_short(bob, provider, max_output_tokens=300)
    assert whole.end["shortened"] is False
    assert "length limit" in whole.end["note"]


def test_a_cheaper_model_that_is_named_passes_at_its_price(
    door: Callable[..., Door], provider: ProviderServer, session: Database
) -> None:
    """Random chats, windows, hosts' additions and balances: what the refusal names is sent in one click."""
    chance = random.Random(4)  # noqa: S311
    Setting.put("overdraft", 0)
    bob, named = door("bob", credits=CREDIT), 0
    for name in ("gpt-small", "gpt-large"):
        people.model(name, dollars_in="1", dollars_out="2")
    for _ in range(int(os.environ.get("RUNS", "4"))):
        resize(session, chance)
        leave(session, 200 * CREDIT)
        chat = bob.new_chat()
        for _ in range(chance.randrange(3)):
            provider.configure(text="so it is. " * chance.randrange(1, 200))
            bob.ask("and then? " * chance.randrange(1, 100), chat=chat, max_output_tokens=300)
        leave(session, chance.randrange(CREDIT // 4, 8 * CREDIT))
        question = {"content": "why? " * chance.randrange(1, 400), "max_output_tokens": 4_000}
        refused = bob.send(**question, chat=chat).json
        if refused and "model" in refused:
            named += 1
            cheaper = {"model": refused["model"], "max_cost_nanos": refused["model_ceiling_nanos"]}
            passed = bob.send(**question, **cheaper, chat=chat)
            assert passed.status_code == 200, (refused, passed.text)
    assert named


def resize(session: Database, chance: random.Random) -> None:
    for model in session.query(AIModel).filter(AIModel.name.startswith("gpt-")):
        model.context_window = chance.choice((2_500, 6_000, 128_000))
        if model.name != "gpt-test":
            model.extra_input_tokens = chance.choice((None, 400, 3_000))
    session.commit()


def leave(session: Database, credits: int) -> None:
    session.expire_all()
    account = session.query(Account).order_by(Account.id.desc()).first()
    assert account is not None
    people.give(account, credits=credits - account.credits_nanos)
    session.commit()
