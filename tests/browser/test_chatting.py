"""Talking to a model in a real browser: send, stream, stop, refuse, repeat."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import Visitor
from tests.support.accessibility import faults_of, too_wide
from tests.support.people import CREDIT

pytestmark = pytest.mark.browser


SAFARIS_ENTER = """field => field.dispatchEvent(new KeyboardEvent("keydown",
    {key: "Enter", keyCode: 229, bubbles: true, cancelable: true}))"""
"""After `compositionend`, so not marked as composing."""
QUESTION = "Why does a ferry float on water?"
PRICE = re.compile(r"^about [\d.,]+ credits, at most [\d.,]+$")


def test_an_answer_is_priced_streams_as_markdown_shows_what_it_cost_and_stays_so(ada: Visitor) -> None:
    ada.message.fill("/demo table")
    expect(ada.page.locator("#estimate")).to_have_text(PRICE)
    answer = ada.ask("/demo table")
    expect(answer.locator("table").first).to_be_visible()
    expect(answer.locator(".answer-cost b")).to_have_text(re.compile(r"^[\d.,]+ credits?$"))
    assert re.fullmatch(r"/billing/calls/\d+", answer.locator(".answer-cost").get_attribute("href") or "")
    assert ada.balance < 1000
    hears_the_end_only(ada)
    streamed = answer.locator("[data-prose]").inner_text()
    ada.page.reload()
    assert ada.answers.locator("[data-prose]").inner_text() == streamed
    expect(answer.locator("time")).to_have_text(re.compile(r"\d:\d\d"))
    assert (ada.faults, ada.strangers) == ([], [])
    code_is_copied_and_wrapped(ada)
    a_provider_that_fails_costs_nothing(ada)
    text_from_right_to_left_is_set_so(ada)


def hears_the_end_only(ada: Visitor) -> None:
    """As a screen reader tells it: not each word that comes."""
    expect(ada.page.get_by_role("status").filter(has_text="Answer finished")).to_have_text(
        re.compile(r"Answer finished\. [\d.]+ credits?\.")
    )
    assert ada.page.locator("#messages [aria-live], #messages[aria-live]").count() == 0


def a_provider_that_fails_costs_nothing(ada: Visitor) -> None:
    before = ada.balance
    ada.send("/demo error")
    expect(ada.answers.last).to_have_attribute("data-status", "provider_error")
    expect(ada.answers.last.get_by_role("button", name="Try again")).to_be_visible()
    expect(ada.answers.last.locator(".answer-cost b")).to_have_text("Not charged")
    assert ada.balance == before


def code_is_copied_and_wrapped(ada: Visitor) -> None:
    """And the chat's total grows."""
    total = ada.page.locator("#chat-total")
    before = total.inner_text()
    block = ada.ask("/demo code").locator(".code-block").first
    expect(block.get_by_role("button", name="Copy")).to_be_visible()
    block.get_by_role("button", name="Wrap").click()
    expect(block).to_have_class(re.compile("is-wrapped"))
    expect(total).not_to_have_text(before)


def text_from_right_to_left_is_set_so(ada: Visitor) -> None:
    ada.send("مرحبا")
    expect(ada.questions.last.locator(".question-text")).to_have_css("direction", "rtl")


def closes_by_escape(visitor: Visitor, open_it: Callable[[], None]) -> None:
    open_it()
    visitor.page.keyboard.press("Escape")


