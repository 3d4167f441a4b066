"""Guests: a few messages without an account, paid by the house, kept by whoever signs up."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app.extensions import db
from app.generation.jobs import forget_guests
from app.models.base import utcnow
from app.models.billing.audit import audit
from app.models.catalog.ai_model import AIModel
from app.models.catalog.setting import Setting
from app.models.chat.chat import Chat, Message
from app.models.identity.account import Account
from app.models.identity.guest_account import guest_actor, open_guest_account
from app.models.identity.user import User
from app.models.metering.usage import Usage
from tests.auth.conftest import Browser, quick_passwords
from tests.support import Database, people
from tests.support.people import CREDIT, Heard, heard

__all__ = ["quick_passwords"]


class Guest(Browser):
    """A browser without an account: `sent` with what was answered, `asked` with what was heard."""

    def call(self, method: str, path: str, **sent: object) -> TestResponse:
        return self.client.open(path, method=method, json=sent, headers={"X-CSRFToken": self.token()})

    def new_chat(self, **fields: object) -> str:
        answer = self.call("POST", "/api/chats", **fields)
        assert answer.status_code == 201, answer.text
        return answer.json["id"]

    def sent(self, content: str = "hello", *, chat: str | None = None, **fields: object) -> TestResponse:
        path = f"/api/chats/{chat or self.new_chat()}/messages"
        return self.call("POST", path, content=content, **fields)

    def asked(self, content: str = "hello", **fields: object) -> Heard:
        answer = self.sent(content, **fields)
        assert answer.status_code == 200, answer.text
        return heard(answer.data)


@pytest.fixture
def free(session: Database) -> AIModel:
    """Guests are let in, to one model of those on sale."""
    session.execute(update(AIModel).values(is_free_for_guests=False))
    people.model("gpt-dear", position=0)
    free = people.model("gpt-free", is_free_for_guests=True, position=1)
    Setting.put("guests_allowed", True)
    session.commit()
    return free


@pytest.fixture
def new_guest(app: Flask, free: AIModel) -> Callable[[], Guest]:
    def come() -> Guest:
        visitor = Guest(app.test_client())
        assert visitor.send("/try").location == "/chat"
        return visitor

    return come


@pytest.fixture
def guest(new_guest: Callable[[], Guest]) -> Guest:
    return new_guest()


def house(session: Database) -> Account:
    session.rollback()
    return session.scalars(select(Account).where(Account.kind == "house")).one()


@pytest.mark.databases("sqlite", "postgresql")
def test_two_guests_with_one_idempotency_key_have_an_answer_each(
    new_guest: Callable[[], Guest], session: Database
) -> None:
    """All guests are one account: a key, however plain, is its sender's own."""
    said = {"content": "hello", "model": "gpt-free"}
    chats = []
    for guest in (new_guest(), new_guest()):
        headers = {"X-CSRFToken": guest.token(), "Idempotency-Key": "1"}
        answers = [guest.client.post("/api/chats", json=said, headers=headers, buffered=True) for _ in range(2)]
        assert {answer.status_code for answer in answers} == {200}
        chats.append({heard(answer.data).start["chat_id"] for answer in answers})
    assert [len(one) for one in chats] == [1, 1]
    assert not chats[0] & chats[1]


def test_the_house_pays_for_a_guests_message(guest: Guest, session: Database) -> None:
    before = guest.asked().end["cost_nanos"]
    call = session.scalars(select(Usage)).one()
    assert (call.account_id, call.allowance_paid_nanos, call.model) == (house(session).id, before, "gpt-free")
    assert before > 0
    assert list(audit()) == []


@pytest.mark.parametrize("reason", ["not allowed", "no free model"])
def test_guests_are_let_in_only_where_the_admin_allows_it(
    guest: Guest, free: AIModel, session: Database, reason: str
) -> None:
    chat = guest.new_chat()
    if reason == "not allowed":
        Setting.put("guests_allowed", False)
    else:
        session.get(AIModel, free.id).is_free_for_guests = False
    session.commit()
    assert guest.sent(chat=chat).status_code == 401
    assert "/try" not in guest.get("/").text


