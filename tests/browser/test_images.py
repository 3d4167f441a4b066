"""Images in a real browser, in the chat: their price before. For a document: `test_documents.py`."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitor
from tests.browser.test_documents import picture
from tests.support.accessibility import faults_of

pytestmark = pytest.mark.browser


def set_budget(page: Page) -> None:
    page.locator("#budget").click()
    page.get_by_label("Budget in credits").fill("900")
    page.keyboard.press("Enter")


def test_an_image_is_made_in_the_chat_by_keyboard(ada: Visitor) -> None:
    page = ada.page
    page.set_viewport_size({"width": 390, "height": 844})
    set_budget(page)
    page.locator("#make-images").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Image model").locator("option")).not_to_have_count(0)
    page.get_by_label("How many").select_option("2")
    ada.message.fill("A ferry at dawn")
    expect(page.locator("#estimate")).to_have_text(re.compile(r"[\d.,]+ credits?"))
    page.locator("#send").focus()
    page.keyboard.press("Enter")
    answer = ada.answers.first
    expect(answer).to_have_attribute("data-status", "done")
    expect(answer.locator("img")).to_have_count(2)
    answer.locator("img").evaluate_all("images => Promise.all(images.map((one) => one.decode()))")
    picture(page, "chat-images")
    is_asked_for_again(ada)
    expect(page.locator("#budget")).to_have_text("At most 900 credits in this chat")
    expect(ada.answers.first.locator("img")).to_have_count(2)
    assert (faults_of(page), ada.faults, ada.strangers) == ([], [], [])


def is_asked_for_again(ada: Visitor) -> None:
    """What was asked for is in the field again, at its price; no model that writes is asked."""
    ada.page.get_by_role("button", name="Edit and send again").click()
    expect(ada.message).to_have_value("A ferry at dawn")
    ada.send("/demo fail")
    for _ in range(2):
        ada.answers.nth(1).get_by_role("button", name="Try again").click()
        expect(ada.message).to_have_value("/demo fail")
        ada.message.fill("")
        ada.page.reload()
