"""Requests that no honest client sends: each is refused in the interface's words, and none is charged."""

from tests.outside.conftest import Person
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp

BODIES = {
    "NaN": b'{"content": "x", "max_output_tokens": NaN}',
    "a boolean": b'{"content": "x", "max_output_tokens": true}',
    "a negative number": b'{"content": "x", "max_cost_nanos": -1}',
    "a number of 5,000 digits": b'{"content": "x", "max_cost_nanos": ' + b"9" * 5000 + b"}",
    "a deep list": b"[" * 100_000,
    "a deep content": b'{"content": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "bytes": b"\xff\xfe\x00",
    "null": b"null",
    "nothing": b"",
    "a list": b'{"content": ["x"]}',
    "white space": b'{"content": " \\n"}',
    "NULs": b'{"content": "\\u0000\\u0000"}',
    "5 MB": b'{"content": "' + b"x" * 5_000_000 + b'"}',
}


def test_a_body_that_cannot_be_taken_is_named_and_free(ada: Person, provider: ProviderServer) -> None:
    for kind, body in BODIES.items():
        answer = ada.call("POST", f"/chats/{ada.new_chat()}/messages", data=body)
        seen = answer.status_code, answer.headers["Content-Type"], answer.json()["code"]
        assert (kind, *seen) == (kind, 400, "application/problem+json", "invalid_request")
        assert answer.json()["errors"], kind
    assert (provider.count, ada.used()) == (0, 0)


def test_a_hostile_name_of_a_model_is_just_unknown(ada: Person) -> None:
    for name in ("a/../b", "' OR 1=1 --", "%s{0}", "\U0001f600"):
        answer = ada.call("POST", "/chats", json={"model": name})
        assert (name, answer.status_code, answer.json()["code"]) == (name, 404, "model_not_found")


def test_an_empty_question_in_a_chat_that_goes_on_is_not_asked(ada: Person, provider: ProviderServer) -> None:
    chat = ada.new_chat()
    ada.ask("hello", chat)
    answer = ada.send("\0", chat)

    assert (answer.status_code, answer.json()["errors"]) == (400, {"content": ["is empty."]})
    assert provider.count == 1


def test_lone_surrogates_are_asked_as_question_marks(ada: Person, provider: ProviderServer) -> None:
    answer = ada.call("POST", f"/chats/{ada.new_chat()}/messages", data=b'{"content": "\\ud800x"}')

    assert answer.status_code == 200
    assert provider.last["body"]["messages"][-1]["content"] == "?x"


def test_no_admin_without_an_address(running: RunningApp) -> None:
    assert "not a valid email address" in running.run("flask", "user", "create-admin", "nobody", expect=2)
