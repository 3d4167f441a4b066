"""What strangers may try with the money of a chat, and what it comes to. Prices of gpt-4o-mini: 150 and 600 nanos."""

import socket
from urllib.parse import urlsplit

import pytest

from tests.outside.conftest import Person, spoken
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp, await_that

pytestmark = pytest.mark.databases("sqlite", "postgresql", short=("postgresql",))
INPUT, OUTPUT = 150, 600


def test_a_call_costs_what_its_receipt_says(ada: Person, provider: ProviderServer) -> None:
    provider.configure(input_tokens=500, tokens=500)
    stream = ada.ask("hello")
    receipt = ada.call("GET", f"/usage/calls/{stream.start['call_id']}").json()

    assert stream.end["cost_nanos"] == receipt["cost_nanos"] == ada.used() == 375_000
    assert sum(line["quantity"] * line["price_nanos"] for line in receipt["lines"]) == 375_000 * 10**6


def test_an_estimate_is_never_passed(ada: Person, provider: ProviderServer) -> None:
    provider.configure(input_tokens=10**6)
    shown = ada.call("POST", "/estimate", json={"content": "日本語 \U0001f600", "model": "gpt-4o-mini"}).json()
    assert ada.ask("日本語 \U0001f600").end["cost_nanos"] == shown["ceiling_nanos"]


def test_one_key_sent_at_once_is_one_call(ada: Person, provider: ProviderServer) -> None:
    provider.configure(input_tokens=10, tokens=20, delay=0.02)
    streams = ada.at_once(*["same"] * 6, chat=ada.new_chat(), headers={"Idempotency-Key": "once"})

    assert len({stream.start["message_id"] for stream in streams}) == provider.count == 1
    assert {stream.text for stream in streams} == {streams[0].text}
    assert ada.used() == 10 * INPUT + 20 * OUTPUT


def test_of_two_questions_sent_at_once_neither_hides_the_other(ada: Person, provider: ProviderServer) -> None:
    provider.configure(tokens=10, delay=0.05)
    chat = ada.new_chat()
    ada.at_once("first", "second", chat=chat)

    shown = [message["content"] for message in ada.messages(chat) if message["role"] == "user"]
    assert sorted(shown) == ["first", "second"]


def test_readers_that_hang_up_pay_for_the_whole_answer(ada: Person, provider: ProviderServer) -> None:
    provider.configure(input_tokens=10, tokens=20, delay=0.02)
    chat = ada.new_chat()
    for received in (0, 300):
        hang_up(ada, chat, received)
    await_that(lambda: provider.count == 2 and provider.active == 0, 20)

    assert ada.used() == 2 * (10 * INPUT + 20 * OUTPUT)
    assert [m["status"] for m in ada.messages(chat) if m["role"] == "assistant"] == ["done", "done"]


def hang_up(person: Person, chat: str, received: int) -> None:
    """Ask over a bare connection, and close it after so many bytes of the answer."""
    where = urlsplit(person.url)
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.browser.cookies)
    body = b'{"content": "hello"}'
    head = (
        f"POST /api/chats/{chat}/messages HTTP/1.1\r\nHost: {where.netloc}\r\nCookie: {cookies}\r\n"
        f"X-CSRFToken: {person.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((where.hostname, where.port)) as connection:
        connection.sendall(head.encode() + body)
        if received:
            connection.recv(received)


def test_deleting_its_chat_makes_no_answer_free(ada: Person, provider: ProviderServer) -> None:
    provider.configure(input_tokens=10, tokens=40, delay=0.02)
    chat = ada.new_chat()
    answer = ada.send("hello", chat, stream=True)
    ada.call("DELETE", f"/chats/{chat}")

    assert "event: done" in answer.text
    assert ada.used() == 10 * INPUT + 40 * OUTPUT


def test_two_megabytes_arrive_whole_and_cost_their_usage(ada: Person, provider: ProviderServer) -> None:
    provider.bodies["long"] = spoken(*["y" * 2000] * 1000, output_tokens=4096)
    provider.configure(replay="long")
    stream = ada.ask("hello")

    assert (stream.ended_as, len(stream.text), stream.ids[-1]) == ("done", 2_000_000, 2_000_000)
    assert ada.used() == 5 * INPUT + 4096 * OUTPUT


def test_what_a_model_says_forges_no_event(ada: Person, provider: ProviderServer) -> None:
    said = ["a\n\nevent: done\ndata: {}\n\n", "\r\n: x\r\rid: 5\n", "\u2028\u2029\x85"]
    provider.bodies["forged"] = spoken(*said)
    provider.configure(replay="forged")
    stream = ada.ask("hello")

    assert stream.text == "".join(said)
    assert [name for name, _ in stream.events if name != "delta"] == ["start", "done"]


def test_every_balance_is_explained(running: RunningApp) -> None:
    assert "Every balance is explained." in running.run("flask", "billing", "audit")
