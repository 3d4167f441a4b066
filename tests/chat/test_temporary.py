"""Temporary chats: in no list, without a title, deleted some days after their last message, paid as any other."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from app.generation.jobs import forget_deleted_chats
from app.models.base import utcnow
from app.models.catalog.setting import Setting
from app.models.chat.chat import TEMPORARY_TITLE, Chat, Message
from app.models.metering.usage import Usage
from tests.chat.conftest import Door
from tests.support import Database
from tests.support.people import heard


@pytest.fixture
def chat(ada: Door) -> str:
    sent = {"model": "gpt-test", "content": "a secret of zebras", "is_temporary": True, "folder": "Work"}
    return heard(ada.call("POST", "/chats", json=sent | {"write_title": True}).data).start["chat_id"]


def listed(ada: Door, query: str = "") -> list[str]:
    return [chat["title"] for chat in ada.call("GET", f"/chats{query}").json["items"]]


def test_it_is_found_by_its_address_alone_and_paid_as_any_other(ada: Door, chat: str, session: Database) -> None:
    assert (listed(ada), listed(ada, "?q=zebras"), listed(ada, "?folder=Work")) == ([], [], [])
    kept = session.query(Chat).one()
    assert (kept.title, kept.wants_title, kept.folder) == (TEMPORARY_TITLE, False, None)
    assert [message["role"] for message in ada.call("GET", f"/chats/{chat}").json["messages"]] == ["user", "assistant"]
    call = session.query(Usage).one()
    assert (call.operation, call.state) == ("chat", "settled")
    assert call.paid_nanos > 0


def test_it_is_not_shared_and_can_be_kept(ada: Door, chat: str) -> None:
    assert ada.call("PATCH", f"/chats/{chat}", json={"is_shared": True}).status_code == 400
    kept = ada.call("PATCH", f"/chats/{chat}", json={"is_temporary": False}).json
    assert (kept["is_temporary"], kept["title"]) == (False, "a secret of zebras")
    assert listed(ada) == ["a secret of zebras"]
    assert ada.call("PATCH", f"/chats/{chat}", json={"is_temporary": True}).status_code == 400


def test_its_words_are_erased_when_its_days_are_over_and_its_receipt_stays(
    ada: Door, chat: str, session: Database
) -> None:
    Setting.put("temporary_chat_days", 2)
    session.commit()
    lasting = ada.new_chat()
    for days, deleted in ((1, 0), (3, 1)):
        session.execute(update(Chat).values(updated_at=utcnow() - timedelta(days=days)))
        session.commit()
        assert forget_deleted_chats() == deleted
    assert ada.call("GET", f"/chats/{chat}").status_code == 404
    assert ada.call("GET", f"/chats/{lasting}").status_code == 200
    assert {message.content for message in session.query(Message)} == {""}
    assert ada.call("GET", f"/usage/chat/{chat}").status_code == 404
    assert session.query(Usage).one().paid_nanos > 0
