"""A chat that goes on soon is kept by Anthropic, who keeps only what is marked."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from app.models.base import utcnow
from app.models.catalog.setting import Setting
from app.models.chat.chat import Chat
from tests.chat.conftest import Door
from tests.support import Database, people
from tests.support.provider_server import ProviderServer

LONG = "What do you make of this? " * 200
MARK = {"type": "ephemeral"}


def marks(provider: ProviderServer) -> list[bool]:
    """Whether each message's last block is marked."""
    said = [message["content"] for message in provider.last["body"]["messages"]]
    return [isinstance(blocks, list) and blocks[-1].get("cache_control") == MARK for blocks in said]


@pytest.fixture
def chat(ada: Door, session: Database) -> str:
    people.model("claude-test", kind="anthropic", context_window=8_000, max_output_tokens=1_000)
    session.commit()
    return ada.new_chat("claude-test")


def test_the_last_message_of_a_chat_that_goes_on_is_marked(ada: Door, chat: str, provider: ProviderServer) -> None:
    ada.ask(LONG, chat=chat)
    assert provider.last["body"]["messages"][-1]["content"] == LONG
    ada.ask("And then?", chat=chat)
    assert marks(provider) == [False, False, True]
    assert provider.last["body"]["messages"][-1]["content"][0]["text"] == "And then?"
    ada.ask("Why?", chat=chat)
    assert marks(provider) == [False, False, False, False, True]


@pytest.mark.parametrize("why", ["late", "short", "switched off", "left out"])
def test_what_would_hardly_be_read_again_is_not(
    ada: Door, chat: str, provider: ProviderServer, session: Database, why: str
) -> None:
    """Each mark costs a quarter more."""
    ada.ask("hello" if why == "short" else LONG, chat=chat)
    if why == "late":
        session.execute(update(Chat).values(updated_at=utcnow() - timedelta(minutes=5)))
    if why == "switched off":
        Setting.put("prompt_caching", False)
    session.commit()
    ada.ask(LONG * 4 if why == "left out" else "And then?", chat=chat)
    assert not any(marks(provider))
