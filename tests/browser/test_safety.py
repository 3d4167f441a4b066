"""Hostile markdown in a real browser: nothing runs, nothing is loaded, nothing leaves."""

from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import expect

from app.extensions import db
from app.models.chat.chat import Chat, Message
from app.models.identity.account import Account
from app.models.identity.user import User
from tests.browser.conftest import Visitor
from tests.support.hostile_markdown import attacks
from tests.support.people import CREDIT

pytestmark = pytest.mark.browser

ACTIVE = (
    "script, style, iframe, object, embed, form, svg:not(.icon, .mark), math:not(:has(> semantics)), "
    "img, video, audio, link, meta, base"
)
"""Formulas are ours: each has its source beside it."""


def told(account: Account) -> Chat:
    """A chat in which both sides say every attack."""
    chat = Chat(account_id=account.id, user_id=account.memberships[0].user_id, model="demo-fast", title="<b>x</b>")
    db.session.add(chat)
    db.session.flush()
    for attack in attacks():
        for role in ("user", "assistant"):
            said = Message(account_id=account.id, chat_id=chat.id, role=role, content=attack.replace("\x00", ""))
            said.parent_id, said.model = chat.leaf_id, "demo-fast"
            db.session.add(said)
            db.session.flush()
            chat.leaf_id = said.id
    return chat


def test_a_chat_full_of_attacks_is_only_words(arrive: Callable[..., Visitor], backstage: Flask) -> None:
    eve = arrive("eve", prepare=told, credits=1000 * CREDIT)
    with backstage.app_context():
        chat = db.session.query(Chat).join(User, User.id == Chat.user_id).filter(User.email == eve.email).one()
        chat_id = chat.id
    eve.go(f"/chat/{chat_id}")
    expect(eve.answers).to_have_count(len(attacks()))
    assert eve.page.locator("#messages").locator(ACTIVE).count() == 0
    assert (eve.faults, eve.strangers) == ([], [])
    an_attack_that_is_typed_is_only_words(eve)


def an_attack_that_is_typed_is_only_words(eve: Visitor) -> None:
    eve.ask("<img src=x onerror=alert(1)><script>alert(1)</script>")
    assert eve.page.locator("#messages").locator(ACTIVE).count() == 0
    assert (eve.faults, eve.strangers) == ([], [])
