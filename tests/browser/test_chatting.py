"""Talking to a model in a real browser: send, stream, stop, refuse, repeat."""

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitor
from tests.support.accessibility import faults_of, too_wide
from tests.support.crowding import patient
from tests.support.people import CREDIT
from tests.support.pictures import png
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser


SAFARIS_ENTER = """field => field.dispatchEvent(new KeyboardEvent("keydown",
    {key: "Enter", keyCode: 229, bubbles: true, cancelable: true}))"""
"""After `compositionend`, so not marked as composing."""
PRICE = re.compile(r"^about [\d.,]+ credits, at most [\d.,]+$")


def test_a_first_visit_comes_to_a_first_answer_within_a_minute(
    page: Page, start_app: Callable[..., RunningApp]
) -> None:
    ada = Visitor(page, start_app("web", REQUIRE_VERIFIED_EMAIL="0").url, "ada@example.com")
    started = time.monotonic()
    ada.go("/")
    page.get_by_role("link", name="Start free").first.click()
    ada.sign_up()
    page.locator(".suggestion").first.click()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".answer-cost")).to_contain_text("credits")
    assert time.monotonic() - started < patient(60)


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


def hears_the_end_only(ada: Visitor) -> None:
    """As a screen reader tells it: not each word that comes."""
    expect(ada.page.get_by_role("status").filter(has_text="Answer finished")).to_have_text(
        re.compile(r"Answer finished\. [\d.]+ credits?\.")
    )
    assert ada.page.locator("#messages [aria-live], #messages[aria-live]").count() == 0


def test_a_double_click_sends_once_and_stops_nothing(ada: Visitor) -> None:
    ada.message.fill("/demo help")
    ada.page.get_by_role("button", name="Send", exact=True).dblclick()
    expect(ada.answers).to_have_attribute("data-status", "done")


def closes_by_escape(visitor: Visitor, open_it: Callable[[], None]) -> None:
    open_it()
    visitor.page.keyboard.press("Escape")


def test_escape_stops_an_answer_and_keeps_its_words(ada: Visitor) -> None:
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


def test_out_of_credits_is_said_in_place_with_ways_on_and_the_message_is_kept(
    arrive: Callable[..., Visitor],
) -> None:
    bob = arrive("bob")
    bob.send("Is anybody there?")
    expect(bob.refusal).to_contain_text("You're out of credits")
    for way in ("Buy credits", "Change plan"):
        expect(bob.refusal.get_by_role("link", name=way, exact=True)).to_be_visible()
    expect(bob.refusal.get_by_role("button", name=re.compile("Send with|model"))).to_have_count(0)
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
    bob = arrive("bob", credits=CREDIT)
    bob.page.get_by_role("button", name="Model:").click()
    bob.page.get_by_text("Demo smart", exact=False).first.click()
    bob.send("x " * 40_000)
    bob.faults.clear()
    way = bob.refusal.get_by_role("button", name=re.compile(r"Send with .+, up to [\d.,]+ credits"))
    way.click()
    expect(bob.answers).to_have_attribute("data-status", "done")
    expect(bob.message).to_have_value("")


