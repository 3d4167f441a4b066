"""Chats in a real browser: kept, found, renamed, deleted, shared; over a bad line."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser.conftest import Visitor
from tests.support.accessibility import faults_of, too_wide
from tests.support.cuttable import CuttableLine
from tests.support.people import CREDIT
from tests.support.running_app import RunningApp, await_that

pytestmark = pytest.mark.browser
DESK, SMALL_PHONE = {"width": 1280, "height": 720}, {"width": 320, "height": 640}


def items(visitor: Visitor) -> Locator:
    return visitor.page.locator("#chats .chat-item:not([hidden])")


def choose(visitor: Visitor, action: str) -> None:
    items(visitor).first.hover()
    visitor.page.wait_for_load_state()  # before its script is there the page takes no click
    items(visitor).first.get_by_role("button", name=re.compile("^Options for")).click()
    visitor.page.get_by_role("button", name=action, exact=True).click()


def test_a_chat_is_renamed_pinned_found_taken_home_archived_and_deleted(ada: Visitor) -> None:
    ada.ask("What is a credit?")
    expect(items(ada)).to_have_text(re.compile("What is a credit?"))
    choose(ada, "Rename")
    ada.page.get_by_label("Chat title").fill("Hello")
    with ada.page.expect_response(re.compile("/api/chats/")):
        ada.page.keyboard.press("Enter")
    choose(ada, "Pin")
    expect(items(ada).locator("> .icon")).to_be_visible()
    ada.go("/chat")
    ada.ask("teams of zebras")
    ada.page.reload()
    expect(items(ada).first).to_have_text(re.compile("Hello"))
    is_found_by_what_was_said(ada)
    choose(ada, "Unpin")
    is_taken_home(ada)
    is_archived_and_brought_back(ada)
    is_deleted_until_the_page_is_left(ada)


def is_found_by_what_was_said(ada: Visitor) -> None:
    ada.page.keyboard.press("Control+k")
    ada.page.keyboard.type("zebras")
    expect(items(ada)).to_have_count(1)
    expect(items(ada)).to_have_text(re.compile("zebras"))
    items(ada).locator("mark").click()
    expect(ada.questions).to_be_focused()
    ada.page.get_by_role("searchbox", name="Search your chats").fill("hello")
    expect(items(ada)).to_have_text(re.compile("Hello"))


def is_taken_home(ada: Visitor) -> None:
    items(ada).first.hover()
    items(ada).first.get_by_role("button", name=re.compile("^Options for")).click()
    expect(ada.page.get_by_role("link", name="Export as JSON")).to_be_visible()
    with ada.page.expect_download() as download:
        ada.page.get_by_role("link", name="Export as Markdown").click()
    assert download.value.suggested_filename == "hello.md"
    assert "What is a credit?" in download.value.path().read_text()


def is_archived_and_brought_back(ada: Visitor) -> None:
    ada.go("/chat")
    choose(ada, "Archive")
    expect(items(ada)).to_have_count(1)
    ada.page.get_by_role("link", name="Archived chats").click()
    choose(ada, "Bring back")
    expect(items(ada)).to_have_count(0)
    ada.page.get_by_role("link", name="Back to your chats").click()
    expect(items(ada)).to_have_count(2)


def is_deleted_until_the_page_is_left(ada: Visitor) -> None:
    """Until then it can be had back, while a search is shown too."""
    choose(ada, "Delete")
    expect(items(ada)).to_have_count(1)
    search = ada.page.get_by_role("searchbox", name="Search your chats")
    search.fill("giraffes")
    expect(ada.page.get_by_text("No matches. Try fewer words.")).to_be_visible()
    ada.page.get_by_role("button", name="Undo").click()
    search.fill("")
    expect(items(ada)).to_have_count(2)
    ada.page.reload()
    expect(items(ada)).to_have_count(2)
    choose(ada, "Delete")
    expect(items(ada)).to_have_count(1)
    await_that(lambda: is_gone(ada))  # what a page asks for as it is left may come after the next page


def is_gone(ada: Visitor) -> bool:
    ada.go("/chat")
    return items(ada).count() == 1


def test_a_chat_is_shared_read_on_a_phone_and_shared_no_more(ada: Visitor, browser: Browser) -> None:
    has_code_and_tables_without_a_fault(ada)
    choose(ada, "Share")
    dialog = ada.page.get_by_role("dialog", name="Share chat")
    dialog.get_by_role("button", name="Create link").press("Enter")
    link = dialog.get_by_label("Link")
    expect(link).to_have_value(re.compile("/shared/"))
    assert faults_of(ada.page) == []
    phone = browser.new_page(viewport={"width": 390, "height": 844})
    is_read(phone, link.input_value())
    ada.page.reload()
    choose(ada, "Share")
    dialog.get_by_role("button", name="Revoke link").click()
    expect(dialog.get_by_role("status")).to_have_text("The link no longer works.")
    assert phone.reload().status == 404
    phone.close()
    ada.page.keyboard.press("Escape")
    a_reader_who_scrolled_up_is_left_there(ada)


def is_read(phone: Page, address: str) -> None:
    phone.goto(address)
    expect(phone.get_by_role("heading", level=1)).to_be_visible()
    expect(phone.get_by_role("table").first).to_be_visible()
    expect(phone.get_by_role("button", name="Copy").first).to_be_visible()
    assert (faults_of(phone), too_wide(phone)) == ([], 0)


def has_code_and_tables_without_a_fault(ada: Visitor) -> None:
    """At a desk with the list of models open; and it is no wider than a small phone."""
    ada.ask("/demo table")
    ada.ask("/demo code")
    ada.page.set_viewport_size(SMALL_PHONE)
    assert too_wide(ada.page) <= 0
    ada.page.set_viewport_size(DESK)
    ada.page.get_by_role("button", name="Model:").click()
    assert faults_of(ada.page) == []
    ada.page.keyboard.press("Escape")


def a_reader_who_scrolled_up_is_left_there(ada: Visitor) -> None:
    ada.send("/demo long")
    expect(ada.answers.nth(2).locator(".block").first).to_be_visible()
    thread, latest = ada.page.locator("#thread"), ada.page.get_by_role("button", name="Latest")
    top = thread.evaluate("thread => { thread.scrollBy(0, -30); return thread.scrollTop; }")
    expect(latest).to_be_visible()
    assert thread.evaluate("thread => thread.scrollTop") == top
    latest.click()
    expect(latest).to_be_hidden()
    is_printed_whole(ada.page)
    ada.page.keyboard.press("Escape")  # or it would be written to its end beside the next tests
    expect(ada.answers.nth(2)).not_to_have_attribute("data-status", "running")


def is_printed_whole(page: Page) -> None:
    thread = page.locator("#thread")
    assert thread.evaluate("thread => thread.scrollHeight > thread.clientHeight")
    page.emulate_media(media="print")
    expect(page.locator("#content")).to_be_hidden()
    assert thread.evaluate("thread => thread.scrollHeight <= thread.clientHeight")


def test_a_temporary_chat_is_in_no_list_and_ends_by_its_button(ada: Visitor, context: BrowserContext) -> None:
    ada.page.get_by_role("link", name="start a temporary chat").click()
    expect(ada.page.get_by_role("heading", name="Temporary chat")).to_be_visible()
    ada.ask("hello")
    ada.page.reload()
    expect(ada.answers).to_have_count(1)
    expect(ada.page.get_by_text("Your chats will appear here.")).to_be_visible()
    assert faults_of(ada.page) == []
    other = context.new_page()
    other.goto(ada.page.url)
    ada.page.get_by_role("button", name="Delete now").click()
    expect(ada.answers).to_have_count(0)
    other.locator("#content").fill("And now?")
    other.locator("#content").press("Enter")
    expect(other.get_by_role("link", name="Start a new one")).to_have_attribute("href", "/chat")


def test_a_message_and_its_answer_survive_a_reload_and_a_line_that_drops(
    arrive: Callable[..., Visitor], shared_app: RunningApp
) -> None:
    with CuttableLine(shared_app.address) as line:
        ada = arrive("ada", at=line.url, credits=1000 * CREDIT)
        ada.send("/demo long")
        expect(ada.answers.locator(".block").first).to_be_visible()
        ada.page.reload()
        expect(ada.answers.locator(".block").first).to_be_visible()
        line.cut()
        expect(ada.answers.get_by_text("Connection lost")).to_be_visible()
        before = ada.answers.locator(".block").count()
        line.mend()
        expect(ada.answers.locator(".block").nth(before)).to_be_visible()
        expect(ada.answers.get_by_text("Connection lost")).to_be_hidden()
        ada.page.keyboard.press("Escape")  # it is long
        expect(ada.answers.get_by_text("You stopped this answer.")).to_be_visible()
        expect(ada.answers.locator(".answer-cost b")).to_contain_text("credit")
        shown = ada.answers.locator("[data-prose]").inner_text()
        ada.page.reload()
        assert ada.answers.locator("[data-prose]").inner_text() == shown
        is_sent_once_over_a_dead_line(ada, line)


def is_sent_once_over_a_dead_line(ada: Visitor, line: CuttableLine) -> None:
    """By itself when the line comes back soon; by the button when it stayed dead."""
    line.cut()
    ada.send("are you there?")
    expect(ada.answers.get_by_text("Can't reach the server")).to_be_visible()
    line.mend()
    expect(ada.answers.nth(1)).to_have_attribute("data-status", "done", timeout=30_000)
    line.cut()
    ada.send("and now?")
    expect(ada.refusal).to_contain_text("You're offline")
    line.mend()
    ada.refusal.get_by_role("button", name="Try again").click()
    expect(ada.answers).to_have_count(3)
    expect(ada.answers.last).to_have_attribute("data-status", "done", timeout=30_000)
    ada.page.reload()
    expect(ada.questions.nth(1)).to_have_text(re.compile("are you there?"))
    expect(ada.questions.nth(2)).to_have_text(re.compile("and now?"))
    expect(ada.questions).to_have_count(3)


def test_chats_are_kept_in_folders_by_keyboard(ada: Visitor) -> None:
    ada.ask("hello")
    choose(ada, "Move to folder")
    ada.page.get_by_label("Folder", exact=True).fill("Work")
    ada.page.keyboard.press("Enter")
    folders = ada.page.get_by_role("navigation", name="Folders")
    folders.get_by_role("link", name="Work").press("Enter")
    expect(items(ada)).to_have_count(1)
    assert (faults_of(ada.page), too_wide(ada.page)) == ([], 0)
    ada.page.get_by_role("link", name="New chat").click()
    ada.ask("another one")
    expect(items(ada)).to_have_count(2)
    ada.go("/chat?folder=Work")
    expect(items(ada)).to_have_count(2)
    folders.get_by_role("button", name="Rename").press("Enter")
    ada.page.get_by_label("Folder", exact=True).fill("Ferries")
    assert faults_of(ada.page) == []
    ada.page.keyboard.press("Enter")
    expect(folders.get_by_role("link", name="Ferries")).to_have_attribute("aria-current", "true")
    expect(items(ada)).to_have_count(2)
