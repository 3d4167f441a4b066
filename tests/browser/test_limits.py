"""Limits met on a phone: a member asks for more and gets it; a chat's budget and one's own limit are raised."""

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from app.extensions import db
from app.models.base import utcnow
from app.models.identity.account import Account
from app.models.identity.membership import Membership
from tests.browser.conftest import Visitor, session_cookie
from tests.support import people
from tests.support.people import CREDIT
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def on_a_phone(browser: Browser, backstage: Flask, shared_app: RunningApp) -> Iterator[Callable[..., Visitor]]:
    """`on_a_phone(email, account_id)`: a browser of their own, signed in to that account."""
    pages: list[Page] = []

    def come(email: str, account_id: int) -> Visitor:
        pages.append(browser.new_page(viewport=PHONE))
        visitor = Visitor(pages[-1], shared_app.url, email)
        visitor.bring(session_cookie(backstage, email, account_id))
        return visitor

    yield come
    for page in pages:
        page.context.close()


def team_of_two(on_a_phone: Callable[..., Visitor], backstage: Flask) -> tuple[Visitor, Visitor]:
    """A member who may use next to nothing, and the owner."""
    with backstage.app_context():
        olga, bob = (people.person(name).owner for name in ("olga-of-limits", "bob-of-limits"))
        team = Account.open(olga, kind="team", name="Ferries")
        people.give(team, credits=100 * CREDIT)
        team.memberships.append(Membership(user=bob, role="member", monthly_limit_nanos=10_000))
        db.session.commit()
        emails, team_id = (bob.email, olga.email), team.id
    member, owner = (on_a_phone(email, team_id) for email in emails)
    return member, owner


def test_a_member_asks_for_more_and_an_owner_approves(on_a_phone: Callable[..., Visitor], backstage: Flask) -> None:
    member, owner = team_of_two(on_a_phone, backstage)
    open_at_its_top(member)
    member.send("Hello there")
    expect(member.refusal).to_contain_text("You've used or reserved")
    member.page.get_by_label("Ask for more, in credits").fill("20")
    member.page.get_by_label("Why (optional)").fill("The timetable")
    member.page.get_by_role("button", name="Ask for 20 more").click()
    expect(member.refusal).to_contain_text("You asked for more")

    owner.go("/account#requests")
    expect(owner.page.locator("#requests")).to_contain_text("The timetable")
    fits(owner.page)
    owner.page.get_by_label(re.compile("^Credits for")).fill("15")
    owner.page.get_by_role("button", name="Approve").click()
    expect(owner.page.get_by_text("can use 15 credits more")).to_be_visible()

    member.message.press("Enter")
    expect(member.answers.last).to_have_attribute("data-status", "done")
    member.go("/account#limit")
    expect(member.page.locator("#limit")).to_contain_text("15 credits of it were granted on top")
    fits(member.page)


def test_a_member_of_a_team_without_credits_is_offered_nothing_to_buy_in_documents(
    on_a_phone: Callable[..., Visitor], backstage: Flask
) -> None:
    with backstage.app_context():
        olga, max_ = (people.person(name).owner for name in ("olga-of-nothing", "max-of-nothing"))
        team = Account.open(olga, kind="team", name="Rowing boats")
        team.memberships.append(Membership(user=max_, role="member"))
        db.session.commit()
        email, team_id = max_.email, team.id
    member = on_a_phone(email, team_id)
    member.go("/documents")
    member.page.get_by_label("Draft with a model").fill("A timetable")
    member.page.get_by_role("button", name="Draft", exact=True).click()
    expect(member.refusal).to_contain_text("What you wrote is kept.")
    expect(member.refusal.get_by_role("link")).to_have_count(0)


@pytest.fixture
def ada(arrive: Callable[..., Visitor]) -> Visitor:
    visitor = arrive("ada", credits=1000 * CREDIT)
    visitor.page.set_viewport_size(PHONE)
    return visitor


def test_a_chats_budget_stands_beside_send_and_is_raised_where_it_is_met(ada: Visitor) -> None:
    ada.page.locator("#budget").click()
    ada.page.get_by_label("Budget in credits").fill("0.001")
    ada.page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(ada.page.locator("#budget")).to_have_text("At most 0.001 credits in this chat")
    raised(ada, "This chat has used or reserved")
    expect(ada.page.locator("#budget")).not_to_contain_text("0.001")
    an_own_limit_is_set_and_raised_where_it_is_met(ada)


def an_own_limit_is_set_and_raised_where_it_is_met(ada: Visitor) -> None:
    ada.go("/account#own-limit")
    ada.page.get_by_label("Limit in credits (empty: no limit)").fill("0.001")
    ada.page.locator("#own-limit").get_by_role("button", name="Save").click()
    ada.go("/chat")
    raised(ada, "You've used or reserved")
    ada.go("/account#own-limit")
    expect(ada.page.locator("#own-limit")).to_contain_text("used this")


def open_at_its_top(visitor: Visitor) -> None:
    """A new chat, on a screen that its welcome is too tall for."""
    visitor.page.set_viewport_size({"width": 375, "height": 560})
    visitor.go("/chat")
    places = visitor.page.evaluate("[thread.scrollTop, thread.scrollHeight > thread.clientHeight + 80]")
    assert (places, visitor.page.locator("#to-latest").is_visible()) == ([0, True], False)
    visitor.page.set_viewport_size(PHONE)


def raised(visitor: Visitor, title: str) -> None:
    """The refusal's own button raises it and sends what was refused."""
    visitor.send("Hello there")
    expect(visitor.refusal).to_contain_text(title)
    expect(visitor.page.locator("#announcer")).to_have_text("")
    fits(visitor.page)
    visitor.page.get_by_role("button", name="Raise to 1 credit and send").click()
    expect(visitor.answers.last).to_have_attribute("data-status", "done")


def fits(page: Page) -> None:
    """Nothing is cut off at the side."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_used_up_day_says_once_when_it_resets_by_the_readers_clock(arrive: Callable[..., Visitor]) -> None:
    def used_up(account: Account) -> None:
        account.daily_limit_nanos = account.day_used_nanos = 50
        account.day = utcnow().date()

    bob = arrive("bob", allowance=100, prepare=used_up)
    bob.send("Anybody there?")
    expect(bob.refusal).to_contain_text(re.compile(r"Resets (today|tomorrow) at [\d:]+"))
    assert len(re.findall("Resets|UTC", bob.refusal.inner_text())) == 1
