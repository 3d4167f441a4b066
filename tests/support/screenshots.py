"""Pictures of the pages for the documentation: `python -m tests.support.screenshots [FOLDER]`.

The product runs as processes over a database of its own, with sandbox payments and the demo models, and a browser goes
through it: each page at a desktop, on a phone, and in the dark.
"""

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from app.extensions import db
from app.models.base import utcnow
from app.models.billing.payment import Payment
from app.models.billing.subscription import Subscription
from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import Plan
from app.models.chat.chat import Chat
from app.models.identity.account import Account
from app.models.metering.usage import Usage
from devserver.ports import free_port
from devserver.redis_server import RedisServer
from tests.conftest import app_in, close
from tests.support import browser as browsers
from tests.support import people
from tests.support.environment import ADMIN_EMAIL, ADMIN_PASSWORD, app_environment
from tests.support.people import CREDIT, LONG_AGO
from tests.support.pictures import drawn
from tests.support.running_app import RunningApp
from tests.support.running_sandbox import SECRET, StartedSandbox

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
LOOKS = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
}
OPEN = {"home": "/", "pricing": "/pricing", "signup": "/signup"}
CLOSED = {
    "new-chat": "/chat", "billing": "/billing", "usage": "/billing/usage", "transactions": "/billing/transactions",
    "account": "/account", "settings": "/settings",
}  # fmt: skip
EARLIER = ("Fares for groups", "A kind reply", "Duplicate files", "Weekend in Lisbon", "Compound interest")
BACK_OFFICE = {"admin": "/admin/", "admin-plans": "/admin/plan/", "admin-prices": "/admin/price/"}
DAYS, QUESTIONS = (
    30,
    ("What is a credit?", "Compare the plans in a table", "Which ferry is this? The list is attached."),
)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=60_000)
    with running() as app, sync_playwright() as playwright:
        browser = playwright.chromium.launch(**browsers.launch_options())  # type: ignore[arg-type]
        chat = ask_all(new_page(browser, "desktop"), app)
        for look in LOOKS:
            show_all(new_page(browser, look), app, chat, lambda name, page: picture(folder, name, look, page))  # noqa: B023
        browser.close()


