"""Documents in a real browser: drafted, written, a selection refined, dropped, kept, restored; by keyboard too."""

import os
import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Visitor
from tests.support import files
from tests.support.accessibility import faults_of

pytestmark = pytest.mark.browser


WRITE = """([title, content]) => fetch("/api/documents", { method: "POST", headers: {
    "Content-Type": "application/json", "X-CSRFToken": document.querySelector("meta[name=csrf-token]").content },
    body: JSON.stringify({ title, content }) }).then((answer) => answer.json())"""


def written(ada: Visitor, title: str, content: str) -> None:
    """Opens a document that was written before."""
    made = ada.page.evaluate(WRITE, [title, content])
    ada.go(f"/documents/{made['id']}")
    expect(ada.page.locator("#body")).to_have_value(content)


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("DOCUMENT_PICTURES"):
        before = page.viewport_size
        for look, size in {"desktop": (1280, 900), "phone": (390, 844)}.items():
            page.set_viewport_size({"width": size[0], "height": size[1]})
            page.screenshot(path=f"{folder}/{name}-{look}.png", full_page=look == "phone")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.emulate_media(color_scheme="dark")
        page.screenshot(path=f"{folder}/{name}-dark.png")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(before)


def walk(page: Page, field: Locator) -> None:
    """Go there by the tab key alone, from wherever one is."""
    for _ in range(150):
        if field.evaluate("field => field === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{field} is not reached by the tab key")


def reach(page: Page, field: Locator) -> None:
    """Go there by the tab key from what stands before it, which is gone to first."""
    expect(field).to_be_enabled()
    field.focus()
    page.keyboard.press("Shift+Tab")
    expect(field).not_to_be_focused()
    page.keyboard.press("Tab")
    expect(field).to_be_focused()


def press(page: Page, button: Locator) -> None:
    reach(page, button)
    page.keyboard.press("Enter")


def fill(page: Page, field: Locator, text: str) -> None:
    reach(page, field)
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def ask(page: Page, price: str, button: str, path: str) -> None:
    """It may cost no more than was shown."""
    expect(page.locator(price)).to_have_text(re.compile("at most"))
    with page.expect_request(lambda sent: sent.method == "POST" and sent.url.endswith(path)) as asked:
        press(page, page.get_by_role("button", name=button, exact=True))
    assert asked.value.post_data_json["max_cost_nanos"] > 0


def refine_and_drop(page: Page) -> None:
    reach(page, page.locator("#body"))
    page.keyboard.press("Control+Home")
    for _ in range(12):
        page.keyboard.press("Shift+ArrowRight")
    reach(page, page.get_by_label("What to do"))
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("What to do")).to_have_value("refine_selection")
    fill(page, page.get_by_label("Instructions"), "Shorter")
    ask(page, "#price", "Ask", "/refine-selection")
    expect(page.locator("#receipt a")).to_have_text(re.compile("credit"))
    expect(page.locator("#diff ins")).not_to_have_count(0)
    picture(page, "proposal")
    assert faults_of(page) == []
    reach(page, page.get_by_role("button", name="Drop"))
    with page.expect_navigation():  # the page loads again, and would take a press before that back
        page.keyboard.press("Enter")
    expect(page.locator("#revisions [data-open]")).to_have_count(0)
    press(page, page.locator("#revisions a").first)
    page.wait_for_url(re.compile(r"/billing/calls/\d+"))
    page.go_back()


