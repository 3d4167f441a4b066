"""A chat begins with its first accepted message: what is refused leaves nothing. billing-rules.md 6."""

from collections.abc import Callable

import pytest
from werkzeug.test import TestResponse

from app.models.catalog.plan import Plan
from app.models.chat.chat import Chat, Message
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from app.models.identity.membership import Membership
from tests.chat.conftest import Door
from tests.support import Database, people
from tests.support.people import CREDIT, heard

pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


def begin(door: Door, content: str, **fields: object) -> TestResponse:
    headers = fields.pop("headers", {})
    return door.call("POST", "/chats", json={"content": content, "model": "gpt-test", **fields}, headers=headers)


def chats(session: Database) -> int:
    session.rollback()
    return session.query(Chat).count()


def test_a_key_of_another_member_leads_to_no_answer_of_theirs(ada: Door, session: Database) -> None:
    account, bob = (
        session.query(Account).filter_by(name="Ada").one(),
        people.person("bob").memberships[0].user,
    )
    session.add(Membership(account_id=account.id, user_id=bob.id, role="member"))
    _key, secret = ApiKey.make(account.id, bob.id, "bob's")
    session.commit()
    said = {"json": {"content": "My secret plan", "model": "gpt-test"}, "headers": {"Idempotency-Key": "1"}}
    assert ada.call("POST", "/chats", **said).status_code == 200
    answer = Door(ada.client, secret).call("POST", "/chats", **said)
    assert (answer.status_code, answer.json["code"]) == (409, "idempotency_key_reused")


def test_a_chat_and_its_first_answer_are_one_step(ada: Door, session: Database) -> None:
    stream = heard(begin(ada, "Why is the sky blue?", system_prompt="Be brief.", max_output_tokens=300).data)
    chat = session.get_one(Chat, int(stream.start["chat_id"]))
    assert (stream.ended_as, chat.title, chat.system_prompt) == ("done", "Why is the sky blue?", "Be brief.")
    assert (chat.max_output_tokens, [message.role for message in chat.messages()]) == (
        300,
        ["user", "assistant"],
    )


@pytest.mark.parametrize(
    ("content", "fields", "status"),
    [
        ("x" * 2_000_000, {}, 400),
        ("hello", {"model": "nothing"}, 404),
        ("hello", {"attachments": ["1"]}, 400),
        ("hello", {"max_cost_nanos": 0}, 409),
        ("x" * 120_000, {}, 402),
    ],
)
def test_a_refused_first_message_leaves_no_chat(
    door: Callable[..., Door], session: Database, content: str, fields: dict[str, object], status: int
) -> None:
    bob = door("bob", credits=1)
    assert begin(bob, content, **fields).status_code == status
    assert (chats(session), session.query(Message).count()) == (0, 0)
    assert session.query(Account).order_by(Account.id.desc()).first().reserved_nanos == 0


def test_what_was_refused_counts_as_no_chat_of_the_month(ada: Door, session: Database) -> None:
    account = session.query(Account).order_by(Account.id.desc()).first()
    account.plan = Plan(name="Special", chats_per_month=2)
    session.commit()
    answers = [begin(ada, text).status_code for text in ("x" * 2_000_000, "x" * 2_000_000, "one", "two", "three")]
    assert answers == [400, 400, 200, 200, 429]
    assert chats(session) == 2


def test_a_repeat_under_the_same_key_begins_no_second_chat(ada: Door, session: Database) -> None:
    key = {"Idempotency-Key": "once"}
    first, second = (heard(begin(ada, "hello", headers=key).data) for _ in range(2))
    assert (first.start, chats(session)) == (second.start, 1)


def test_the_estimate_of_a_new_chat_counts_its_instructions(door: Callable[..., Door]) -> None:
    ada = door("ada", credits=100 * CREDIT)
    asked = {"content": "hello", "model": "gpt-test"}
    plain, told = (
        ada.call("POST", "/estimate", json=asked | fields).json["ceiling_nanos"]
        for fields in ({}, {"system_prompt": "x" * 1000})
    )
    stream = heard(begin(ada, "hello", system_prompt="x" * 1000, max_cost_nanos=told).data)
    assert plain < told == stream.start["ceiling_nanos"]