def test_what_was_refused_and_then_sent_is_not_in_the_next_chats_field(ada: Visitor) -> None:
    sky = {"name": "sky.png", "mimeType": "image/png", "buffer": png(8, 8)}
    with ada.page.expect_response("**/api/attachments"):
        ada.page.locator("#files-input").set_input_files(sky)
    ada.message.fill("What is this?")
    expect(ada.page.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    ada.send("What is this?")
    ada.refusal.get_by_role("button", name="Switch to").click()
    ada.send("What is this?")
    expect(ada.answers).to_have_attribute("data-status", "done")
    ada.page.get_by_role("link", name="New chat").click()
    expect(ada.page).to_have_url(re.compile("/chat$"))
    expect(ada.message).to_have_value("")
    expect(ada.page.locator("#files li")).to_have_count(0)


def test_enter_that_ends_a_composition_sends_nothing(ada: Visitor) -> None:
    ada.message.fill("にほん")
    ada.message.evaluate(SAFARIS_ENTER)
    ada.page.wait_for_timeout(300)
    expect(ada.message).to_have_value("にほん")
    expect(ada.questions).to_have_count(0)
    ada.message.press("Enter")
    expect(ada.answers).to_have_attribute("data-status", "done")
    ada.page.get_by_role("button", name="Edit and send again").click()
    field = ada.questions.get_by_label("Your message")
    field.evaluate(SAFARIS_ENTER)
    expect(field).to_be_visible()


def put_a_prompt_into_the_message(ada: Visitor) -> None:
    ada.page.get_by_label("New prompt").fill("Say hello.")
    ada.page.get_by_role("button", name="Save prompts").click()
    ada.go("/chat")
    ada.message.press("/")
    expect(ada.page.get_by_role("dialog", name="Your prompts")).to_be_visible()
    assert faults_of(ada.page) == []
    ada.message.press("Enter")
    expect(ada.message).to_have_value("Say hello.")


def test_instructions_length_and_prompts_stand_before_the_first_message(ada: Visitor) -> None:
    ada.go("/settings")
    ada.page.get_by_label("For new chats").fill("Answer in French.")
    ada.page.get_by_role("button", name="Save instructions").click()
    put_a_prompt_into_the_message(ada)
    ada.page.get_by_role("button", name="Chat settings").click()
    expect(ada.page.get_by_label("Instructions", exact=True)).to_have_value("Answer in French.")
    ada.page.get_by_label("Maximum answer length (tokens)").fill("300")
    ada.page.get_by_role("button", name="Save").click()
    ada.ask("hello")
    ada.page.reload()
    ada.page.get_by_role("button", name="Chat settings").click()
    expect(ada.page.get_by_label("Instructions", exact=True)).to_have_value("Answer in French.")
    expect(ada.page.get_by_label("Maximum answer length (tokens)")).to_have_value("300")
    ada.page.get_by_label("Instructions", exact=True).fill("Answer as a toll keeper.")
    ada.page.get_by_role("button", name="Save").click()
    ada.page.wait_for_url(re.compile(r"/chat/\d+$"))
    ada.page.get_by_role("button", name="Chat settings").click()
    expect(ada.page.get_by_label("Instructions", exact=True)).to_have_value("Answer as a toll keeper.")


def test_offline_says_so_at_once_and_keeps_the_message(ada: Visitor) -> None:
    ada.message.fill("hello")
    expect(ada.page.locator("#icon-warning")).to_be_attached()
    ada.page.context.set_offline(True)
    ada.message.press("Enter")
    expect(ada.refusal).to_contain_text("You're offline", timeout=3000)
    expect(ada.message).to_have_value("hello")
    assert ada.refusal.locator("use").first.get_attribute("href").startswith("#icon-")
    ada.page.context.set_offline(False)
    ada.refusal.get_by_role("button", name="Try again").click()
    expect(ada.answers).to_have_attribute("data-status", "done")


def test_who_has_not_confirmed_the_address_is_told_so_and_keeps_the_message(
    page: Page, start_app: Callable[..., RunningApp]
) -> None:
    bob = Visitor(page, start_app("web", REQUIRE_VERIFIED_EMAIL="1").url, "bob@example.com")
    bob.sign_up()
    expect(page.get_by_text("Confirm your email to start.")).to_be_visible()
    bob.send("May I?")
    expect(bob.refusal).to_contain_text("Confirm your email")
    expect(bob.message).to_have_value("May I?")


def test_a_low_balance_is_coloured(arrive: Callable[..., Visitor]) -> None:
    bob = arrive("bob", credits=2 * CREDIT)
    expect(bob.page.locator("#balance")).to_have_class(re.compile("is-low"))


def test_a_provider_that_fails_costs_nothing_and_can_be_asked_again(ada: Visitor) -> None:
    ada.send("/demo error")
    expect(ada.answers).to_have_attribute("data-status", "provider_error")
    expect(ada.answers.get_by_role("button", name="Try again")).to_be_visible()
    expect(ada.answers.locator(".answer-cost b")).to_have_text("Not charged")
    assert ada.balance == 1000


def test_answering_again_replaces_the_answer_and_keeps_the_earlier_version(ada: Visitor) -> None:
    first = ada.ask("hello").get_attribute("data-id")
    expect(ada.answers.locator("[data-again-price]")).to_have_text(PRICE)
    ada.answers.get_by_role("button", name="Answer again", exact=True).click()
    expect(ada.answers.last).not_to_have_attribute("data-id", first or "")
    expect(ada.answers.last).to_have_attribute("data-status", "done")
    expect(ada.answers).to_have_count(1)
    versions = ada.answers.get_by_role("group", name="Versions")
    expect(versions).to_contain_text("2 of 2")
    versions.get_by_role("button", name="Previous version").click()
    expect(versions).to_contain_text("1 of 2")
    expect(ada.answers).to_have_attribute("data-id", first or "")


def test_another_model_can_answer_the_same_question(ada: Visitor) -> None:
    ada.ask("hello")
    ada.answers.get_by_role("button", name="Answer again with another model").click()
    ada.page.get_by_role("radio", name=re.compile("Demo smart", re.IGNORECASE)).click()
    offer = ada.page.locator(".refusal.is-offer")
    expect(offer.locator("p")).to_have_text(re.compile(r"^Demo smart: about [\d.,]+ credits, at most [\d.,]+\.$", re.I))
    offer.get_by_role("button", name="Answer again").click()
    expect(ada.answers.last).to_have_attribute("data-model", "demo-smart")
    expect(ada.answers.last).to_have_attribute("data-status", "done")


def test_a_question_can_be_edited_and_sent_again_and_keeps_what_was_asked_before(ada: Visitor) -> None:
    ada.ask("hello")
    ada.questions.first.hover()
    ada.questions.get_by_role("button", name="Edit and send again").click()
    ada.questions.get_by_role("textbox").fill("hello again")
    expect(ada.questions.locator("form .estimate")).to_have_text(PRICE)
    ada.questions.get_by_role("button", name="Send again", exact=True).click()
    expect(ada.questions.locator(".question-text")).to_have_text("hello again")
    expect(ada.answers).to_have_attribute("data-status", "done")
    versions = ada.questions.get_by_role("group", name="Versions")
    versions.get_by_role("button", name="Previous version").click()
    expect(ada.questions.locator(".question-text")).to_have_text("hello")
    expect(ada.answers).to_have_count(1)


def test_models_have_their_price_are_found_by_words_and_favourites_stand_first(ada: Visitor) -> None:
    ada.page.locator("#picker-button").click()
    option = ada.page.locator(".picker-option").first
    expect(option).to_contain_text(re.compile(r"[\d.,]+ in · [\d.,]+ out per 1M tokens"))
    expect(option).to_contain_text("credits per answer")
    ada.page.get_by_label("Search models").fill("smart")
    expect(ada.page.locator(".picker-row:visible")).to_have_count(1)
    ada.page.get_by_role("button", name=re.compile("Favourite: Demo smart", re.IGNORECASE)).click()
    ada.page.reload()
    ada.page.locator("#picker-button").click()
    expect(ada.page.locator(".picker-row:visible").first).to_contain_text(re.compile("smart", re.IGNORECASE))
    ada.page.get_by_label("Search models").fill("smart")
    ada.page.keyboard.press("Enter")
    expect(ada.page.locator("#picker-button")).to_contain_text(re.compile("smart", re.IGNORECASE))


def test_text_from_right_to_left_is_set_so(ada: Visitor) -> None:
    ada.send("مرحبا")
    shown = ada.questions.locator(".question-text")
    expect(shown).to_have_css("direction", "rtl")


def test_code_can_be_copied_and_wrapped(ada: Visitor) -> None:
    block = ada.ask("/demo code").locator(".code-block").first
    expect(block.get_by_role("button", name="Copy")).to_be_visible()
    block.get_by_role("button", name="Wrap").click()
    expect(block).to_have_class(re.compile("is-wrapped"))
