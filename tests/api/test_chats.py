"""Chats and their messages, as the interface names the fields; estimates."""

import pytest

from app.models.catalog.setting import Setting
from tests.chat.conftest import Door
from tests.support import Database
from tests.support.people import heard
from tests.support.provider_server import ProviderServer


def test_a_new_chat_has_an_id_a_title_and_a_model(ada: Door) -> None:
    answer = ada.call("POST", "/chats", json={"model": "gpt-4o", "title": "Plans"})

    assert (answer.status_code, answer.json["title"], answer.json["model"]) == (201, "Plans", "gpt-4o")
    assert ada.call("GET", f"/chats/{answer.json['id']}").json["messages"] == []


def test_a_chat_shows_each_message_with_what_it_cost(ada: Door, provider: ProviderServer) -> None:
    provider.configure(tokens=500, input_tokens=500)
    chat = ada.new_chat()
    heard = ada.ask("hi", chat=chat)
    question, answer = ada.call("GET", f"/chats/{chat}").json["messages"]

    assert (question["role"], question["content"], question["status"], question["cost_nanos"]) == (
        "user", "hi", "done", None,
    )  # fmt: skip
    assert (answer["role"], answer["content"], answer["status"]) == ("assistant", heard.text, "done")
    assert (answer["call_id"], answer["cost_nanos"], answer["cost_credits"]) == (
        heard.end["call_id"], 6_250_000, "6.25",
    )  # fmt: skip


def test_a_failed_answer_says_why_and_costs_nothing(ada: Door, provider: ProviderServer) -> None:
    provider.configure(fault="500")
    chat = ada.new_chat()
    receipt = ada.call("GET", f"/usage/calls/{ada.ask('hi', chat=chat).end['call_id']}").json
    answer = ada.call("GET", f"/chats/{chat}").json["messages"][1]

    assert (answer["status"], answer["cost_nanos"], answer["error"]["code"]) == ("failed", 0, "provider_error")
    assert (receipt["cost_nanos"], receipt["state"], receipt["outcome"]) == (0, "released", "failed")
    assert ada.call("GET", f"/usage/chat/{chat}").json["calls"] == 0


@pytest.mark.databases("sqlite", "postgresql")
def test_search_knows_every_script_without_regard_to_case(ada: Door) -> None:
    titles = {
        "Привет, мир": "привет",
        "Øystein Ångström": "øYSTEIN å",
        "ΑΘΗΝΑ": "αθηνα",
        "東京の天気": "天気",
        "Cafe\u0301 in Łódź": "CAFÉ IN łÓDŹ",
        "Οδοσήμανση": "ΟΔΟΣ",
        "Große Straße": "STRASSE",
        "İstanbul": "istanbul",
        "\uff21\uff22\uff23 \uff11\uff10\uff10\uff05": "abc 100%",
        "हिन्दी कविता": "हिन्दी",
    }
    chats = {title: ada.call("POST", "/chats", json={"title": title}).json["id"] for title in titles}
    for title, typed in titles.items():
        listed = ada.call("GET", "/chats", query_string={"q": typed}).json["items"]
        assert [each["id"] for each in listed] == [chats[title]], title


def test_chats_are_found_by_title_and_by_what_was_said(ada: Door) -> None:
    by_title = ada.call("POST", "/chats", json={"title": "100% wool"}).json["id"]
    by_words = ada.new_chat()
    ada.ask("Where do the llamas live?", chat=by_words)

    def result(text: str) -> list[str]:
        return [chat["id"] for chat in ada.call("GET", "/chats", query_string={"q": text}).json["items"]]

    assert (result("100%"), result("LLAMAS"), result("0_ w")) == ([by_title], [by_words], [])


def test_a_chat_is_renamed_and_deleted(ada: Door) -> None:
    chat = ada.new_chat()

    assert ada.call("PATCH", f"/chats/{chat}", json={"title": "Named"}).json["title"] == "Named"
    assert ada.call("DELETE", f"/chats/{chat}").status_code == 204
    assert ada.call("GET", f"/chats/{chat}").status_code == 404


def test_a_call_never_costs_more_than_its_estimate(ada: Door, provider: ProviderServer) -> None:
    chat, sent = ada.new_chat(), {"content": "猫 and 🐈 " * 50, "max_output_tokens": 300}
    estimate = ada.call("POST", "/estimate", json=sent | {"chat_id": chat, "model": "gpt-test"}).json
    provider.configure(tokens=300, input_tokens=900)
    heard = ada.ask(sent["content"], chat=chat, max_output_tokens=300)

    assert heard.start["ceiling_nanos"] == estimate["ceiling_nanos"]
    assert 0 < heard.end["cost_nanos"] <= estimate["ceiling_nanos"]
    assert estimate["expected_nanos"] <= estimate["ceiling_nanos"]


@pytest.mark.parametrize("what", ["again", "edited"])
def test_the_estimate_beside_another_answer_is_its_ceiling(ada: Door, provider: ProviderServer, what: str) -> None:
    chat = ada.new_chat()
    ids = ada.ask("Hello, and a long question to count", chat=chat).start
    ada.ask("And another one, which is no part of it", chat=chat)
    if what == "again":
        body, asked = {}, {"message_id": ids["message_id"]}
        send = ("POST", f"/messages/{ids['message_id']}/regenerate")
    else:
        body = {"content": "Edited", "model": "gpt-test"}
        asked = body | {"message_id": ids["user_message_id"]}
        send = ("PUT", f"/messages/{ids['user_message_id']}")
    estimate = ada.call("POST", "/estimate", json=asked).json
    answer = heard(ada.call(*send, json=body | {"max_cost_nanos": estimate["ceiling_nanos"]}).data)
    assert answer.start["ceiling_nanos"] == estimate["ceiling_nanos"]


def test_an_estimate_charges_and_reserves_nothing(ada: Door) -> None:
    before = ada.balance()
    ada.call("POST", "/estimate", json={"content": "hi", "model": "gpt-test"})

    assert ada.balance() == before


def test_an_estimate_of_what_cannot_be_sent_is_refused(ada: Door) -> None:
    for sent, refusal in (
        ({"content": "hi", "model": "nothing"}, (404, "model_not_found")),
        ({"content": "hi", "model": "gemini-2.5-pro"}, (400, "model_not_for_sale")),
        ({"content": 7, "model": "gpt-test"}, (400, "invalid_request")),
        ({"content": "hi", "chat_id": "77"}, (404, "not_found")),
    ):
        answer = ada.call("POST", "/estimate", json=sent)
        assert (answer.status_code, answer.json["code"]) == refusal, sent


def test_instructions_are_bounded_in_bytes_as_a_message_is(ada: Door, session: Database) -> None:
    Setting.put("max_message_bytes", 1000)
    session.commit()
    chat, long = ada.new_chat(), {"system_prompt": "ß" * 501}
    told = {"model": "gpt-test", "content": "hi"}
    for method, path in (("POST", "/chats"), ("PATCH", f"/chats/{chat}"), ("POST", "/estimate")):
        refused = ada.call(method, path, json=long | (told if method == "POST" else {}))
        assert (refused.status_code, list(refused.json["errors"])) == (400, ["system_prompt"]), path
    assert ada.call("PATCH", f"/chats/{chat}", json={"system_prompt": "ß" * 500}).status_code == 200
