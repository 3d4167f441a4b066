"""Sending, repeating, answering again, editing, following: what the messages of a chat become."""

import threading

import pytest

from app.models.chat.chat import Chat, Message
from app.models.metering.usage import Usage
from tests.chat.conftest import Door
from tests.support import Database
from tests.support.people import heard
from tests.support.provider_server import ProviderServer

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


def contents(person: Door, chat: str) -> list[str]:
    return [message["content"] for message in person.call("GET", f"/chats/{chat}").json["messages"]]


def test_the_provider_reads_the_conversation_so_far(ada: Door, provider: ProviderServer) -> None:
    chat = ada.new_chat()
    provider.configure(text="First.")
    ada.ask("One?", chat=chat)
    ada.ask("Two?", chat=chat)
    sent = provider.last["body"]["messages"]
    assert [message["content"] for message in sent] == ["One?", "First.", "Two?"]


def test_a_chat_is_titled_by_its_first_question(ada: Door) -> None:
    chat = ada.new_chat()
    ada.ask("What  is\na toll gate, and why?", chat=chat)
    assert ada.call("GET", f"/chats/{chat}").json["title"] == "What is a toll gate, and why?"


def test_an_event_id_is_the_number_of_characters_so_far(ada: Door, provider: ProviderServer) -> None:
    provider.configure(text="Zwölf Äpfel 🍎.", delay=0.01)
    stream = ada.ask("hi")
    assert (stream.ids[0], stream.ids[-1]) == (0, len("Zwölf Äpfel 🍎."))


def test_a_finished_answer_can_be_followed_from_any_character(ada: Door, provider: ProviderServer) -> None:
    provider.configure(text="0123456789")
    message = ada.ask("hi").start["message_id"]
    again = heard(ada.call("GET", f"/messages/{message}/stream", headers={"Last-Event-ID": "4"}).data)

    assert (again.text, again.ended_as) == ("456789", "done")
    assert again.end["cost_nanos"] > 0


def test_the_same_key_gives_the_same_message(ada: Door, session: Database) -> None:
    chat = ada.new_chat()
    key = {"Idempotency-Key": "k1"}
    first, second = (ada.ask("hi", chat=chat, headers=key) for _ in range(2))

    assert first.start["message_id"] == second.start["message_id"]
    assert (first.text, first.end["cost_nanos"]) == (second.text, second.end["cost_nanos"])
    assert session.query(Usage).count() == 1


def test_the_same_key_with_another_body_is_a_conflict(ada: Door) -> None:
    chat = ada.new_chat()
    key = {"Idempotency-Key": "k1"}
    ada.ask("hi", chat=chat, headers=key)
    other = ada.send("hello", chat=chat, headers=key)
    assert (other.status_code, other.json["code"]) == (409, "idempotency_key_reused")


def test_a_key_is_kept_only_once_the_gate_accepts(ada: Door) -> None:
    chat = ada.new_chat()
    key = {"Idempotency-Key": "k1"}
    assert ada.send("hi", chat=chat, model="nope", headers=key).status_code == 404
    assert ada.ask("hi", chat=chat, headers=key).ended_as == "done"


@pytest.mark.databases("sqlite", "postgresql")
def test_a_key_at_once_from_two_sides_makes_one_message(ada: Door, session: Database, provider: ProviderServer) -> None:
    provider.configure(delay=0.01)
    chat, streams = ada.new_chat(), []

    def send() -> None:
        streams.append(ada.ask("hi", chat=chat, headers={"Idempotency-Key": "k1"}))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({stream.start["message_id"] for stream in streams}) == 1
    assert len(streams) == 4
    assert session.query(Usage).count() == 1


def test_a_second_answer_stands_beside_the_first(ada: Door, provider: ProviderServer, session: Database) -> None:
    chat = ada.new_chat()
    provider.configure(text="First.")
    first = ada.ask("Q?", chat=chat).start["message_id"]
    provider.configure(text="Second.")
    heard(ada.call("POST", f"/messages/{first}/regenerate", json={}).data)

    assert contents(ada, chat) == ["Q?", "Second."]
    assert session.query(Message).filter_by(role="assistant").count() == 2


def test_an_edited_question_keeps_the_earlier_version(ada: Door, provider: ProviderServer, session: Database) -> None:
    chat = ada.new_chat()
    question = ada.ask("Teh?", chat=chat).start["user_message_id"]
    provider.configure(text="The.")
    heard(ada.call("PUT", f"/messages/{question}", json={"content": "The?"}).data)

    assert contents(ada, chat) == ["The?", "The."]
    assert session.query(Message).filter_by(content="Teh?").count() == 1


@pytest.mark.parametrize(
    "bad", [{}, {"content": ""}, {"content": 5}, {"content": "x", "max_output_tokens": "many"}, []]
)
def test_bad_input_names_the_field_and_stores_nothing(ada: Door, session: Database, bad: object) -> None:
    chat = ada.new_chat()
    answer = ada.call("POST", f"/chats/{chat}/messages", json=bad)

    assert (answer.status_code, answer.json["code"]) == (400, "invalid_request")
    assert answer.json["errors"]
    assert session.query(Message).count() == 0


@pytest.mark.parametrize("content", ["\x00 nul", "\ud800 half a character", "é" * 1000, "漢字🍎"])
def test_any_text_can_be_asked_and_is_read_back(ada: Door, content: str) -> None:
    chat = ada.new_chat()
    assert ada.ask(content, chat=chat).ended_as == "done"
    assert len(contents(ada, chat)) == 2


def test_a_deleted_chat_is_gone_but_its_receipts_stay(ada: Door, session: Database) -> None:
    chat = ada.new_chat()
    ada.ask("hi", chat=chat)
    assert ada.call("DELETE", f"/chats/{chat}").status_code == 204
    assert ada.call("GET", f"/chats/{chat}").status_code == 404
    assert session.query(Usage).count() == 1
    assert session.query(Chat).count() == 1
