"""A chat's link: what it shows of the chat, nothing of the account, and what ends it."""

import base64
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models.catalog.ai_model import AIModel
from app.models.catalog.setting import Setting
from app.models.chat.attachment import Attachment
from app.models.identity.erasure import delete_person
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.models.metering.usage import Usage
from tests.chat.conftest import Door
from tests.support import Database
from tests.support.pictures import png
from tests.support.provider_server import ProviderServer


def change(person: Door, chat: str, is_shared: bool) -> TestResponse:
    return person.call("PATCH", f"/chats/{chat}", json={"is_shared": is_shared})


def attached(person: Door, name: str) -> str:
    sent = {"name": name, "data": base64.b64encode(png(64, 48)).decode()}
    return person.call("POST", "/attachments", json=sent).json["id"]


@pytest.fixture
def chat(ada: Door) -> str:
    chat = ada.new_chat()
    ada.ask("The first ferry?", chat=chat)
    return chat


@pytest.fixture
def link(ada: Door, chat: str) -> str:
    return change(ada, chat, True).json["share_url"]


def test_a_link_shows_the_chat_as_it_stood_until_it_is_brought_up_to_date(
    ada: Door, chat: str, link: str, client: FlaskClient
) -> None:
    ada.ask("A private question?", chat=chat)
    before = client.get(link)
    again = change(ada, chat, True).json["share_url"]

    assert ("The first ferry?" in before.text, "A private question?" in before.text) == (True, False)
    assert (again, "A private question?" in client.get(link).text) == (link, True)


def test_a_link_says_nothing_of_the_account_costs_nothing_and_is_kept_by_nobody(
    chat: str, link: str, client: FlaskClient, provider: ProviderServer, session: Database
) -> None:
    calls, asked = session.query(Usage).count(), provider.count
    page = client.get(link)

    assert [word for word in ("ada@", "Ada", "/billing/calls", "credits</", f"/chat/{chat}") if word in page.text] == []
    assert (page.headers["Cache-Control"], page.headers["X-Robots-Tag"]) == ("no-store", "noindex, nofollow")
    assert '<meta name="robots" content="noindex, nofollow">' in page.text
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert "Set-Cookie" not in page.headers or "session_secret" not in page.headers["Set-Cookie"]
    assert (session.query(Usage).count(), provider.count) == (calls, asked)


def test_a_link_leads_to_its_own_files_only(ada: Door, client: FlaskClient, session: Database) -> None:
    session.query(AIModel).update({"takes_images": True})
    session.commit()
    chat, file = ada.new_chat(), attached(ada, "ferry.png")
    ada.ask("Which?", chat=chat, attachments=[file])
    link = change(ada, chat, True).json["share_url"]
    ada.ask("And this?", chat=chat, attachments=[attached(ada, "later.png")])
    later, unsent = (
        session.query(Attachment.id).filter_by(name="later.png").scalar(),
        attached(ada, "own.png"),
    )
    own = client.get(f"{link}/files/{file}")

    assert (own.data, own.headers["Cache-Control"], "sandbox" in own.headers["Content-Security-Policy"]) == (
        png(64, 48), "no-store", True,
    )  # fmt: skip
    assert f"/files/{file}" in client.get(link).text
    assert [client.get(f"{link}/files/{other}").status_code for other in (later, unsent, "x")] == [404] * 3
    assert client.get(f"/api/attachments/{file}").status_code == 401


def revoked(ada: Door, chat: str, _session: Database) -> None:
    change(ada, chat, False)


def chat_deleted(ada: Door, chat: str, session: Database) -> None:
    Setting.put("deleted_chat_days", 7)
    session.commit()
    ada.call("DELETE", f"/chats/{chat}")


def person_deleted(_ada: Door, _chat: str, _session: Database) -> None:
    delete_person(User.with_email("ada@example.com"))


def person_disabled(_ada: Door, _chat: str, _session: Database) -> None:
    User.with_email("ada@example.com").disable()


def left_the_account(_ada: Door, _chat: str, session: Database) -> None:
    session.query(Membership).filter_by(user_id=User.with_email("ada@example.com").id).delete()


def account_closed(_ada: Door, _chat: str, _session: Database) -> None:
    """As a team's owner closes it: its members are still its members."""
    User.with_email("ada@example.com").memberships[0].account.close()


ENDS = [revoked, chat_deleted, person_deleted, person_disabled, left_the_account, account_closed]


@pytest.mark.parametrize("end", ENDS)
def test_a_link_ends_with_its_right(
    ada: Door, chat: str, link: str, client: FlaskClient, session: Database, end: Callable[..., None]
) -> None:
    assert client.get(link).status_code == 200
    end(ada, chat, session)
    session.commit()
    assert client.get(link).status_code == 404


def test_a_link_made_anew_is_another_one(ada: Door, chat: str, link: str, client: FlaskClient) -> None:
    change(ada, chat, False)
    anew = change(ada, chat, True).json["share_url"]
    assert (len(anew.rpartition("/")[2]), anew != link) == (32, True)
    assert client.get(link).status_code == client.get(anew + "x").status_code == 404


def test_an_empty_chat_has_no_link(ada: Door) -> None:
    assert list(change(ada, ada.new_chat(), True).json["errors"]) == ["is_shared"]
