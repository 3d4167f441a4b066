"""Every page of the admin in a real browser: readable by everybody, in both schemes, at home on a phone."""

from collections.abc import Iterable

import pytest
from flask import Flask
from playwright.sync_api import Page
from sqlalchemy import select

from app.extensions import db
from app.models.billing.payment import Payment
from app.models.catalog.plan import Plan
from app.models.identity.user import User
from app.models.operations.outbox import OutgoingMail
from app.models.operations.outgoing_webhook import WebhookEndpoint
from app.models.operations.webhook_event import StripeEvent
from tests.browser.conftest import backstage
from tests.support import browser as browsers
from tests.support import people
from tests.support.accessibility import faults_by, too_wide
from tests.support.environment import ADMIN_EMAIL, ADMIN_PASSWORD
from tests.support.people import CREDIT
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
__all__ = ["backstage"]


@pytest.fixture
def addresses(backstage: Flask) -> list[str]:
    """The sheets of one of each thing, some of them with a name that is one long word."""
    with backstage.app_context():
        ada = people.person("ada", credits=100 * CREDIT)
        mail = OutgoingMail.post("k", "ada@example.com", "refund", {})
        payment = Payment(kind="pack", state="parked", account_id=ada.id, price_cents=1000, currency="usd")
        payment.review_reason = "amount is 900 at Stripe"
        event = StripeEvent(stripe_id="evt_1", type="invoice.paid", about={}, state="failed", error="no such thing")
        db.session.add_all([payment, event])
        db.session.flush()
        person = db.session.scalars(select(User.id).where(User.email == "ada@example.com")).one()
        plus = db.session.scalars(select(Plan).where(Plan.name == "Plus")).one()
        WebhookEndpoint.make(None, f"https://example.com/{LONG_WORD}")
        ada.name, plus.name, plan = LONG_WORD, LONG_WORD, plus.id
        shown = {"account": ada.id, "mail": mail.id, "payment": payment.id, "event": event.id, "user": person}
        db.session.commit()
    sheets = [f"/admin/{kind}/details/?id={identifier}" for kind, identifier in shown.items()]
    new = [f"/admin/{kind}/new/" for kind in ("plan", "price", "model")]
    return [*sheets, *new, f"/admin/plan/edit/?id={plan}", "/admin/code/new/", "/pricing"]


LONG_WORD = "Donaudampfschifffahrtsgesellschaftskapitaensmuetzenabzeichen"
AT_A_DESK = ("/admin/", "/admin/plan/")
LISTS = (
    "account", "change", "event", "habit", "image-price", "mail", "model", "operation", "pack", "payment", "provider",
    "refused-call", "support", "usage", "user",
)  # fmt: skip
LIKE_OTHERS = {"/pricing", *(f"/admin/{name}/" for name in LISTS)}
"""Lists that are made of the parts of others, and a page of `tests/browser`: no wider than a phone is enough here."""


def test_no_page_of_the_admin_has_a_serious_fault_or_is_too_wide(
    page: Page, shared_app: RunningApp, addresses: list[str]
) -> None:
    """On a phone in the dark, whatever has a part of its own; one of each kind at a desk by day."""
    browsers.sign_in(page, shared_app.url, ADMIN_EMAIL, ADMIN_PASSWORD)
    page.goto(f"{shared_app.url}/admin/")
    menu = page.locator("nav a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    paths = [path for path in dict.fromkeys(menu) if path.startswith("/admin")] + addresses
    assert len(paths) > 25
    faults = look(page, shared_app.url, AT_A_DESK, "light")
    page.set_viewport_size({"width": 360, "height": 740})
    faults |= look(page, shared_app.url, paths, "dark")
    assert {path: result for path, result in faults.items() if result} == {}


def look(page: Page, url: str, paths: Iterable[str], scheme: str) -> dict[tuple[str, int], list[str]]:
    """What is wrong with each page at the width that the window has."""
    result = {}
    for path in paths:
        page.goto(url + path)
        result[path, page.viewport_size["width"]] = [
            *([] if path in LIKE_OTHERS else faults_by(page, scheme)),
            *(["wide"] if too_wide(page) > 0 else []),
        ]
    return result
