"""Files in a real browser: attached, shown, taken off, kept in the draft."""

import re

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.browser.conftest import Visitor
from tests.support.pictures import png

pytestmark = pytest.mark.browser

PICTURE = {"name": "ferry.png", "mimeType": "image/png", "buffer": png(2400, 30)}
TABLE = {"name": "table.csv", "mimeType": "text/csv", "buffer": b"pier,time\nNorth,09:40\n"}
PASTE = """(field, text) => {
  const data = new DataTransfer();
  data.items.add(new File([text], "notes.txt", { type: "text/plain" }));
  field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}"""
IMAGE_PRICE = re.compile(r"^\d+ credits")
DROP = PASTE.replace('new ClipboardEvent("paste", { clipboardData', 'new DragEvent("drop", { dataTransfer')


def waiting(ada: Visitor) -> Locator:
    """The files that are up, and go with the next message."""
    return ada.page.locator("#files li[aria-busy=false]")


def reload_into_images(ada: Visitor) -> None:
    """The price of an answer that was asked for before comes late, and is not shown for images."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    ada.page.route("**/api/estimate", hold)
    with ada.page.expect_request("**/api/estimate"):
        ada.page.reload()
    ada.page.locator("#make-images").click()
    expect(ada.page.locator("#estimate")).to_have_text(IMAGE_PRICE)
    with ada.page.expect_response("**/api/estimate"):
        held[0].continue_()
    ada.page.unroute("**/api/estimate")
    ada.page.wait_for_timeout(100)
    expect(ada.page.locator("#estimate")).to_have_text(IMAGE_PRICE)


def test_files_are_in_the_draft_until_a_message_takes_them_or_they_are_taken_off(ada: Visitor) -> None:
    ada.page.locator("#files-input").set_input_files(TABLE)
    ada.message.evaluate(PASTE, "pasted")
    expect(waiting(ada)).to_have_count(2)
    ada.page.get_by_role("button", name="Remove notes.txt").click()
    ada.message.fill("What is this?")
    reload_into_images(ada)
    expect(waiting(ada)).to_have_count(1)
    expect(ada.message).to_have_value("What is this?")
    ada.message.press("Enter")
    expect(ada.answers).to_have_attribute("data-status", "done")
    ada.page.reload()
    expect(waiting(ada)).to_have_count(1)
    ada.ask("What is this?")
    expect(ada.answers.nth(1)).to_have_attribute("data-status", "done")
    expect(waiting(ada)).to_have_count(0)
    ada.page.reload()
    expect(waiting(ada)).to_have_count(0)
    expect(ada.questions.get_by_role("link", name="table.csv")).to_be_visible()


def test_what_cannot_be_attached_or_seen_is_said_in_place(ada: Visitor) -> None:
    ada.page.locator("#files-input").set_input_files(
        {"name": "plan.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7\x00"}
    )
    expect(ada.page.locator("#files-problem")).to_have_text(re.compile("^plan.pdf is broken: it can't be read"))
    ada.faults.clear()
    ada.message.evaluate(DROP, "dropped")
    ada.page.locator("#files-input").set_input_files(PICTURE)
    expect(waiting(ada)).to_have_count(2)
    expect(ada.page.locator("#files-problem")).to_be_hidden()
    ada.message.fill("What is this?")
    expect(ada.page.locator("#estimate")).to_contain_text("Demo fast can't read images")
    ada.message.press("Enter")
    expect(ada.refusal.filter(has_text="Demo fast can't read images")).to_be_visible()
    expect(ada.page.locator("#files li")).to_have_count(2)
    ada.page.get_by_role("button", name="Switch to").click()
    expect(ada.page.locator("#estimate")).to_contain_text("at most")
    is_sent_and_shown_and_not_in_the_next_chats_field(ada)


def is_sent_and_shown_and_not_in_the_next_chats_field(ada: Visitor) -> None:
    ada.faults.clear()
    ada.message.press("Enter")
    expect(ada.answers).to_contain_text("You attached an image")
    expect(ada.answers).to_have_attribute("data-status", "done")
    for _ in range(2):
        shown = ada.questions.locator(".files img")
        expect(shown).to_have_attribute("alt", "ferry.png")
        assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 2000
        ada.page.reload()
    assert (ada.faults, ada.strangers) == ([], [])
    ada.page.get_by_role("link", name="New chat").click()
    expect(ada.page).to_have_url(re.compile("/chat$"))
    expect(ada.message).to_have_value("")
    expect(ada.page.locator("#files li")).to_have_count(0)
