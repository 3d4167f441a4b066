"""From a clone to the first sale of one's own, counted; and a founder's launch code, paid with and refunded."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from app.extensions import db
from app.models.billing.payment import Payment
from tests.browser.conftest import Visitor
from tests.support.environment import ADMIN_EMAIL, ADMIN_PASSWORD
from tests.support.running_app import RunningApp
from tests.support.running_sandbox import SECRET, StartedSandbox

pytestmark = pytest.mark.browser
ANSWERS = ("Acme Writer", "20", "50", "100")
MOST_STEPS = 16
"""Fields and clicks of the way; at half a minute each that is eight minutes."""


@pytest.fixture(scope="module")
def stripe() -> Iterator[StartedSandbox]:
    started = StartedSandbox()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def shared_environment(stripe: StartedSandbox) -> dict[str, str]:
    keys = {"STRIPE_SECRET_KEY": "sk_test_sandbox", "STRIPE_WEBHOOK_SECRET": SECRET}
    return keys | {"STRIPE_API_BASE": stripe.url}


class Steps:
    """A page whose fields and clicks are counted."""

    def __init__(self, page: Page) -> None:
        self.page, self.count = page, 0

    def fill(self, name: str, text: str) -> None:
        self.count += 1
        self.page.locator(f"input[name={name}]").fill(text)

    def click(self, role: Any, name: str) -> None:
        self.count += 1
        self.page.get_by_role(role, name=name).first.click()

    def pay(self) -> None:
        self.count += 1
        self.page.locator("#card-success").click()


@pytest.fixture
def steps(page: Page, stripe: StartedSandbox, shared_app: RunningApp) -> Steps:
    stripe.running.point_webhooks(f"{shared_app.url}/webhooks/stripe", SECRET)
    return Steps(page)


def start(backstage: Flask, steps: Steps) -> None:
    """The four questions."""
    done = backstage.test_cli_runner().invoke(args=["start"], input="\n".join(ANSWERS) + "\n")
    assert "left" in done.output
    steps.count += len(ANSWERS)


def make_code(founder: Visitor, steps: Steps) -> None:
    founder.sign_in(ADMIN_PASSWORD)
    founder.go("/admin/code/new/")
    steps.count += 3
    steps.fill("code", "launch-25")
    steps.fill("percent_bps", "25")
    expect(founder.page.locator("#worth")).to_contain_text("Acme Writer $15.00 of $20.00")
    steps.click("button", "Save")
    expect(founder.page.get_by_text("LAUNCH-25").first).to_be_visible()


def buy(buyer: Visitor, steps: Steps) -> None:
    buyer.go("/pricing?code=Launch-25")
    expect(buyer.page.locator("[data-offer]").first).to_contain_text("$15 instead of $20")
    steps.click("button", "Choose Acme Writer")
    expect(buyer.page.locator("#total")).to_have_text("$15.00")
    steps.pay()
    expect(buyer.page.get_by_role("heading", name="Welcome to Acme Writer")).to_be_visible()
    buyer.faults.clear()  # of Stripe's page


def test_a_first_plan_of_ones_own_is_sold_with_a_launch_code_and_refunded(
    arrive: Callable[..., Visitor],
    steps: Steps,
    stripe: StartedSandbox,
    shared_app: RunningApp,
    backstage: Flask,
) -> None:
    start(backstage, steps)
    founder = Visitor(steps.page, shared_app.url, ADMIN_EMAIL)
    make_code(founder, steps)
    steps.page.context.clear_cookies()
    buyer = arrive("buyer")
    buy(buyer, steps)
    assert steps.count <= MOST_STEPS
    buyer.go("/billing")
    expect(buyer.page.get_by_text("$5.00 off with LAUNCH-25")).to_be_visible()
    buyer.go("/billing/transactions")
    expect(buyer.page.get_by_text("Monthly allowance").first).to_be_visible()
    refund(stripe, backstage)
    assert told_of_refund(buyer)
    assert buyer.faults == []


def told_of_refund(buyer: Visitor) -> bool:
    """Looks until a worker has heard of it."""
    for _ in range(60):
        buyer.go("/billing")
        if buyer.page.get_by_text("$15.00 refunded").is_visible():
            return True
        time.sleep(0.25)
    return False


def refund(stripe: StartedSandbox, backstage: Flask) -> None:
    with backstage.app_context():
        paid = db.session.query(Payment).filter_by(kind="invoice", state="paid").one()
        intent = paid.stripe_payment_intent_id
        assert (paid.price_cents, paid.discount_cents) == (1500, 500)
        stripe.control("refund", payment_intent=intent, amount=1500)
        stripe.wait_until_idle()
