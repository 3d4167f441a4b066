"""A newcomer's ten tasks, with every click and field counted: docs/tasks.md has the table."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from flask import Flask
from playwright.sync_api import Browser, expect

from app.extensions import db
from app.models.identity.account import Account
from app.models.identity.user import User
from tests.browser.conftest import Steps, Visitor, session_cookie
from tests.support.environment import ADMIN_EMAIL
from tests.support.people import PASSWORD
from tests.support.running_app import RunningApp
from tests.support.running_sandbox import SECRET, StartedSandbox

pytestmark = pytest.mark.browser
TABLE = Path(__file__).parents[2] / "docs" / "tasks.md"
WAYS = (
    {"name": "Twenty", "price_cents": "20", "allows_packs": ""},
    {"name": "Only credits", "allowance_override_nanos": "0"},
    {"name": "Both", "price_cents": "30"},
)
"""Those of tasks 4 to 6. Task 7, a higher limit, fills in what task 6 does."""


@pytest.fixture(scope="module")
def shared_environment(with_stripe: dict[str, str]) -> dict[str, str]:
    return with_stripe


def buys_plus(steps: Steps, visitor: Visitor) -> int:
    steps.on(visitor, "/pricing").click("link", "Choose Plus")
    steps.fill("email", visitor.email)
    steps.fill("password", PASSWORD)
    steps.click("button", "Create account")
    steps.pay()
    expect(steps.page.get_by_role("heading", name="Welcome to Plus")).to_be_visible()
    return steps.count


def undoes_a_downgrade(steps: Steps, visitor: Visitor) -> int:
    steps.on(visitor, "/pricing").click("button", "Choose Starter")
    steps.click("button", "Change to Starter")
    steps.on(visitor, "/billing").click("button", "Undo")
    expect(steps.page.locator("[data-pending]")).to_have_count(0)
    return steps.count


def makes_a_key_and_calls(steps: Steps, visitor: Visitor) -> int:
    steps.on(visitor, "/settings").fill("name", "My program")
    steps.click("button", "Create key")
    key = re.search(r"tg_[\w-]+", steps.page.locator("main").inner_text())
    assert key
    answer = requests.get(f"{visitor.url}/api/balance", headers={"Authorization": f"Bearer {key[0]}"}, timeout=60)
    assert answer.ok, answer.text
    assert answer.json()["plan"]["name"] == "Plus"
    return steps.count


def sets_a_way_to_charge(steps: Steps, founder: Visitor, fields: dict[str, str]) -> int:
    steps.on(founder, "/admin/").click("link", "Plans")
    steps.click("link", "New plan")
    for name, text in fields.items():
        if text:
            steps.fill(name, text)
        else:
            steps.count += 1
            steps.page.locator(f"[name={name}]").uncheck()
    if "price_cents" in fields:
        expect(steps.page.locator("#worth")).to_contain_text("credits a month")
    steps.click("button", "Save")
    expect(steps.page.get_by_role("status")).to_have_text("Added.")
    return steps.count


def finds(steps: Steps, founder: Visitor, email: str) -> None:
    steps.on(founder, "/admin/").fill("q", email)
    steps.page.keyboard.press("Enter")
    steps.count += 1
    steps.page.locator("main").get_by_role("row").filter(has_text="Account").get_by_role("link").first.click()


def finds_why_it_was_refused(steps: Steps, founder: Visitor, email: str) -> int:
    finds(steps, founder, email)
    expect(steps.page.get_by_role("cell", name="out of credits").first).to_be_visible()
    return steps.count


def refunds(steps: Steps, founder: Visitor, email: str) -> int:
    finds(steps, founder, email)
    steps.page.get_by_label("Reason", exact=True).last.fill("kindness")
    steps.count += 2  # the reason, and the question that comes
    steps.click("button", "Refund")
    expect(steps.page.get_by_text("$20.00 will be refunded.")).to_be_visible()
    return steps.count


def makes_a_code(steps: Steps, founder: Visitor) -> int:
    steps.on(founder, "/admin/").click("link", "Codes")
    steps.click("link", "New code")
    steps.fill("code", "launch-10")
    steps.fill("percent_bps", "10")
    steps.click("button", "Save")
    expect(steps.page.get_by_text("LAUNCH-10").first).to_be_visible()
    return steps.count


def is_refused(visitor: Visitor, backstage: Flask) -> None:
    with backstage.app_context():
        person = db.session.query(User).filter_by(email=visitor.email).one()
        account = Account.locked(person.home_id)
        account.allowance_nanos = account.credits_nanos = 0
        db.session.commit()
    visitor.go("/chat")
    visitor.send("Anybody there?")
    expect(visitor.refusal).to_be_visible()


def test_the_ten_tasks_take_the_steps_of_the_table(
    browser: Browser,
    arrive: Callable[..., Visitor],
    backstage: Flask,
    shared_app: RunningApp,
    stripe: StartedSandbox,
) -> None:
    stripe.running.point_webhooks(f"{shared_app.url}/webhooks/stripe", SECRET)
    visitor = Visitor(browser.new_page(), shared_app.url, "newcomer@example.com")
    founder = Visitor(browser.new_page(), shared_app.url, ADMIN_EMAIL)
    founder.page.on("dialog", lambda dialog: dialog.accept())
    founder.bring(session_cookie(backstage, ADMIN_EMAIL))
    steps = Steps(visitor.page)
    counts = [
        buys_plus(steps, visitor),
        undoes_a_downgrade(steps, visitor),
        makes_a_key_and_calls(steps, visitor),
    ]
    counts += [sets_a_way_to_charge(steps, founder, fields) for fields in WAYS]
    counts.append(counts[-1])
    is_refused(visitor, backstage)
    counts.append(finds_why_it_was_refused(steps, founder, visitor.email))
    counts += [refunds(steps, founder, visitor.email), makes_a_code(steps, founder)]
    rows = re.findall(r"^\| \d+ \|.*\| (\d+) \| ", TABLE.read_text(), re.MULTILINE)
    assert counts == [int(row) for row in rows]
