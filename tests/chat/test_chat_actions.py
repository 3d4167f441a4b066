"""A chat as a whole: its versions, its place in the list, its instructions, and its export."""

import json
from collections.abc import Callable
from urllib.parse import unquote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.ordinary_answer import first_affordable, per_answer
from app.models.chat.chat import Chat, Message
from app.models.documents.document import Document
from app.models.identity.account import Account
from tests.support import Database, people
from tests.support.client import form_token
from tests.support.people import PASSWORD


@pytest.fixture
def ada(session: Database) -> Account:
    people.model()
    return people.person("ada")


@pytest.fixture
def chat(session: Database, ada: Account) -> Chat:
    """A question with two answers, the first of which was asked about again."""
    kept = Chat(account_id=ada.id, user_id=ada.memberships[0].user_id, model="gpt-test", title="Ferry names!")
    session.add(kept)
    session.flush()
    question = said(session, kept, "user", "A name?")
    first = said(session, kept, "assistant", "Halcyon", question)
    said(session, kept, "assistant", "Charon", question)
    kept.leaf_id = said(session, kept, "user", "Why?", first).id
    session.commit()
    return kept


def said(session: Database, chat: Chat, role: str, content: str, parent: Message | None = None) -> Message:
    message = Message(account_id=chat.account_id, chat_id=chat.id, role=role, content=content, model="gpt-test")
    message.parent_id = parent.id if parent else None
    session.add(message)
    session.flush()
    return message


class Browser:
    """A signed-in person's forms."""

    def __init__(self, client: FlaskClient, name: str) -> None:
        self.client = client
        form = {"email": f"{name}@example.com", "password": PASSWORD, "csrf_token": form_token(client)}
        assert client.post("/login", data=form).status_code == 302

    def post(self, path: str, **form: object) -> int:
        return self.sent(path, **form).status_code

    def sent(self, path: str, **form: object) -> TestResponse:
        return self.client.post(path, data={"csrf_token": form_token(self.client), **form})

    def change(self, chat: Chat, **fields: object) -> TestResponse:
        headers = {"X-CSRFToken": form_token(self.client), "Accept": "application/json"}
        return self.client.patch(f"/api/chats/{chat.id}", json=fields, headers=headers)

    def listed(self, **query: str) -> list[dict]:
        return self.client.get("/api/chats", query_string=query).json["items"]


@pytest.fixture
def browser_of_ada(client: FlaskClient, chat: Chat) -> Browser:
    return Browser(client, "ada")


def contents(chat: Chat) -> list[str]:
    return [message.content for message in chat.messages()]


def test_siblings_are_versions_of_each_other(chat: Chat) -> None:
    first, second = sorted(chat.versions())
    assert chat.versions() == {first: [first, second], second: [first, second]}


def test_another_version_is_shown_with_what_followed_it(browser_of_ada: Browser, chat: Chat, session: Database) -> None:
    first, second = sorted(chat.versions())
    assert browser_of_ada.post(f"/chat/{chat.id}/version", message_id=second) == 303
    session.refresh(chat)
    assert contents(chat) == ["A name?", "Charon"]
    browser_of_ada.post(f"/chat/{chat.id}/version", message_id=first)
    session.refresh(chat)
    assert contents(chat) == ["A name?", "Halcyon", "Why?"]


def test_a_version_of_another_chat_is_not_found(browser_of_ada: Browser, chat: Chat, session: Database) -> None:
    other = Chat(account_id=chat.account_id, user_id=chat.user_id, model="gpt-test")
    session.add(other)
    session.flush()
    elsewhere = said(session, other, "user", "x")
    session.commit()
    assert browser_of_ada.post(f"/chat/{chat.id}/version", message_id=elsewhere.id) == 404


@pytest.mark.parametrize(("action", "mark"), [("pin", "pinned_at"), ("archive", "archived_at")])
def test_a_mark_is_set_and_taken_away(
    browser_of_ada: Browser, chat: Chat, session: Database, action: str, mark: str
) -> None:
    browser_of_ada.post(f"/chat/{chat.id}/{action}")
    session.refresh(chat)
    assert getattr(chat, mark) is not None
    browser_of_ada.post(f"/chat/{chat.id}/{action}")
    session.refresh(chat)
    assert getattr(chat, mark) is None