def test_all_of_it_by_keyboard_alone_on_a_phone(ada: Visitor) -> None:
    page = ada.page
    page.set_viewport_size({"width": 390, "height": 844})
    ada.go("/documents")
    walk(page, page.get_by_label("Draft with a model"))
    fill(page, page.get_by_label("Draft with a model"), "What is a credit?")
    ask(page, "[data-price]", "Draft", "/api/documents")
    page.wait_for_url(re.compile(r"/documents/\d+"))
    expect(page.locator("#revisions [data-state=kept]")).to_have_count(1)
    body, before = page.locator("#body"), page.locator("#body").input_value()
    refine_and_drop(page)
    assert body.input_value() == before != ""
    type_and_restore(page, before)
    make_an_image(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert (ada.faults, ada.strangers) == ([], [])


def type_and_restore(page: Page, before: str) -> None:
    body = page.locator("#body")
    fill(page, body, "Typed by hand.")
    expect(page.locator("#saved")).to_have_text("Saved")
    expect(page.locator("#words")).to_have_text("3 words")
    page.reload()
    assert body.input_value() == "Typed by hand."
    press(page, page.locator("#revisions li").last.get_by_role("button"))
    press(page, page.get_by_role("button", name="Restore"))
    expect(body).to_have_value(before)
    press(page, page.get_by_role("button", name="Preview"))
    expect(page.locator("#rendered")).to_be_visible()


def make_an_image(page: Page) -> None:
    walk(page, page.locator("#picture-prompt"))
    fill(page, page.locator("#picture-prompt"), "A coin that is nearly a key")
    expect(page.locator("#picture-price")).to_have_text(re.compile("credit"))
    press(page, page.get_by_role("button", name="Make image"))
    expect(page.locator("#pictures img")).to_have_count(1)
    picture(page, "document-images")
    assert faults_of(page) == []
    press(page, page.locator("#picture-price a"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_a_tab_that_is_behind_loses_nothing(ada: Visitor) -> None:
    """Nor does one whose script comes after what was typed."""
    written(ada, "Credits", "A credit is a unit.")
    address, second = ada.page.url, ada.page.context.new_page()
    script, held = re.compile(r"/js/document\.js"), list[Route]()
    second.route(script, lambda route: held.extend([route]))
    with second.expect_request(script):
        second.goto(address, wait_until="commit")
    second.locator("#body").fill("From the second tab.")
    held[0].continue_()
    second.unroute(script)
    expect(second.locator("#saved")).to_have_text("Saved")
    ada.page.locator("#body").fill("From the first tab.")
    expect(ada.page.locator("#saved")).to_have_text(re.compile("Changed in another tab"))
    assert ada.page.locator("#body").input_value() == "From the first tab."
    second.reload()
    expect(second.locator("#body")).to_have_value("From the second tab.")
    second.close()


def test_what_cannot_be_saved_or_deleted_says_why(ada: Visitor) -> None:
    page = ada.page
    written(ada, "Ferries", "One ferry.")
    page.locator("#body").fill("x" * 400_001)
    expect(page.locator("#saved")).to_have_text("Not saved. The text is longer than 400,000 characters.")
    page.locator("#body").fill("One ferry.")
    ada.go("/documents")
    other = page.context.new_page()
    other.goto(f"{ada.url}/account")
    other.get_by_label("New team name").fill("Crew")
    other.get_by_role("button", name="Create team").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Crew")
    other.close()
    row = page.locator("#documents li", has_text="Ferries")
    page.clock.install()
    row.get_by_role("button", name=re.compile("Delete")).press("Enter")
    page.clock.fast_forward("00:07")
    expect(page.get_by_text("this page shows another account")).to_be_visible()
    expect(row).to_be_visible()


def comes_back_where_it_cannot_be_deleted(page: Page, row: Locator) -> None:
    page.clock.install()
    page.route("**/api/documents/*", lambda route: route.abort())
    row.get_by_role("button", name=re.compile("Delete")).press("Enter")
    page.clock.fast_forward("00:07")
    expect(page.get_by_text("We couldn't delete it.")).to_be_visible()
    expect(row).to_be_visible()
    page.unroute("**/api/documents/*")


def test_the_list_by_keyboard_with_undo(ada: Visitor) -> None:
    page = ada.page
    written(ada, "Compared", "Plus is for one.")
    page.locator("#title").fill("Plans")
    page.locator("#title").press("Tab")
    expect(page.locator("#saved")).to_have_text("Saved")
    ada.go("/documents")
    picture(page, "list")
    assert faults_of(page) == []
    row = page.locator("#documents li", has_text="Plans")
    row.get_by_role("button", name="Delete: Plans").press("Enter")
    expect(row).to_be_hidden()
    page.get_by_role("button", name="Undo").press("Enter")
    expect(row).to_be_visible()
    comes_back_where_it_cannot_be_deleted(page, row)
    row.get_by_role("button", name="Archive: Plans").press("Enter")
    expect(row).to_have_count(0)
    a_file_becomes_a_document_and_a_broken_one_is_refused_in_place(page)
    ada.go("/documents?archived")
    expect(page.locator("#documents li", has_text="Plans")).to_be_visible()
    an_empty_one_is_written_at_once(ada)


def a_file_becomes_a_document_and_a_broken_one_is_refused_in_place(page: Page) -> None:
    for name, content in (
        ("broken.pdf", b"%PDF-1.7"),
        ("Ferries.pdf", files.pdf(["Ferry one", "Ferry two"])),
    ):
        with page.expect_file_chooser() as chosen:
            page.get_by_role("button", name="Import file").press("Enter")
        chosen.value.set_files({"name": name, "mimeType": "application/pdf", "buffer": content})
        if name == "broken.pdf":
            expect(page.locator("#file-error")).to_have_text(re.compile("^Is broken: it can't be read"))
            assert faults_of(page) == []
    expect(page.get_by_label("Title")).to_have_value("Ferries.pdf")
    expect(page.locator("#body")).to_have_value("Ferry one\n\nFerry two")


def an_empty_one_is_written_at_once(ada: Visitor) -> None:
    ada.go("/documents")
    ada.page.get_by_role("button", name="Empty document").press("Enter")
    expect(ada.page.locator("#body")).to_be_focused()
