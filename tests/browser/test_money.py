"""The whole life of a customer with money, and a newcomer's ten tasks, in a browser, with the sandbox for Stripe."""

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from app.extensions import db
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.catalog.plan import Plan
from app.models.identity.account import Account
from app.models.identity.user import User
from tests.browser import tasks
from tests.browser.conftest import Steps, Visitor, session_cookie
from tests.support.environment import ADMIN_EMAIL
from tests.support.people import CREDIT, give
from tests.support.running_app import RunningApp, await_that
from tests.support.running_sandbox import SECRET, StartedSandbox

pytestmark = pytest.mark.browser
TOPPING_UP = "Auto-recharge is charging your card. Your message will send automatically."


@pytest.fixture(scope="module")
def shared_environment(with_stripe: dict[str, str]) -> dict[str, str]:
    return with_stripe


@pytest.fixture
def ada(arrive: Callable[..., Visitor], stripe: StartedSandbox, shared_app: RunningApp) -> Visitor:
    """ada, with nothing, on a plan that allows packs; Stripe tells the app what happens."""
    stripe.running.point_webhooks(f"{shared_app.url}/webhooks/stripe", SECRET)
    visitor = arrive("ada", prepare=on_pay_as_you_go)
    visitor.page.on("dialog", lambda dialog: dialog.accept())
    return visitor


def on_pay_as_you_go(account: Account) -> None:
    account.plan = db.session.query(Plan).filter_by(name="Pay as you go").one()


class Money:
    """What ada does at the till, and what is arranged behind the scenes."""

    def __init__(self, ada: Visitor, backstage: Flask) -> None:
        self.ada = ada
        self.page = ada.page
        self.backstage = backstage

    def pay(self) -> None:
        """On Stripe's page, with the card that pays."""
        self.page.locator("#card-success").click()

    def buy_a_pack(self) -> None:
        self.ada.go("/billing")
        self.page.get_by_role("button", name="Buy 5,000 credits").click()
        self.pay()
        expect(self.page.get_by_role("heading", name="Thanks!")).to_be_visible()

    def goes_on_where_it_was_refused(self, steps: Steps, founder: Visitor) -> int:
        """Once it has bought credits with a code; the steps in which the founder finds why it was refused."""
        self.leave(credits=100)
        self.ada.go("/chat")
        self.ada.ask("hello")
        chat = self.page.url
        self.leave(credits=0)
        self.ada.send("Is anybody there?")
        self.ada.refusal.get_by_role("link", name="Buy credits").click()
        self.buy_a_pack_with_a_code()
        self.page.get_by_role("link", name="Go to chat").click()
        expect(self.page).to_have_url(chat)
        expect(self.ada.message).to_have_value("Is anybody there?")
        return tasks.finds_why_it_was_refused(steps, founder, self.ada.email)

    def buy_a_pack_with_a_code(self) -> None:
        self.ada.go("/pricing?code=Launch-10")
        expect(self.page.get_by_text("$9 instead of $10").first).to_be_visible()
        self.page.get_by_role("button", name="Buy with LAUNCH-10").first.click()
        expect(self.page.locator("#total")).to_have_text("$9.00")
        self.pay()
        expect(self.page.get_by_role("heading", name="Thanks!")).to_be_visible()

    def choose(self, plan: str) -> None:
        self.ada.go("/pricing")
        self.page.get_by_role("button", name=f"Choose {plan}").click()

    def subscribe(self, plan: str = "Plus") -> None:
        self.choose(plan)
        self.pay()
        expect(self.page.get_by_role("heading", name=f"Welcome to {plan}")).to_be_visible()

    def upgrade(self) -> None:
        self.choose("Pro")
        expect(self.page.locator("[data-due]")).to_contain_text("$80.00")
        self.page.get_by_role("button", name="Change to Pro").click()
        expect(self.page.get_by_text("You're now on Pro.")).to_be_visible()

    def turn_on_recharge(self) -> None:
        self.ada.go("/billing")
        self.page.get_by_label("When balance falls below").fill("100")
        self.page.get_by_role("button", name="Turn on").click()
        expect(self.page.get_by_text("Auto-recharge is on.")).to_be_visible()

    def cancel(self) -> None:
        self.ada.go("/billing")
        self.page.get_by_role("link", name="Cancel plan").click()
        self.page.get_by_role("button", name="Cancel plan").click()
        expect(self.page.locator("[data-pending]")).to_contain_text("Pro ends")

    def leave(self, credits: int) -> None:
        """As many calls as it takes to come to that balance."""
        with self.backstage.app_context():
            account = Account.locked(self.account_id)
            give(account, allowance=-account.allowance_nanos, credits=credits * CREDIT - account.credits_nanos)
            db.session.commit()

    @property
    def account_id(self) -> int:
        person = db.session.query(User).filter_by(email=self.ada.email).one()
        return int(person.memberships[0].account_id)

    def kinds(self) -> list[str]:
        """Of its ledger, what is not ours."""
        with self.backstage.app_context():
            mine = db.session.query(LedgerEntry).filter_by(account_id=self.account_id).order_by(LedgerEntry.id)
            return [entry.kind for entry in mine if entry.kind != "grant"]

    def paid(self) -> list[int]:
        with self.backstage.app_context():
            mine = db.session.query(Payment).filter_by(account_id=self.account_id, state="paid")
            return sorted(payment.price_cents for payment in mine)

    def admin(self, browser: Browser) -> Visitor:
        page = browser.new_page()
        page.on("dialog", lambda dialog: dialog.accept())
        admin = Visitor(page, self.ada.url, ADMIN_EMAIL)
        admin.bring(session_cookie(self.backstage, ADMIN_EMAIL))
        return admin