def test_nobody_is_let_in_until_an_admin_says_so(app: Flask, session: Database) -> None:
    people.model(is_free_for_guests=True)
    session.commit()
    visitor = Guest(app.test_client())
    visitor.send("/try")
    assert visitor.get("/chat").location.startswith("/login")
    assert session.query(Account).filter_by(kind="house").count() == 0


def test_a_model_that_is_not_free_is_refused(guest: Guest) -> None:
    refused = guest.sent(model="gpt-dear")
    assert (refused.status_code, refused.json["code"]) == (403, "model_not_allowed")
    assert (refused.json["way_out"], refused.json["upgrade_url"]) == ("signup", "/signup")


def test_a_guest_may_send_a_few_messages_from_one_address(new_guest: Callable[[], Guest], session: Database) -> None:
    Setting.put("guest_messages", 2)
    session.commit()
    codes = [new_guest().sent().status_code for _ in range(2)]
    chat = new_guest()
    refused = chat.call("POST", "/api/chats/1/messages", content="hello")
    assert (codes, refused.status_code, refused.json["code"]) == ([200, 200], 429, "guest_limit_reached")
    assert "Sign up" in refused.json["detail"]
    assert int(refused.headers["Retry-After"]) > 80_000


def test_a_first_message_counts_whatever_the_request_calls_its_body(guest: Guest, session: Database) -> None:
    Setting.put("guest_messages", 2)
    session.commit()
    chat = guest.new_chat()
    for _ in range(2):
        guest.asked(chat=chat)
    first = {"data": '{"content": "hello", "model": "gpt-free"}', "content_type": "text/plain"}
    refused = guest.client.post("/api/chats", **first, headers={"X-CSRFToken": guest.token()})
    assert (refused.status_code, refused.json["code"]) == (429, "guest_limit_reached")


def test_another_address_has_messages_of_its_own(guest: Guest, session: Database) -> None:
    Setting.put("guest_messages", 1)
    session.commit()
    guest.asked()
    guest.client.environ_base["REMOTE_ADDR"] = "2001:db8::1"
    chat = guest.new_chat()
    assert guest.sent(chat=chat).status_code == 200
    guest.client.environ_base["REMOTE_ADDR"] = "2001:db8::ffff"
    assert guest.sent(chat=chat).status_code == 429


def test_the_limit_of_the_day_is_for_all_guests(guest: Guest, session: Database) -> None:
    chat = guest.new_chat()
    Setting.put("guests_daily", 0)
    session.commit()
    refused = guest.sent(chat=chat)
    assert (refused.status_code, refused.json["code"]) == (429, "daily_limit_reached")
    assert (refused.json["way_out"], "available" in refused.json) == ("signup", False)


