"""A sandbox per test, a receiver of its webhooks, and a shop with a customer in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import stripe
from stripe._v1_services import V1Services

from tests.support.running_sandbox import SECRET, StartedSandbox
from tests.support.webhook_inbox import WebhookInbox

DONE = "http://127.0.0.1/done?session={CHECKOUT_SESSION_ID}"


@pytest.fixture
def inbox() -> Iterator[WebhookInbox]:
    """Fails the test for a webhook that is badly signed or against the contract."""
    receiver = WebhookInbox(SECRET)
    yield receiver
    receiver.close()
    assert receiver.broken == []


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Iterator[StartedSandbox]:
    """Its webhooks go to the `inbox` of a test that has one, before anything happens."""
    hears = "inbox" in request.fixturenames
    started = StartedSandbox(request.getfixturevalue("inbox").url if hears else None)
    yield started
    started.wait_until_idle()
    started.stop()


@pytest.fixture
def api(sandbox: StartedSandbox) -> V1Services:
    return sandbox.client.v1


class Prices(dict[str, stripe.Price]):
    """Each made when it is first asked for: a pack of 10.00, Plus at 20.00 and Max at 100.00 a month, Yearly at
    200.00 a year."""

    CENTS = {"pack": 1000, "plus": 2000, "max": 10000, "yearly": 20000}  # noqa: RUF012

    def __init__(self, api: V1Services) -> None:
        super().__init__()
        self.api = api

    def __missing__(self, name: str) -> stripe.Price:
        params: Any = {"currency": "usd", "unit_amount": self.CENTS[name], "product_data": {"name": name}}
        if name != "pack":
            params["recurring"] = {"interval": "year" if name == "yearly" else "month"}
        self[name] = self.api.prices.create(params)
        return self[name]


@dataclass
class Shop:
    sandbox: StartedSandbox
    customer: stripe.Customer
    prices: Prices

    @property
    def api(self) -> V1Services:
        return self.sandbox.client.v1

    def save_card(self, card: str = "success") -> str:
        """The id of a card that is now the customer's default."""
        return str(self.sandbox.control("method", customer=self.customer.id, card=card)["id"])

    def subscribe(self, price: str = "plus", **wanted: Any) -> stripe.Subscription:
        items = [{"price": self.prices[price].id}]
        params: Any = {"customer": self.customer.id, "items": items, **wanted}
        return self.api.subscriptions.create(params)

    def change(self, subscription: stripe.Subscription, price: str, **wanted: Any) -> stripe.Subscription:
        item = subscription["items"].data[0].id
        params: Any = {"items": [{"id": item, "price": self.prices[price].id}], **wanted}
        return self.api.subscriptions.update(subscription.id, params)

    def session(self, mode: str = "payment", price: str = "pack", **wanted: Any) -> stripe.checkout.Session:
        params: Any = {"mode": mode, "customer": self.customer.id, "success_url": DONE, **wanted}
        if mode != "setup":
            params["line_items"] = [{"price": self.prices[price].id, "quantity": 1}]
        else:
            params["currency"] = "usd"
        return self.api.checkout.sessions.create(params)

    def charge(self, card: str, amount: int = 1000, **wanted: Any) -> stripe.PaymentIntent:
        """Off-session, as auto-recharge does it."""
        params: Any = {
            "amount": amount,
            "currency": "usd",
            "customer": self.customer.id,
            "payment_method": card,
        }
        params |= {"confirm": True, "off_session": True, **wanted}
        return self.api.payment_intents.create(params)

    def subscription(self, subscription: stripe.Subscription) -> stripe.Subscription:
        return self.api.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice.payments"]})


@pytest.fixture
def shop(sandbox: StartedSandbox) -> Shop:
    api = sandbox.client.v1
    return Shop(sandbox, api.customers.create({"email": "ada@example.com"}), Prices(api))
