"""Titles by the cheapest model: after the first answer, once, charged as a call of its own; a person's own wins."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from rq import Queue
from rq.serializers import JSONSerializer

from app.generation.titles import write_title
from app.jobs import QUEUE, connect
from app.models.catalog.ai_model import AIModel
from app.models.chat.chat import Chat
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.models.metering.usage import Usage
from tests.chat.conftest import Door
from tests.chat.test_chat_actions import Browser
from tests.support import Database, people
from tests.support.client import form_token
from tests.support.people import CREDIT
from tests.support.provider_server import ProviderServer
from tests.support.running_app import await_that

WISH = {"model": "gpt-test", "write_title": True}


@pytest.fixture
def ada(ada: Door, session: Database) -> Door:
    """ada, and a model that is cheaper than the one she asks."""
    session.query(AIModel).update({"is_for_sale": False})
    session.query(AIModel).filter_by(name="gpt-test").one().is_for_sale = True
    people.model("small-test", dollars_in="0.1", dollars_out="0.4")
    session.commit()
    return ada


@pytest.fixture
def asked(ada: Door, provider: ProviderServer) -> str:
    """A chat of ada's whose first answer is there, and whose title is still to be written."""
    chat = ada.call("POST", "/chats", json=WISH).json["id"]
    provider.configure(text="It floats.", input_tokens=10)
    ada.ask("Why does a ferry float?", chat=chat)
    provider.configure(text='## "Why Ferries Float."\nMore', input_tokens=100)
    return chat


def shown(person: Door, chat: str) -> tuple[str, bool]:
    result = person.call("GET", f"/chats/{chat}").json
    return result["title"], result["wants_title"]


def titles_paid(session: Database) -> list[Usage]:
    session.rollback()
    return session.query(Usage).filter_by(operation="title").all()


def test_the_cheapest_model_writes_the_title_as_a_call_of_its_own(
    ada: Door, asked: str, session: Database, provider: ProviderServer
) -> None:
    before = ada.balance()["available_nanos"]
    write_title(int(asked))
    [call] = titles_paid(session)
    used = ada.call("GET", f"/usage/chat/{asked}").json

    assert shown(ada, asked) == ("Why Ferries Float", False)
    assert (call.model, call.state, call.chat_id) == ("small-test", "settled", int(asked))
    assert 0 < call.paid_nanos <= call.reserved_nanos < CREDIT
    assert ada.balance()["available_nanos"] == before - call.paid_nanos
    assert (used["calls"], [row["model"] for row in used["by_model"]]) == (2, ["gpt-test", "small-test"])
    assert provider.last["body"]["messages"][1]["content"] == (
        "Question: Why does a ferry float?\n\nAnswer: It floats."
    )


def test_a_title_is_paid_within_what_its_key_may_and_ends_with_it(ada: Door, asked: str, session: Database) -> None:
    key = session.query(ApiKey).one()
    key.revoke()
    session.commit()
    write_title(int(asked))
    assert titles_paid(session) == []
    key.revoked_at, key.models = None, ["gpt-test"]
    session.commit()
    write_title(int(asked))
    [call] = titles_paid(session)
    assert (call.model, call.api_key_id) == ("gpt-test", key.id)


def test_a_title_is_written_and_paid_once(ada: Door, asked: str, session: Database) -> None:
    for _ in range(2):
        write_title(int(asked))
    session.query(Chat).filter_by(id=int(asked)).one().wants_title = True
    session.commit()
    write_title(int(asked))

    assert (len(titles_paid(session)), shown(ada, asked)) == (1, ("Why Ferries Float", False))


def test_a_title_by_hand_wins(ada: Door, asked: str, session: Database) -> None:
    ada.call("PATCH", f"/chats/{asked}", json={"title": "Mine"})
    write_title(int(asked))
    assert (shown(ada, asked), titles_paid(session)) == (("Mine", False), [])


def test_a_title_by_hand_wins_while_one_is_written(
    ada: Door, asked: str, session: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = "app.generation.titles.plain"
    monkeypatch.setattr(plain, lambda text: ada.call("PATCH", f"/chats/{asked}", json={"title": "Mine"}) and text)
    write_title(int(asked))
    assert (shown(ada, asked), len(titles_paid(session))) == (("Mine", False), 1)


def test_where_the_call_fails_the_first_words_stay_and_nothing_is_paid(
    ada: Door, asked: str, session: Database, provider: ProviderServer
) -> None:
    provider.configure(fault="400")
    write_title(int(asked))

    assert shown(ada, asked) == ("Why does a ferry float?", False)
    assert [call.paid_nanos for call in titles_paid(session)] == [0]


def test_without_credits_the_first_words_stay(ada: Door, asked: str, session: Database) -> None:
    account = session.query(Account).filter(Account.credits_nanos > 0).one()
    people.give(account, allowance=-account.allowance_nanos, credits=-account.credits_nanos)
    session.commit()
    write_title(int(asked))
    assert (shown(ada, asked), titles_paid(session)) == (("Why does a ferry float?", False), [])


def test_a_title_never_takes_the_last_place_from_a_question(ada: Door, asked: str, session: Database) -> None:
    account = session.query(Account).filter(Account.credits_nanos > 0).one()
    account.plan.parallel_calls = 1
    session.commit()
    write_title(int(asked))
    assert (shown(ada, asked)[1], titles_paid(session)) == (True, [])


def test_the_first_answer_of_a_chat_rings_for_its_title(app: Flask, asked: str) -> None:
    await_that(lambda: waiting(app) == [(int(asked),)])


def waiting(app: Flask) -> list[tuple[int, ...]]:
    """The chats that the queue is to title."""
    with app.app_context():
        jobs = Queue(QUEUE, connection=connect(), serializer=JSONSerializer).jobs
        return [tuple(job.args) for job in jobs if job.func_name == "app.generation.titles.write_title"]


def test_programs_are_not_given_titles_unasked(ada: Door, app: Flask) -> None:
    chat = ada.new_chat()
    ada.ask("Why?", chat=chat)
    assert (shown(ada, chat), waiting(app)) == (("Why?", False), [])


@pytest.mark.parametrize("wants", [True, False])
def test_the_page_has_titles_unless_the_account_does_not_want_them(
    client: FlaskClient, ada: Door, session: Database, wants: bool
) -> None:
    browser = Browser(client, "ada")
    browser.post("/account/titles", **({"writes_titles": "on"} if wants else {}))
    headers = {"X-CSRFToken": form_token(client)}
    made = client.post("/api/chats", json={"model": "gpt-test"}, headers=headers).json
    assert made["wants_title"] is wants
