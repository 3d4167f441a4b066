"""People in front of a real browser: the app runs as processes, the demo models answer."""

import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from flask import Flask, session
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from werkzeug.http import parse_cookie

from app.extensions import db
from app.models.identity.account import Account
from app.models.identity.user import User
from app.web.browser_session import begin_session
from tests.conftest import app_in, close, web_and_worker
from tests.support import people
from tests.support.crowding import patient
from tests.support.databases import Databases
from tests.support.mailbox import Mailbox
from tests.support.people import CREDIT, PASSWORD
from tests.support.running_app import RunningApp
from tests.support.running_sandbox import SECRET, StartedSandbox

expect.set_options(timeout=patient(45) * 1000)
numbers = count(1)


class Visitor:
    """A person at a browser. `faults`: what the page complained of; `strangers`: requests that left for elsewhere."""

    def __init__(self, page: Page, url: str, email: str) -> None:
        self.page = page
        self.url = url
        self.email = email
        page.set_default_timeout(patient(60) * 1000)
        self.faults: list[str] = []
        self.strangers: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda line: self.faults.append(line.text) if line.type == "error" else None)
        page.on(
            "response",
            lambda got: self.faults.append(f"{got.status} {got.url}") if got.status >= 400 else None,
        )
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        page.on("request", lambda asked: None if asked.url.startswith(url) else self.strangers.append(asked.url))

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)

    def bring(self, cookie: str) -> None:
        """Be signed in by a session that was begun elsewhere."""
        self.page.context.add_cookies([{"name": "session", "value": cookie, "url": self.url}])

    def sign_up(self) -> None:
        if not self.page.url.endswith("/signup"):
            self.go("/signup")
        self.page.get_by_label("Email").fill(self.email)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_role("button", name="Create account").click()
        self.page.wait_for_url(re.compile("/chat"))

    def send(self, text: str) -> None:
        self.message.fill(text)
        self.message.press("Enter")

    def ask(self, text: str) -> Locator:
        """Send, and wait until the answer is done."""
        before = self.answers.count()
        self.send(text)
        answer = self.answers.nth(before)
        expect(answer).to_have_attribute("data-status", "done")
        return answer

    @property
    def message(self) -> Locator:
        return self.page.get_by_label("Your message", exact=True).and_(self.page.locator("#content"))

    @property
    def answers(self) -> Locator:
        return self.page.locator("article.answer")

    @property
    def questions(self) -> Locator:
        return self.page.locator("article.question")

    @property
    def refusal(self) -> Locator:
        return self.page.get_by_role("alert")

    @property
    def balance(self) -> float:
        text = self.page.locator("#balance [data-amount]").inner_text()
        return float(text.replace(",", ""))


class Steps:
    """A page whose fields and clicks are counted."""

    def __init__(self, page: Page) -> None:
        self.page, self.count = page, 0

    def fill(self, name: str, text: str) -> None:
        self.count += 1
        self.page.locator(f"input[name={name}]").last.fill(text)

    def click(self, role: Any, name: str) -> None:
        self.count += 1
        self.page.get_by_role(role, name=name).first.click()

    def pay(self) -> None:
        self.count += 1
        self.page.locator("#card-success").click()

    def on(self, visitor: Visitor, path: str = "") -> "Steps":
        """Go on as that person, there: what leads to the beginning of a task is not counted."""
        self.page, self.count = visitor.page, 0
        if path:
            visitor.go(path)
        return self


def session_cookie(app: Flask, email: str, account_id: int | None = None) -> str:
    """The cookie of a session that begins here: the form is for the tests of signing in."""
    with app.test_request_context():
        begin_session(User.with_email(email), account_id)
        response = app.make_response("")
        app.session_interface.save_session(app, session, response)
    return parse_cookie(response.headers["Set-Cookie"])["session"]


@pytest.fixture(scope="session")
def usual_app(
    all_databases: Databases, mail_server: Mailbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    """The app of all modules that sell nothing. Under a name: there are no passkeys at an IP address."""
    own = {"DATABASE_URL": all_databases.fresh("sqlite"), "MAIL_URL": mail_server.url}
    with web_and_worker(own, "localhost", tmp_path_factory.mktemp("usual")) as running:
        yield running


@pytest.fixture(scope="module")
def shared_app(request: pytest.FixtureRequest, shared_environment: dict[str, str]) -> RunningApp:
    """The usual one, or one of the module's own."""
    app: RunningApp = request.getfixturevalue("shared_app" if shared_environment else "usual_app")
    return app


@pytest.fixture(scope="session")
def warm_context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that has its styles and scripts since the first test."""
    with browser.new_context() as context:
        yield context


@pytest.fixture
def context(warm_context: BrowserContext) -> Iterator[BrowserContext]:
    """A browser in which nobody has left anything that a page could see."""
    yield warm_context
    warm_context.set_offline(False)
    for page in warm_context.pages:
        page.close()
    warm_context.clear_cookies()


@pytest.fixture
def page(context: BrowserContext, shared_app: RunningApp) -> Page:
    page = context.new_page()
    emptied = {"origin": shared_app.url, "storageTypes": "local_storage"}
    context.new_cdp_session(page).send("Storage.clearDataForOrigin", emptied)
    return page


@pytest.fixture(scope="module")
def stripe() -> Iterator[StartedSandbox]:
    started = StartedSandbox()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def with_stripe(stripe: StartedSandbox) -> dict[str, str]:
    """What a module adds to its `shared_environment` to sell something."""
    keys = {"STRIPE_SECRET_KEY": "sk_test_sandbox", "STRIPE_WEBHOOK_SECRET": SECRET}
    return keys | {"STRIPE_API_BASE": stripe.url}


@pytest.fixture(scope="module")
def backstage(shared_app: RunningApp) -> Iterator[Flask]:
    """The app in this process over the same database, to arrange things by."""
    with pytest.MonkeyPatch.context() as patch:
        app = app_in(patch, shared_app.own)
        yield app
        close(app)


@pytest.fixture
def arrive(backstage: Flask, shared_app: RunningApp, page: Page) -> Callable[..., Visitor]:
    """`arrive("ada", credits=...)`: a person of that name, signed in, at a browser of their own."""

    def come(
        name: str, *, at: str = "", prepare: Callable[[Account], None] = lambda _: None, **amounts: int
    ) -> Visitor:
        with backstage.app_context():
            account = people.person(f"{name}{next(numbers)}", **amounts)
            prepare(account)
            email = account.memberships[0].user.email
            db.session.commit()
        visitor = Visitor(page, at or shared_app.url, email)
        visitor.bring(session_cookie(backstage, email))
        visitor.go("/chat")
        return visitor

    return come


@pytest.fixture
def ada(arrive: Callable[..., Visitor]) -> Visitor:
    """ada, with 1,000 credits, at the chat."""
    return arrive("ada", credits=1000 * CREDIT)


@pytest.fixture
def second_tab(context: BrowserContext, ada: Visitor) -> Page:
    """Another tab of ada's browser, on the same page."""
    tab = context.new_page()
    tab.goto(ada.page.url)
    return tab
