"""A visitor without an account, in front of a real browser: a first answer, the limit, the chat kept."""

import re

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from app.extensions import db
from app.models.catalog.setting import Setting
from tests.browser.conftest import Visitor
from tests.support.accessibility import faults_of, too_wide
from tests.support.people import PASSWORD
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser


@pytest.fixture
def guest(page: Page, shared_app: RunningApp, backstage: Flask) -> Visitor:
    """A visitor who pressed "Try it now"; one message is free."""
    with backstage.app_context():
        Setting.put("guests_allowed", True)
        Setting.put("guest_messages", 1)
        db.session.commit()
    visitor = Visitor(page, shared_app.url, "grace@example.com")
    try_it(visitor)
    return visitor


def try_it(visitor: Visitor) -> None:
    visitor.go("/")
    visitor.page.get_by_role("button", name="Try it now").click()
    visitor.page.wait_for_url(re.compile("/chat"))


def test_a_guest_gets_an_answer_meets_the_limit_and_keeps_the_chat(guest: Visitor) -> None:
    the_draft_of_another_guest_is_gone(guest)
    guest.page.locator(".suggestion").first.click()
    asked = guest.message.input_value()
    guest.page.get_by_role("button", name="Send", exact=True).click()
    expect(guest.answers.locator(".answer-cost")).to_have_text("Free to try")
    guest.send("And how do the tides work?")
    expect(guest.refusal).to_contain_text("Sign up")
    assert faults_of(guest.page) == []
    guest.page.set_viewport_size({"width": 360, "height": 740})
    assert too_wide(guest.page) <= 0
    guest.refusal.get_by_role("link", name="Sign up").click()
    guest.page.get_by_label("Email").fill(guest.email)
    guest.page.get_by_label("Password", exact=True).fill(PASSWORD)
    guest.page.get_by_role("button", name="Create account").click()
    guest.page.wait_for_url(re.compile("/chat/"))
    expect(guest.questions.locator(".question-text")).to_have_text(asked)
    expect(guest.message).to_have_value("And how do the tides work?")
    expect(guest.answers.locator(".answer-cost")).to_have_text("Free to try")
    assert guest.ask("And how do the tides work?").locator("a.answer-cost").count() == 1
    assert [fault for fault in guest.faults if "429" not in fault] == []


def the_draft_of_another_guest_is_gone(guest: Visitor) -> None:
    guest.message.fill("my unsent secret")
    assert "secret" in guest.page.evaluate("JSON.stringify(localStorage)")
    guest.page.context.clear_cookies()
    try_it(guest)
    expect(guest.message).to_have_value("")
    assert "secret" not in guest.page.evaluate("JSON.stringify(localStorage)")