def test_a_whole_life_with_money_takes_the_steps_of_the_table(
    page: Page, backstage: Flask, browser: Browser, shared_app: RunningApp, stripe: StartedSandbox
) -> None:
    stripe.running.point_webhooks(f"{shared_app.url}/webhooks/stripe", SECRET)
    money = Money(Visitor(page, shared_app.url, "newcomer@example.com"), backstage)
    founder, steps = money.admin(browser), Steps(page)
    counts = begins(money, steps)
    counts += tasks.sets_ways_to_charge(steps, founder)
    code = tasks.makes_a_code(steps, founder)
    why = money.goes_on_where_it_was_refused(steps, founder)
    upgrades_and_is_recharged(money, stripe)
    counts += [why, tasks.refunds_the_pack(steps, founder, money.ada.email), code]
    assert counts == tasks.counts_of_the_table()
    await_that(lambda: "refund" in money.kinds())
    money.cancel()
    expect(page.get_by_text("$9.00 refunded")).to_be_visible()
    assert money.kinds() == ["refill", "refill", "purchase", "plan_change", "recharge", "recharge", "refund"]
    charged = stripe.running.sandbox.store.where("charge", status="succeeded")
    assert sorted(charge["amount"] for charge in charged) == money.paid()
    assert "Every balance is explained" in shared_app.run("flask", "billing", "audit")
    founder.page.context.close()


def begins(money: Money, steps: Steps) -> list[int]:
    money.page.on("dialog", lambda dialog: dialog.accept())
    return [
        tasks.buys_plus(steps, money.ada),
        tasks.undoes_a_downgrade(steps, money.ada),
        tasks.makes_a_key_and_calls(steps, money.ada),
    ]


def upgrades_and_is_recharged(money: Money, stripe: StartedSandbox) -> None:
    money.upgrade()
    money.turn_on_recharge()
    chats_until_it_is_recharged(money)
    waits_for_a_recharge_and_is_sent_by_itself(money, stripe)


def chats_until_it_is_recharged(money: Money) -> None:
    money.leave(credits=100)
    money.ada.go("/chat")
    while "recharge" not in money.kinds():
        money.ada.ask("hello")


def waits_for_a_recharge_and_is_sent_by_itself(money: Money, stripe: StartedSandbox) -> None:
    slow = {"fault": "slow", "path": "/v1/payment_intents", "method": "POST", "seconds": 1}
    stripe.control("faults", **slow)
    money.leave(credits=0)
    money.ada.go("/chat")
    money.ada.send("Is anybody there?")
    expect(money.ada.answers.get_by_text(TOPPING_UP)).to_be_visible()
    expect(money.ada.message).to_have_value("")
    expect(money.ada.answers).to_have_attribute("data-status", "done")
    expect(money.ada.questions.locator(".question-text")).to_have_text("Is anybody there?")


def test_who_stops_waiting_for_a_recharge_gets_the_words_back(
    ada: Visitor, backstage: Flask, stripe: StartedSandbox
) -> None:
    money = Money(ada, backstage)
    money.subscribe()
    money.turn_on_recharge()
    stripe.control("faults", fault="error_before", path="/v1/payment_intents", method="POST", count=99)
    money.leave(credits=0)
    ada.go("/chat")
    ada.send("Is anybody there?")
    expect(ada.answers.get_by_text(TOPPING_UP)).to_be_visible()
    ada.page.keyboard.press("Escape")
    expect(ada.refusal).to_contain_text("Auto-recharge is charging your card")
    expect(ada.message).to_have_value("Is anybody there?")
    stripe.control("faults", clear=True)


@pytest.fixture
def other_stripe() -> Iterator[StartedSandbox]:
    started = StartedSandbox(live=True)
    yield started
    started.stop()


def go_live(shared_app: RunningApp, stripe: StartedSandbox) -> None:
    """Start again on the same database, with the key of another Stripe account."""
    stripe.running.point_webhooks(f"{shared_app.url}/webhooks/stripe", SECRET)
    shared_app.own |= {"STRIPE_SECRET_KEY": "sk_live_of_the_other", "STRIPE_API_BASE": stripe.url}
    for process in shared_app.names:
        shared_app.restart(process)


@pytest.mark.long
def test_a_life_with_two_stripe_accounts(
    ada: Visitor, backstage: Flask, browser: Browser, shared_app: RunningApp, stripe: StartedSandbox,
    other_stripe: StartedSandbox,
) -> None:  # fmt: skip
    """Sold with a test key, then with a live one: the last test here, since the key stays the other one.

    Without a browser: `tests/payments/test_two_accounts.py`.
    """
    money = Money(ada, backstage)
    money.buy_a_pack()
    money.subscribe()
    go_live(shared_app, other_stripe)
    money.buy_a_pack()
    money.subscribe("Pro")
    money.turn_on_recharge()

    assert money.kinds() == ["purchase", "refill", "purchase", "refill"]
    charged = other_stripe.running.sandbox.store.where("charge", status="succeeded")
    assert sorted(charge["amount"] for charge in charged) == [1000, 10_000]
    admin = money.admin(browser)
    admin.go("/admin/")
    told = admin.page.locator("main")
    expect(told).to_contain_text("Payments use acct_")
    expect(told).to_contain_text(re.compile(r"1 of 1 packs, 1 of \d+ customers"))
    shared_app.run("flask", "billing", "reconcile")
    assert shared_app.run("flask", "billing", "reconcile") == "Stripe and our records agree.\n"
    assert "Every balance is explained" in shared_app.run("flask", "billing", "audit")
    admin.page.close()