def test_a_search_leads_to_what_was_said_in_any_version(browser_of_ada: Browser, chat: Chat) -> None:
    shown = browser_of_ada.client.get(f"/chat/search?q=CHARON&open={chat.id}").text
    newest = max(id for ids in chat.versions().values() for id in ids)
    assert f'<a href="/chat/{chat.id}#m{newest}" dir="auto"><mark>Charon</mark></a>' in shown
    assert 'aria-current="page"' in shown
    assert "No matches" in browser_of_ada.client.get("/chat/search?q=zebra").text


def test_instructions_and_length_are_kept(browser_of_ada: Browser, chat: Chat, session: Database) -> None:
    path = f"/chat/{chat.id}/settings"
    assert browser_of_ada.post(path, system_prompt=" Be brief.\r\nAlways. ", max_output_tokens="300") == 303
    session.refresh(chat)
    assert (chat.system_prompt, chat.max_output_tokens) == ("Be brief.\nAlways.", 300)


@pytest.mark.parametrize("length", ["0", "-1", "x", "1.5", "9" * 30, "٣"])
def test_an_impossible_length_is_refused(browser_of_ada: Browser, chat: Chat, length: str) -> None:
    assert browser_of_ada.post(f"/chat/{chat.id}/settings", max_output_tokens=length) == 400


def test_instructions_that_are_too_long_are_refused(browser_of_ada: Browser, chat: Chat) -> None:
    assert browser_of_ada.post(f"/chat/{chat.id}/settings", system_prompt="x" * 300_000) == 400


def test_an_export_to_read_has_the_shown_branch(browser_of_ada: Browser, chat: Chat, session: Database) -> None:
    session.query(AIModel).filter_by(name="gpt-test").update({"title": "GPT Test"})
    session.commit()
    answer = browser_of_ada.client.get(f"/chat/{chat.id}/export.md")
    assert answer.headers["Content-Disposition"] == "attachment; filename=ferry-names.md"
    assert answer.text == "# Ferry names!\n\n## You\n\nA name?\n\n## GPT Test\n\nHalcyon\n\n## You\n\nWhy?\n"


def test_a_new_chat_begins_with_a_model_that_the_balance_affords(session: Database) -> None:
    offers = [
        (sold, sold.prices[0])
        for sold in (people.model("dear", dollars_out="100"), people.model("cheap", dollars_out="1"))
    ]
    cost = per_answer(offers[0][1])
    begins = [first_affordable(offers, available) for available in (cost, cost - 1, 0)]
    assert begins == ["dear", "cheap", "cheap"]
    assert first_affordable([], 0) is None


def test_an_exports_name_keeps_its_script(browser_of_ada: Browser, chat: Chat, session: Database) -> None:
    for title, name in (
        ("Привет, 東京!", "привет-東京"),
        ("हिन्दी: कविता", "हिन्दी-कविता"),
        ("น้ำ?", "น้ำ"),
        ("Cafe\u0301_", "café"),
    ):
        chat.title = title
        session.commit()
        head = browser_of_ada.client.get(f"/chat/{chat.id}/export.json").headers["Content-Disposition"]
        assert unquote(head.rpartition("''")[2]) == f"{name}.json"


def test_an_export_as_json_has_every_branch(browser_of_ada: Browser, chat: Chat, session: Database) -> None:
    chat.title = "Имена паромов"
    session.commit()
    text = browser_of_ada.client.get(f"/chat/{chat.id}/export.json").text
    assert "Имена паромов" in text
    exported = json.loads(text)
    assert [message["content"] for message in exported["messages"]] == [
        "A name?",
        "Halcyon",
        "Charon",
        "Why?",
    ]