def test_escape_stops_an_answer_and_keeps_its_words(ada: Visitor, context: BrowserContext) -> None:
    ada.send("/demo slow")
    expect(ada.answers.locator(".block").first).to_be_visible()
    stops: list[str] = []
    ada.page.on("request", lambda asked: stops.append(asked.url) if asked.url.endswith("/stop") else None)
    closes_by_escape(ada, lambda: ada.page.get_by_role("button", name="Keyboard shortcuts").click())
    closes_by_escape(ada, lambda: ada.page.get_by_role("searchbox", name="Search your chats").fill("ferry"))
    closes_by_escape(ada, ada.page.locator("details.menu summary").click)
    assert stops == []
    ada.page.keyboard.press("Escape")
    expect(ada.answers.get_by_text("You stopped this answer.")).to_be_visible()
    expect(ada.answers.locator(".answer-cost b")).to_contain_text("credit")
    expect(ada.page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    enter_that_ends_a_composition_sends_nothing(ada)
    offline_says_so_at_once_and_keeps_the_message(ada, context)


def enter_that_ends_a_composition_sends_nothing(ada: Visitor) -> None:
    ada.message.fill("にほん")
    ada.message.evaluate(SAFARIS_ENTER)
    ada.page.wait_for_timeout(300)
    expect(ada.message).to_have_value("にほん")
    expect(ada.questions).to_have_count(1)
    ada.message.press("Enter")
    expect(ada.answers.nth(1)).to_have_attribute("data-status", "done")
    ada.questions.last.get_by_role("button", name="Edit and send again").click()
    field = ada.questions.last.get_by_label("Your message")
    field.evaluate(SAFARIS_ENTER)
    expect(field).to_be_visible()


def offline_says_so_at_once_and_keeps_the_message(ada: Visitor, context: BrowserContext) -> None:
    """And what is asked in one tab is shown in the other."""
    second = context.new_page()
    second.goto(ada.page.url)
    expect(second.locator("article.answer")).to_have_count(2)
    ada.message.fill("hello")
    expect(ada.page.locator("#icon-warning")).to_be_attached()
    context.set_offline(True)
    ada.message.press("Enter")
    expect(ada.refusal).to_contain_text("You're offline", timeout=3000)
    expect(ada.message).to_have_value("hello")
    assert ada.refusal.locator("use").first.get_attribute("href").startswith("#icon-")
    context.set_offline(False)
    ada.refusal.get_by_role("button", name="Try again").click()
    expect(ada.answers.nth(2)).to_have_attribute("data-status", "done")
    expect(second.locator("article.answer")).to_have_count(3)
    expect(second.locator("#balance [data-amount]")).to_have_text(
        ada.page.locator("#balance [data-amount]").inner_text()
    )


def test_out_of_credits_is_said_in_place_with_ways_on_and_the_message_is_kept(
    arrive: Callable[..., Visitor],
) -> None:
    bob = arrive("bob")
    bob.send("Is anybody there?")
    expect(bob.refusal).to_contain_text("You're out of credits")
    for way in ("Buy credits", "Change plan"):
        expect(bob.refusal.get_by_role("link", name=way, exact=True)).to_be_visible()
    expect(bob.refusal.get_by_role("button", name=re.compile("Send with|model"))).to_have_count(0)
    assert faults_of(bob.page) == []
    bob.page.set_viewport_size({"width": 360, "height": 640})
    bob.page.get_by_role("button", name=re.compile("^Model:")).click()
    bob.page.get_by_role("searchbox", name="Search models").click()
    bob.page.keyboard.press("Escape")
    bob.message.fill("https://example.com/" + "x" * 80)
    assert too_wide(bob.page) == 0
    bob.message.fill("Is anybody there?")
    expect(bob.questions).to_have_count(0)
    for _ in range(2):
        expect(bob.message).to_have_value("Is anybody there?")
        bob.page.reload()
    expect(bob.page).to_have_url(re.compile("/chat$"))
    expect(bob.page.locator("#chats .chat-item")).to_have_count(0)


def test_a_model_that_passes_is_named_with_its_price_and_the_button_sends(
    arrive: Callable[..., Visitor],
) -> None:
    """Of one whose balance is low, and so coloured."""
    bob = arrive("bob", credits=CREDIT)
    expect(bob.page.locator("#balance")).to_have_class(re.compile("is-low"))
    bob.page.get_by_role("button", name="Model:").click()
    bob.page.get_by_text("Demo smart", exact=False).first.click()
    bob.send("x " * 40_000)
    bob.faults.clear()
    way = bob.refusal.get_by_role("button", name=re.compile(r"Send with .+, up to [\d.,]+ credits"))
    way.click()
    expect(bob.answers).to_have_attribute("data-status", "done")
    expect(bob.message).to_have_value("")


def test_answering_again_replaces_the_answer_and_keeps_the_earlier_version(ada: Visitor) -> None:
    """The first of a double click, which sends once and stops nothing; then with another model, then edited."""
    expect(ada.page.locator("#chat-total")).to_be_hidden()
    ada.message.fill(QUESTION)
    ada.page.get_by_role("button", name="Send", exact=True).dblclick()
    expect(ada.answers).to_have_attribute("data-status", "done")
    total = the_chat_has_its_title_and_total(ada)
    first = ada.answers.get_attribute("data-id")
    expect(ada.answers.locator("[data-again-price]")).to_have_text(PRICE)
    ada.answers.get_by_role("button", name="Answer again", exact=True).click()
    expect(ada.answers.last).not_to_have_attribute("data-id", first or "")
    expect(ada.answers.last).to_have_attribute("data-status", "done")
    expect(ada.answers).to_have_count(1)
    the_total_has_grown_and_stays(ada, total)
    versions = ada.answers.get_by_role("group", name="Versions")
    expect(versions).to_contain_text("2 of 2")
    versions.get_by_role("button", name="Previous version").click()
    expect(versions).to_contain_text("1 of 2")
    expect(ada.answers).to_have_attribute("data-id", first or "")
    another_model_answers_the_same_question(ada)
    the_question_is_edited_and_keeps_what_was_asked_before(ada)


def the_chat_has_its_title_and_total(ada: Visitor) -> str:
    total = ada.page.locator("#chat-total")
    expect(total).to_have_text(re.compile(r"^This chat: [\d.]+ credits?, \d+ tokens$"))
    expect(ada.page.locator("#chats .chat-item a")).to_have_text("Ferry float water")
    expect(ada.page).to_have_title(re.compile("^Ferry float water"))
    return total.inner_text()


def the_total_has_grown_and_stays(ada: Visitor, before: str) -> None:
    total = ada.page.locator("#chat-total")
    expect(total).not_to_have_text(before)
    live = total.inner_text()
    ada.page.reload()
    expect(total).to_have_text(live)


def another_model_answers_the_same_question(ada: Visitor) -> None:
    ada.answers.get_by_role("button", name="Answer again with another model").click()
    ada.page.get_by_role("radio", name=re.compile("Demo smart", re.IGNORECASE)).click()
    offer = ada.page.locator(".refusal.is-offer")
    expect(offer.locator("p")).to_have_text(re.compile(r"^Demo smart: about [\d.,]+ credits, at most [\d.,]+\.$", re.I))
    offer.get_by_role("button", name="Answer again").click()
    expect(ada.answers.last).to_have_attribute("data-model", "demo-smart")
    expect(ada.answers.last).to_have_attribute("data-status", "done")


def the_question_is_edited_and_keeps_what_was_asked_before(ada: Visitor) -> None:
    ada.questions.first.hover()
    ada.questions.get_by_role("button", name="Edit and send again").click()
    ada.questions.get_by_role("textbox").fill("hello again")
    expect(ada.questions.locator("form .estimate")).to_have_text(PRICE)
    ada.questions.get_by_role("button", name="Send again", exact=True).click()
    expect(ada.questions.locator(".question-text")).to_have_text("hello again")
    expect(ada.answers).to_have_attribute("data-status", "done")
    versions = ada.questions.get_by_role("group", name="Versions")
    versions.get_by_role("button", name="Previous version").click()
    expect(ada.questions.locator(".question-text")).to_have_text(QUESTION)
    expect(ada.answers).to_have_count(1)


def test_models_have_their_price_are_found_by_words_and_favourites_stand_first(ada: Visitor) -> None:
    """Found by keyboard too, as is all about a message."""
    smart = re.compile("smart", re.IGNORECASE)
    picker, rows = ada.page.locator("#picker-button"), ada.page.locator(".picker-row:visible")
    a_model_is_chosen_by_keyboard(ada)
    picker.click()
    option = ada.page.locator(".picker-option").first
    expect(option).to_contain_text(re.compile(r"[\d.,]+ in · [\d.,]+ out per 1M tokens"))
    expect(option).to_contain_text("credits per answer")
    ada.page.get_by_label("Search models").fill("smart")
    expect(rows).to_have_count(1)
    ada.page.get_by_role("button", name=re.compile("Favourite: Demo smart", re.IGNORECASE)).click()
    ada.page.add_init_script("Object.defineProperty(navigator, 'platform', { get: () => 'MacIntel' })")
    ada.page.reload()
    expect(ada.page.locator(".search kbd")).to_have_text("⌘ K")
    picker.click()
    expect(rows.first).to_contain_text(smart)
    ada.page.get_by_label("Search models").fill("smart")
    ada.page.keyboard.press("Enter")
    expect(picker).to_contain_text(smart)
    a_message_is_written_and_edited_by_keyboard(ada)


def a_model_is_chosen_by_keyboard(ada: Visitor) -> None:
    ada.page.get_by_role("button", name=re.compile("^Model:")).focus()
    for key in ("Enter", "ArrowDown", "Enter"):
        ada.page.keyboard.press(key)
    expect(ada.page.get_by_role("button", name=re.compile("^Model: *Demo smart", re.IGNORECASE))).to_be_visible()
    expect(ada.message).to_be_focused()


def a_message_is_written_and_edited_by_keyboard(ada: Visitor) -> None:
    ada.page.locator("#thread").focus()
    ada.page.keyboard.press("/")
    ada.page.keyboard.type("one")
    ada.page.keyboard.press("Shift+Enter")
    ada.page.keyboard.type("two")
    ada.page.keyboard.press("Enter")
    expect(ada.questions.locator(".question-text")).to_have_text("one\ntwo")
    expect(ada.answers).to_have_attribute("data-status", "done")
    ada.page.keyboard.press("ArrowUp")
    expect(ada.questions.get_by_role("textbox")).to_be_focused()