def test_no_overdraft_goes_past_the_limit_of_the_day(guest: Guest, session: Database) -> None:
    chat = guest.new_chat()
    Setting.put("guests_daily", CREDIT // 10)
    session.commit()
    refused = guest.sent(chat=chat)
    assert (refused.status_code, refused.json["code"]) == (402, "request_too_large")


OF_A_CHAT = (
    ("GET", "/chat/{chat}"), ("GET", "/api/chats/{chat}"), ("DELETE", "/api/chats/{chat}"),
    ("POST", "/api/chats/{chat}/messages"), ("POST", "/api/messages/{answer}/regenerate"),
    ("PUT", "/api/messages/{question}"), ("GET", "/api/messages/{answer}/stream"),
    ("POST", "/api/messages/{answer}/stop"), ("GET", "/chat/{chat}/export.md"), ("POST", "/chat/{chat}/pin"),
)  # fmt: skip


def test_a_guests_chat_is_not_found_by_others(guest: Guest, new_guest: Callable[[], Guest], session: Database) -> None:
    Setting.put("guest_messages", 100)
    session.commit()
    chat, other = guest.new_chat(), new_guest()
    start = guest.asked(chat=chat).start
    ids = {"chat": chat, "answer": start["message_id"], "question": start["user_message_id"]}
    for method, path in OF_A_CHAT:
        assert other.call(method, path.format(**ids), content="mine").status_code == 404, (method, path)
    assert guest.get(f"/chat/{chat}").status_code == 200


def test_guests_see_no_chats_but_their_own(guest: Guest, new_guest: Callable[[], Guest]) -> None:
    guest.new_chat(title="A secret")
    other = new_guest()
    assert other.get("/api/chats").json["items"] == []
    assert "A secret" not in other.get("/chat").text
    assert "A secret" in guest.get("/chat").text


def test_signing_up_keeps_the_chat_and_charges_nobody(guest: Guest, session: Database) -> None:
    chat = guest.new_chat()
    guest.asked("What is the toll?", chat=chat)
    assert guest.sign_up("ada", next=f"/chat/{chat}").location == f"/chat/{chat}"
    page = guest.get(f"/chat/{chat}")
    shown = page.status_code, "What is the toll?" in page.text, "Free to try" in page.text
    assert shown == (200, True, True)
    costs = {message["cost_nanos"] for message in guest.get(f"/api/chats/{chat}").json["messages"]}
    assert costs == {None, 0}
    assert "This chat: 0 credits" in page.text
    ada = User.with_email("ada@example.com")
    kept = session.get(Chat, int(chat))
    assert (kept.account_id, kept.user_id, kept.guest) == (ada.home_id, ada.id, None)
    assert set(session.scalars(select(Message.account_id))) == {ada.home_id}
    assert session.scalars(select(Usage.account_id)).one() == house(session).id
    assert list(audit()) == []


def test_signing_in_keeps_the_chat_too(guest: Guest, session: Database) -> None:
    people.person("ada", credits=CREDIT)
    session.commit()
    chat = guest.new_chat()
    guest.asked(chat=chat)
    guest.sign_in("ada")
    assert guest.get(f"/api/chats/{chat}").status_code == 200
    assert guest.get("/api/balance").json["credits_credits"] == "1"


def test_a_cookie_that_nobody_signed_makes_no_guest(app: Flask, guest: Guest) -> None:
    chat = guest.new_chat()
    cookie = guest.client.get_cookie("session").value
    forged = app.test_client()
    forged.set_cookie("session", cookie[:-3] + "abc")
    assert forged.get(f"/chat/{chat}").location.startswith("/login")


def test_settings_of_guests_act_at_the_next_request(guest: Guest, free: AIModel, session: Database) -> None:
    chat = guest.new_chat()
    session.get(AIModel, free.id).is_free_for_guests = False
    session.scalars(select(AIModel).where(AIModel.name == "gpt-dear")).one().is_free_for_guests = True
    session.commit()
    assert guest.sent(chat=chat, model="gpt-free").status_code == 403
    assert guest.sent(chat=chat, model="gpt-dear").status_code == 200


def test_chats_that_no_guest_came_back_to_for_a_month_are_erased(
    guest: Guest, new_guest: Callable[[], Guest], session: Database
) -> None:
    lately, long_ago = guest.new_chat(), guest.new_chat()
    for chat in (lately, long_ago):
        guest.asked("a word that is mine", chat=chat)
    claimed = new_guest()
    kept = claimed.new_chat()
    claimed.asked("a word that I keep", chat=kept)
    claimed.sign_up("ada")
    a_month_ago = utcnow() - timedelta(days=31)
    session.execute(update(Chat).where(Chat.id.in_([int(long_ago), int(kept)])).values(updated_at=a_month_ago))
    session.commit()
    assert forget_guests() == 1
    assert forget_guests() == 0
    said = dict(session.execute(select(Message.chat_id, Message.content).filter_by(role="user")).all())
    assert said == {int(lately): "a word that is mine", int(long_ago): "", int(kept): "a word that I keep"}
    assert session.scalar(select(Message.content).filter_by(role="assistant", chat_id=int(long_ago))) == ""
    assert guest.call("GET", f"/api/chats/{long_ago}").status_code == 404
    assert list(audit()) == []


def test_the_house_is_opened_once(app: Flask, free: AIModel, session: Database) -> None:
    open_guest_account()
    open_guest_account()
    session.commit()
    assert session.query(Account).filter_by(kind="house").count() == 1
    assert guest_actor("x").guest != guest_actor("y").guest
    assert db.session.query(User).filter_by(email="guests@house.invalid").one().disabled_at is not None
