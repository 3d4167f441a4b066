"""From an empty installation: an admin sets up the four ways to charge, and somebody buys and uses one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import delete, select
from sqlalchemy.orm import Session, scoped_session

from app.models.catalog.plan import CreditPack, Plan
from app.models.metering.usage import Usage
from tests.support import browser as browsers
from tests.support import people
from tests.support.environment import ADMIN_EMAIL, ADMIN_PASSWORD
from tests.support.people import CREDIT, PASSWORD
from tests.support.running_app import RunningApp
from tests.support.running_sandbox import SECRET, StartedSandbox

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)

PLANS = (
    {"name": "Twenty", "price_cents": "20", "allows_packs": False},
    {"name": "Only credits", "price_cents": "0", "allowance_override_nanos": "0"},
    {"name": "Both", "price_cents": "20.00", "surcharge_cents": "10"},
    {"name": "Large", "price_cents": "100", "margin_bps": "45"},
    {"name": "Largest", "price_cents": "200", "surcharge_cents": "20", "margin_bps": "40"},
)
WORTH = {"Twenty": 10_000, "Only credits": 0, "Both": 5_000, "Large": 55_000, "Largest": 108_000}


@pytest.fixture
def sandbox() -> Iterator[StartedSandbox]:
    started = StartedSandbox()
    yield started
    started.stop()


@pytest.fixture
def environment(environment: dict[str, str], sandbox: StartedSandbox) -> dict[str, str]:
    stripe = {"STRIPE_SECRET_KEY": "sk_test_sandbox", "STRIPE_WEBHOOK_SECRET": SECRET}
    return environment | stripe | {"STRIPE_API_BASE": sandbox.url}


@pytest.fixture
def running(app: Flask, session: scoped_session[Session], start_app: Callable[..., RunningApp]) -> RunningApp:
    """An installation that sells nothing yet; the plan of its administrator is all that there is."""
    session.execute(delete(CreditPack))
    session.execute(delete(Plan).where(~Plan.is_default))
    people.person("ada")
    session.commit()
    return start_app("web")


def type_into(page: Page, fields: dict[str, str | bool]) -> None:
    for name, value in fields.items():
        control = page.locator(f"form.sheet [name={name}]")
        control.set_checked(value) if isinstance(value, bool) else control.fill(value)


def sell(page: Page, running: RunningApp, kind: str, fields: dict[str, str | bool]) -> None:
    """As a person does it: the list, the button, the fields, Save."""
    page.goto(f"{running.url}/admin/{kind}/")
    page.get_by_role("link", name=f"New {kind}").click()
    type_into(page, fields)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("successfully created")


def buy_and_ask(page: Page, running: RunningApp) -> None:
    """Choose the plan, buy the pack at the checkout, ask the demo model."""
    browsers.sign_in(page, running.url, "ada@example.com", PASSWORD)
    page.goto(f"{running.url}/pricing")
    page.get_by_role("button", name="Choose Only credits").click()
    page.goto(f"{running.url}/billing")
    page.get_by_role("button", name=re.compile("Buy 5,000 credits")).click()
    page.locator("#card-success").click()
    page.wait_for_url(re.compile(r"/billing"))
    page.goto(f"{running.url}/chat")
    page.locator("#content").fill("Hello")
    page.locator("#content").press("Enter")
    expect(page.locator("article.answer")).to_have_attribute("data-status", "done")


def test_the_four_ways_to_charge_are_set_up_and_one_is_used(
    browser: Browser, page: Page, running: RunningApp, session: scoped_session[Session]
) -> None:
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None
    )
    browsers.sign_in(page, running.url, ADMIN_EMAIL, ADMIN_PASSWORD)
    for plan in PLANS:
        sell(page, running, "plan", plan)
    sell(page, running, "pack", {"name": "Ten dollars", "price_cents": "10", "margin_bps": "50"})
    sold = session.scalars(select(Plan).where(~Plan.is_default))
    assert {plan.name: plan.allowance_nanos // CREDIT for plan in sold} == WORTH
    buy_and_ask(browser.new_page(), running)
    session.rollback()
    paid = session.scalars(select(Usage)).one()
    assert (paid.state, paid.allowance_paid_nanos) == ("settled", 0)
    assert faults == []


def test_the_worth_follows_what_is_typed(page: Page, running: RunningApp) -> None:
    browsers.sign_in(page, running.url, ADMIN_EMAIL, ADMIN_PASSWORD)
    page.goto(f"{running.url}/admin/plan/new/")
    type_into(page, {"price_cents": "20", "surcharge_cents": "10", "margin_bps": "50"})
    expect(page.locator("#worth")).to_contain_text("= 5,000 credits a month")
    expect(page.locator("#worth")).to_contain_text("left $14.12")
