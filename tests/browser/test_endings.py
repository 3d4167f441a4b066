"""How answers that did not just end look in a real browser: the reason, the way on, and folded thinking."""

import re

import pytest
from flask import Flask
from playwright.sync_api import expect
from sqlalchemy import update

from app.extensions import db
from app.models.chat.chat import Message
from tests.browser.conftest import Visitor

pytestmark = pytest.mark.browser


def test_an_answer_that_its_limit_ended_says_so_and_goes_on(ada: Visitor, backstage: Flask) -> None:
    a_refusal_says_what_to_do_and_offers_no_way_on(ada)
    thinks_in_the_text_of_the_first(ada, backstage)
    answer = ada.ask("/demo length")
    expect(answer.locator("[data-note]")).to_contain_text("length limit")
    ada.page.reload()
    expect(answer.locator("[data-note]")).to_contain_text("length limit")
    thoughts_are_folded(ada)

    expect(answer.locator("[data-go-on-price]")).to_contain_text("at most")
    before = len(answer.locator("[data-prose]").inner_text())
    answer.get_by_role("button", name=re.compile(r"Continue for about [\d.]+ credit")).click()
    expect(answer.locator(".answer-cost")).to_contain_text("continued")
    expect(ada.questions).to_have_count(2)
    assert len(answer.locator("[data-prose]").inner_text()) > before

    answer.locator(".answer-cost").click()
    expect(ada.page.locator("[data-why]")).to_contain_text("% of it is")
    ada.page.get_by_role("link", name=re.compile(r"call \d+")).click()
    expect(ada.page.get_by_role("heading", name="Receipt")).to_be_visible()


def a_refusal_says_what_to_do_and_offers_no_way_on(ada: Visitor) -> None:
    answer = ada.ask("/demo refusal")

    expect(answer.locator("[data-note]")).to_contain_text("declined")
    expect(answer.get_by_role("button", name="Continue")).to_have_count(0)


def thinks_in_the_text_of_the_first(ada: Visitor, backstage: Flask) -> None:
    with backstage.app_context():
        text = "<think>\nA greeting, so a short answer.\n</think>\n\nHello!"
        this = Message.id == int(ada.answers.get_attribute("data-id") or 0)
        db.session.execute(update(Message).where(this).values(content=text))
        db.session.commit()


def thoughts_are_folded(ada: Visitor) -> None:
    thoughts = ada.answers.first.locator("details.thoughts")
    expect(thoughts.get_by_text("A greeting")).to_be_hidden()
    thoughts.locator("summary").click()
    expect(thoughts.get_by_text("A greeting")).to_be_visible()
    expect(ada.answers.first.locator("[data-prose]")).to_contain_text("Hello!")
