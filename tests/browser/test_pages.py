"""Every page in a real browser: readable by everybody, at home on a phone, light, and never from elsewhere."""

import gzip
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import func, select

from app.extensions import db
from app.models.identity.invitation import Invitation
from app.models.metering.usage import Usage
from tests.browser.conftest import Visitor
from tests.support import people
from tests.support.accessibility import faults_of, too_wide
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser

OPEN = ("/", "/pricing", "/login", "/signup", "/password/forgot", "/nothing-here")
CLOSED = ("/chat", "/billing", "/billing/usage", "/billing/transactions", "/account", "/settings", "/pricing")
"""`/pricing` looks different to those who have signed in."""
STATIC = Path(__file__).parents[2] / "app" / "static"


DEVICE = {"protocol": "ctap2", "transport": "internal"} | dict.fromkeys(
    ("hasResidentKey", "hasUserVerification", "isUserVerified", "automaticPresenceSimulation"), True
)


ALIKE = "section.card:nth-of-type(n + 13)"
"""All but the first dozen of a hundred parts that one loop writes: each would cost axe as much as a page."""


def test_a_page_for_everybody_has_no_fault(page: Page, shared_app: RunningApp) -> None:
    for path in OPEN:
        page.goto(shared_app.url + path)
        assert (path, faults_of(page)) == (path, [])
        if path == "/pricing":
            the_prices_of_a_year_are_one_click_away(page)


def the_prices_of_a_year_are_one_click_away(page: Page) -> None:
    expect(page.get_by_role("heading", name="Plus (yearly)")).to_be_hidden()
    page.get_by_role("link", name="Yearly").click()
    expect(page.get_by_role("heading", name="Plus (yearly)")).to_be_visible()
    expect(page.get_by_role("heading", name="Enterprise")).to_be_hidden()


def test_a_page_of_an_account_has_no_fault_is_narrow_and_asks_no_other_host(ada: Visitor) -> None:
    """Narrow: no wider than a small phone. The console has nothing to complain of either."""
    faults = {}
    for path in CLOSED:
        ada.page.set_viewport_size({"width": 1280, "height": 720})
        ada.go(path)
        faults[path] = faults_of(ada.page)
        ada.page.set_viewport_size({"width": 320, "height": 640})
        faults[path] += ["wide"] if too_wide(ada.page) > 0 else []
    assert {path: result for path, result in faults.items() if result} == {}
    assert (ada.faults, ada.strangers) == ([], [])


def test_the_pages_that_one_comes_to_by_a_link_have_no_fault(ada: Visitor, backstage: Flask) -> None:
    motion_is_reduced_for_those_who_ask_for_it(ada.page)
    ada.ask("hello")
    the_list_of_chats_opens_on_a_phone(ada.page)
    with backstage.app_context():
        call, team = db.session.scalar(select(func.max(Usage.id))), people.person("carl")
        invitation = Invitation.send(team, team.owner, ada.email, "member")
        links = [f"/billing/calls/{call}", "/chat?archived", "/api/docs"]
        links.append(f"/invitations/{invitation.issue()}")
        db.session.commit()
    faults = {}
    for path in links:
        ada.go(path)
        ada.page.set_viewport_size({"width": 360, "height": 740})
        faults[path] = ["wide"] if too_wide(ada.page) > 0 else []
        ada.page.evaluate(f"document.querySelectorAll('{ALIKE}').forEach(one => one.remove())")
        faults[path] += faults_of(ada.page)
    assert {path: result for path, result in faults.items() if result} == {}


def motion_is_reduced_for_those_who_ask_for_it(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    duration = "getComputedStyle(document.querySelector('.balance-chip')).transitionDuration"
    assert float(page.evaluate(duration).split("s")[0]) < 0.001
    page.emulate_media(reduced_motion="no-preference")
    assert float(page.evaluate(duration).split("s")[0]) > 0.1


def the_list_of_chats_opens_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Your chats").click()
    expect(page.locator("#chats .chat-item")).to_be_visible()
    page.get_by_role("button", name="Close chat list").first.click()
    expect(page.locator("#chats .chat-item")).to_be_hidden()


def test_a_passkey_is_added_signs_in_and_is_removed(ada: Visitor) -> None:
    page = ada.page
    device = page.context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    device.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    ada.go("/settings")
    page.get_by_label("Passkey name").fill("My laptop")
    page.get_by_role("button", name="Add passkey").click()
    expect(page.get_by_text("Passkey added.")).to_be_visible()
    page.context.clear_cookies()
    ada.go("/login?next=/settings")
    page.get_by_role("button", name="Sign in with a passkey").click()
    row = page.get_by_role("listitem").filter(has_text="My laptop")
    expect(row).to_contain_text("last used")
    row.get_by_text("Remove", exact=True).click()
    assert faults_of(page) == []
    row.get_by_role("button", name="Remove passkey").click()
    expect(page.get_by_text("Passkey removed.")).to_be_visible()
    assert ada.faults == []
    the_appearance_that_was_chosen_stays(page)


def the_appearance_that_was_chosen_stays(page: Page) -> None:
    page.locator("summary[aria-label='Your account']").click()
    toggle = page.get_by_role("button", name="Appearance")
    toggle.click()
    toggle.click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


SHOWN = """async () => {
  const place = document.createElement("p");
  place.innerHTML = '<time data-local="datetime" datetime="2024-12-28T03:01:00Z"></time><time data-local="date" '
    + 'datetime="2024-12-28T03:01:00Z"></time>';
  (await import(new URL("times.js", document.querySelector("script[type=module]").src))).localise(place);
  return [...place.children].map((time) => time.textContent);
}"""


@pytest.mark.parametrize(
    ("locale", "zone", "moment", "day"),
    [
        ("en-US", "America/New_York", "Dec 27, 2024, 10:01 PM", "December 27, 2024"),
        ("de-DE", "Europe/Berlin", "28 Dec 2024, 04:01", "28 December 2024"),
    ],
)
def test_times_are_as_the_readers_region_writes_them(
    browser: Browser, shared_app: RunningApp, locale: str, zone: str, moment: str, day: str
) -> None:
    page = browser.new_page(locale=locale, timezone_id=zone)
    page.goto(f"{shared_app.url}/pricing")
    assert [text.replace("\u202f", " ") for text in page.evaluate(SHOWN)] == [moment, day]
    page.close()


def test_forms_work_without_scripts(browser: Browser, shared_app: RunningApp) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{shared_app.url}/signup")
        page.get_by_label("Email").fill("bob@example.com")
        page.get_by_label("Password", exact=True).fill("correct horse battery")
        page.get_by_role("button", name="Create account").click()
        page.goto(f"{shared_app.url}/settings")
        expect(page.get_by_role("main").get_by_text("bob@example.com")).to_be_visible()


def test_styles_and_scripts_of_the_chat_weigh_less_than_fifty_kilobytes() -> None:
    """All there is but what only the pages of documents load."""
    files = [file for folder in ("css", "js", "img") for file in (STATIC / folder).iterdir()]
    chats = [file for file in files if not file.stem.startswith("document")]
    assert sum(len(gzip.compress(file.read_bytes())) for file in chats) < 50_000
