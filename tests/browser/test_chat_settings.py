"""A chat's settings in a real browser: what stands before its first message, and holds from then on."""

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Visitor
from tests.browser.test_documents import written
from tests.support.accessibility import faults_of

pytestmark = pytest.mark.browser


def put_a_prompt_into_the_message(ada: Visitor) -> None:
    ada.page.get_by_label("New prompt").fill("Say hello.")
    ada.page.get_by_role("button", name="Save prompts").click()
    ada.go("/chat")
    ada.message.press("/")
    expect(ada.page.get_by_role("dialog", name="Your prompts")).to_be_visible()
    assert faults_of(ada.page) == []
    ada.message.press("Enter")
    expect(ada.message).to_have_value("Say hello.")


def add_a_document(ada: Visitor, settings: Locator) -> None:
    """It goes along, and raises the price that is shown."""
    estimate = ada.page.locator("#estimate")
    expect(estimate).to_have_text(re.compile("credit"))
    without = estimate.inner_text()
    settings.click()
    ada.page.get_by_label("Document", exact=True).select_option("Fares")
    assert faults_of(ada.page) == []
    ada.page.get_by_role("button", name="Save").click()
    expect(estimate).not_to_have_text(without)


def test_instructions_length_prompts_and_a_document_stand_before_the_first_message(ada: Visitor) -> None:
    written(ada, "Fares", "A ferry costs 4. " * 2000)
    ada.go("/settings")
    ada.page.get_by_label("For new chats").fill("Answer in French.")
    ada.page.get_by_role("button", name="Save instructions").click()
    put_a_prompt_into_the_message(ada)
    settings = ada.page.get_by_role("button", name="Chat settings")
    add_a_document(ada, settings)
    holds_what_is_set(ada, settings)


def holds_what_is_set(ada: Visitor, settings: Locator) -> None:
    """Before the first message, and from then on."""
    settings.click()
    instructions = ada.page.get_by_label("Instructions", exact=True)
    length = ada.page.get_by_label("Maximum answer length (tokens)")
    expect(instructions).to_have_value("Answer in French.")
    length.fill("300")
    ada.page.get_by_role("button", name="Save").click()
    ada.message.press("Enter")
    expect(ada.answers).to_have_attribute("data-status", "done")
    ada.page.reload()
    expect(ada.page.get_by_role("link", name="Fares")).to_be_visible()
    settings.click()
    expect(instructions).to_have_value("Answer in French.")
    expect(length).to_have_value("300")
    instructions.fill("Answer as a toll keeper.")
    ada.page.get_by_role("button", name="Save").click()
    ada.page.wait_for_url(re.compile(r"/chat/\d+$"))
    settings.click()
    expect(instructions).to_have_value("Answer as a toll keeper.")