@contextmanager
def running() -> Iterator[RunningApp]:
    """The product with an account that has been used for a month."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        port, redis = free_port(), RedisServer()
        redis.start()
        sandbox = StartedSandbox(f"http://127.0.0.1:{port}/webhooks/stripe", SECRET)
        own = app_environment(
            PORT=str(port),
            DATABASE_URL=f"sqlite:///{folder}/product.db",
            REDIS_URL=redis.url,
            STRIPE_SECRET_KEY="sk_test_sandbox",
            STRIPE_API_BASE=sandbox.url,
            STRIPE_WEBHOOK_SECRET=SECRET,
        )
        app = RunningApp(own, folder=Path(folder))
        for command in (("db", "upgrade"), ("seed",)):
            app.run("flask", *command)
        arrange(app, patch)
        with app:
            yield app
        sandbox.stop()
        redis.stop()


def arrange(app: RunningApp, patch: pytest.MonkeyPatch) -> None:
    backstage = app_in(patch, app.own)
    with backstage.app_context():
        plus = db.session.query(Plan).filter_by(name="Plus").one()
        account = people.person("ada", plan=plus, allowance=7_400 * CREDIT, credits=1_860 * CREDIT)
        account.period_end = utcnow() + timedelta(days=11)
        use_for_a_month(account)
        pay(account, plus)
        for title in EARLIER:
            begun = {"account_id": account.id, "user_id": account.memberships[0].user_id}
            db.session.add(Chat(**begun, title=title, model="demo-smart", updated_at=LONG_AGO))
        db.session.commit()
    close(backstage)


def use_for_a_month(account: Account) -> None:
    """Calls of each day, the same at each run."""
    dice, now = Random(7), utcnow()  # noqa: S311
    models = [model for model, _price in AIModel.for_sale(now)]
    for day in range(1, DAYS):
        for _ in range(dice.randrange(2, 9)):
            model, began = dice.choice(models), now - timedelta(days=day, minutes=dice.randrange(600))
            taken, made = dice.randrange(300, 6000), dice.randrange(80, 1500)
            paid = model.prices[0].rates.most_for(taken, made)
            owner = {"account_id": account.id, "user_id": account.memberships[0].user_id, "model": model.name}
            times = {"created_at": began, "settled_at": began + timedelta(seconds=9), "day": began.date()}
            figures = {
                "uncached_input": taken,
                "output": made,
                "cost_nanos": paid,
                "allowance_paid_nanos": paid,
            }
            state = {"state": "settled", "outcome": "done", "source": "reported", "reserved_nanos": 0}
            call = Usage(**owner, **times, **figures, **state, price_id=model.prices[0].id, max_output_tokens=4096)
            db.session.add(call)


def pay(account: Account, plus: Plan) -> None:
    """A subscription and a pack, paid for this month."""
    owner = {"account_id": account.id, "currency": "usd"}
    ends, begins = account.period_end, utcnow() - timedelta(days=19)
    subscription = Subscription(plan_id=plus.id, status="active", stripe_id="sub_1", price_cents=2000, **owner)
    subscription.period_start, subscription.period_end, subscription.created_at = begins, ends, begins
    db.session.add(subscription)
    for days, sold in (
        (19, {"kind": "invoice", "plan_id": plus.id, "price_cents": 2000, "number": "TOLL-0007"}),
        (6, {"kind": "pack", "pack_id": 1, "price_cents": 1000, "worth_nanos": 5000 * CREDIT}),
    ):
        worth = {
            "worth_nanos": 10_000 * CREDIT,
            "method": "Visa ending in 4242",
            "page_url": "https://example.com",
        }
        paid = {"state": "paid", "paid_at": utcnow() - timedelta(days=days)}
        db.session.add(Payment(**owner, **worth | sold, **paid, total_cents=sold["price_cents"]))


def new_page(browser: Browser, look: str) -> Page:
    return browser.new_page(**LOOKS[look], reduced_motion="reduce", locale="en-US")  # type: ignore[arg-type]


def ask_all(page: Page, app: RunningApp) -> str:
    """Hold the conversation of the pictures; returns its address."""
    browsers.sign_in(page, app.url, "ada@example.com")
    page.get_by_role("button", name=re.compile("^Model:")).click()
    page.get_by_role("radio", name=re.compile("Demo smart", re.IGNORECASE)).click()
    for number, question in enumerate(QUESTIONS):
        if "attached" in question:
            attach(page)
        page.locator("#content").fill(question)
        page.locator("#content").press("Enter")
        expect(page.locator("article.answer").nth(number)).to_have_attribute("data-status", "done")
    return page.url


def attach(page: Page) -> None:
    files: list[FilePayload] = [
        {"name": "ferry.png", "mimeType": "image/png", "buffer": drawn(480, 300)},
        {"name": "timetable.csv", "mimeType": "text/csv", "buffer": b"pier,time\nNorth,09:40\n"},
    ]
    page.locator("#files-input").set_input_files(files)
    expect(page.locator("#files li[aria-busy=false]")).to_have_count(len(files))


def show_all(page: Page, app: RunningApp, chat: str, take: Callable[[str, Page], None]) -> None:
    for name, path in OPEN.items():
        page.goto(app.url + path)
        take(name, page)
    browsers.sign_in(page, app.url, "ada@example.com")
    show_chat(page, chat, take)
    for name, path in CLOSED.items():
        page.goto(app.url + path)
        take(name, page)
    page.goto(app.url + "/billing/usage")
    page.goto(app.url + str(page.locator("#calls a").first.get_attribute("href")))
    take("receipt", page)
    page.context.clear_cookies()
    browsers.sign_in(page, app.url, ADMIN_EMAIL, ADMIN_PASSWORD)
    for name, path in BACK_OFFICE.items():
        page.goto(app.url + path)
        take(name, page)


def show_chat(page: Page, chat: str, take: Callable[[str, Page], None]) -> None:
    page.goto(chat)
    page.wait_for_load_state("networkidle")
    page.locator("#content").fill("And what would it cost with another model?")
    expect(page.locator("#estimate")).to_contain_text("at most")
    page.locator(".question .files img").evaluate("image => image.scrollIntoView({ block: 'center' })")
    take("chat-files", page)
    page.locator("article.answer").nth(1).scroll_into_view_if_needed()
    take("chat", page)
    page.get_by_role("button", name=re.compile("^Model:")).click()
    take("picker", page)
    page.locator("#content").fill("")


def picture(folder: Path, name: str, look: str, page: Page) -> None:
    page.screenshot(path=folder / f"{name}-{look}.png", animations="disabled")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
