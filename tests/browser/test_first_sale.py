"""From a clone to the first sale of one's own, counted; and a founder's launch code, paid with and refunded."""

import time
from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from app.extensions import db
from app.models.billing.payment import Payment
from tests.browser.conftest import Steps, Visitor, session_cookie
from tests.support.environment import ADMIN_EMAIL
from tests.support.running_app import RunningApp
from tests.support.running_sandbox import SECRET, StartedSandbox

pytestmark = pytest.mark.browser
ANSWERS = ("Acme Writer", "¥3,000", "50", "100")
YEN = ("--currency", "jpy", "--rate", "0.0066")
MOST_STEPS = 16
"""Fields and clicks of the way; at half a minute each that is eight minutes."""


@pytest.fixture(scope="module")
def shared_environment(with_stripe: dict[str, str]) -> dict[str, str]:
    return with_stripe


@pytest.fixture
def steps(page: Page, stripe: StartedSandbox, shared_app: RunningApp) -> Steps:
    stripe.running.point_webhooks(f"{shared_app.url}/webhooks/stripe", SECRET)
    return Steps(page)


def start(backstage: Flask, steps: Steps) -> None:
    """The four questions."""
    done = backstage.test_cli_runner().invoke(args=["start", *YEN], input="\n".join(ANSWERS) + "\n")
    assert "left" in done.output
    steps.count += len(ANSWERS) + len(YEN) // 2


def make_code(founder: Visitor, steps: Steps) -> None:
    founder.go("/admin/code/new/")
    steps.count += 3
    steps.fill("code", "launch-25")
    steps.fill("percent_bps", "25")
    expect(founder.page.locator("#worth")).to_contain_text("Acme Writer ¥2,250 of ¥3,000")
    steps.click("button", "Save")
    expect(founder.page.get_by_text("LAUNCH-25").first).to_be_visible()


def buy(buyer: Visitor, steps: Steps) -> None:
    buyer.go("/pricing?code=Launch-25")
    expect(buyer.page.locator("[data-offer]").first).to_contain_text("¥2,250 instead of ¥3,000")
    steps.click("button", "Choose Acme Writer")
    expect(buyer.page.locator("#total")).to_have_text("2,250 JPY")
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
    founder.bring(session_cookie(backstage, ADMIN_EMAIL))
    make_code(founder, steps)
    steps.page.context.clear_cookies()
    buyer = arrive("buyer")
    buy(buyer, steps)
    assert steps.count <= MOST_STEPS
    sees_the_discount(buyer)
    founder.faults.clear()  # of Stripe's page, which was the same browser's
    buyer.page.context.clear_cookies()
    founder.bring(session_cookie(backstage, ADMIN_EMAIL))
    refund(founder, paid(backstage).account_id)
    founder.page.context.clear_cookies()
    buyer.bring(session_cookie(backstage, buyer.email))
    assert told_of_refund(buyer)
    assert paid(backstage).account.allowance_nanos == 0
    question = "dialog: Refund ¥2,250 of ¥2,250? 9,900 credits are taken back."
    assert set(buyer.faults + founder.faults) == {question}


def sees_the_discount(buyer: Visitor) -> None:
    """On the page of billing, among the transactions, and on Stripe's invoice."""
    buyer.go("/billing/transactions")
    off = "From a payment of ¥2,250, ¥750 off with LAUNCH-25"
    expect(buyer.page.get_by_role("row", name="Monthly allowance").first).to_contain_text(off)
    buyer.go("/billing")
    row = buyer.page.get_by_role("row", name="Acme Writer")
    expect(row).to_contain_text("¥750 off with LAUNCH-25")
    expect(row).to_contain_text("Visa ending in 4242")
    row.get_by_role("link", name="Invoice").click()
    expect(buyer.page.get_by_text("-750 JPY")).to_be_visible()
    expect(buyer.page.locator(".total")).to_contain_text("2,250 JPY")
    buyer.faults.clear()  # of Stripe's page


def paid(backstage: Flask) -> Payment:
    with backstage.app_context():
        payment = db.session.query(Payment).filter_by(kind="invoice", state="paid").one()
        assert (payment.price_cents, payment.discount_cents, payment.currency) == (2250, 750, "jpy")
        _ = payment.account.allowance_nanos
        return payment


def refund(founder: Visitor, account_id: int) -> None:
    """In the admin, whose question names the sum and the credits."""
    founder.page.on("dialog", lambda dialog: dialog.accept())
    founder.go(f"/admin/account/details/?id={account_id}")
    founder.page.get_by_label("Reason", exact=True).last.fill("changed their mind")
    founder.page.get_by_role("button", name="Refund", exact=True).click()
    expect(founder.page.get_by_text("¥2,250 will be refunded.")).to_be_visible()


def told_of_refund(buyer: Visitor) -> bool:
    """Looks until a worker has heard of it."""
    for _ in range(60):
        buyer.go("/billing")
        if buyer.page.get_by_text("¥2,250 refunded").is_visible():
            return True
        time.sleep(0.25)
    return False