def test_a_folder_holds_its_chats_and_goes_with_the_last(browser_of_ada: Browser, chat: Chat) -> None:
    assert browser_of_ada.change(chat, folder="  Work &  play ").json["folder"] == "Work & play"
    page = browser_of_ada.client.get("/chat?folder=Work+%26+play").text
    assert ("Ferry names!" in page, 'href="/chat?folder=Work+%26+play" dir="auto" aria-current' in page) == (
        True,
        True,
    )
    assert "Ferry names!" not in browser_of_ada.client.get("/chat?folder=Other").text
    assert [one["id"] for one in browser_of_ada.listed(folder="Work & play")] == [str(chat.id)]
    assert browser_of_ada.listed(folder="Other") == []
    assert browser_of_ada.change(chat, folder="").json["folder"] is None
    assert 'aria-current="true">All' not in browser_of_ada.client.get("/chat").text


def test_a_folder_gets_another_name_and_nobody_elses_does(
    browser_of_ada: Browser, chat: Chat, session: Database
) -> None:
    eve = people.person("eve")
    hers = Chat(account_id=eve.id, user_id=eve.memberships[0].user_id, model="gpt-test", folder="Work")
    session.add(hers)
    chat.folder = "Work"
    session.commit()
    answer = browser_of_ada.sent("/chat/folder", name="Work", folder="Ferries")
    assert (answer.status_code, answer.location) == (303, "/chat?folder=Ferries")
    assert (chat.folder, hers.folder) == ("Ferries", "Work")
    assert browser_of_ada.sent("/chat/folder", name="Ferries", folder=" ").location == "/chat"
    session.refresh(chat)
    assert chat.folder is None


def test_a_folders_name_is_bounded(browser_of_ada: Browser, chat: Chat) -> None:
    refused = browser_of_ada.change(chat, folder="x" * 61)
    assert (refused.status_code, refused.json["errors"]) == (
        400,
        {"folder": ["must have at most 60 characters."]},
    )
    assert browser_of_ada.change(chat, folder="\x00x").json["folder"] == "x"


def test_a_chat_is_about_a_document_of_its_persons_until_it_is_not(
    browser_of_ada: Browser, chat: Chat, session: Database
) -> None:
    eve = people.person("eve")
    mine, hers = (
        Document(account_id=account.id, user_id=account.memberships[0].user_id, title="Fares")
        for account in (session.get_one(Account, chat.account_id), eve)
    )
    session.add_all([mine, hers])
    session.commit()
    assert browser_of_ada.post(f"/chat/{chat.id}/settings", document_id=hers.id) == 404
    assert browser_of_ada.change(chat, document_id=str(hers.id)).status_code == 404
    assert browser_of_ada.post(f"/chat/{chat.id}/settings", document_id=mine.id) == 303
    for is_archived in (False, True):
        mine.archived_at = utcnow() if is_archived else None
        session.commit()
        assert 'This chat is about <a href="/documents/' in browser_of_ada.client.get(f"/chat/{chat.id}").text
    assert browser_of_ada.change(chat, document_id="").json["document_id"] is None


def test_all_chats_are_deleted_at_once_and_nobody_elses(
    client: FlaskClient, session: Database, ada: Account, chat: Chat
) -> None:
    bob = people.person("bob")
    for owner, title in ((ada, "Archived"), (bob, "Bob's")):
        of_owner = {"account_id": ada.id, "user_id": owner.memberships[0].user_id, "model": "gpt-test"}
        session.add(Chat(**of_owner, title=title, archived_at=utcnow()))
    session.commit()
    assert Browser(client, "ada").post("/settings/chats/delete") == 302
    session.expire_all()
    kept = session.query(Chat).filter_by(deleted_at=None)
    assert ([one.title for one in kept], {said.content for said in session.query(Message)}) == (["Bob's"], {""})


def test_who_has_not_confirmed_the_address_is_told_so(
    browser_of_ada: Browser, ada: Account, session: Database, require_verified_email: Callable[..., None]
) -> None:
    ada.owner.email_verified_at = None
    session.commit()
    assert "Confirm your email to start." not in browser_of_ada.client.get("/chat").text
    require_verified_email()
    assert "Confirm your email to start." in browser_of_ada.client.get("/chat").text
