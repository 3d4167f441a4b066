"""The portal and the dashboard, the state file, and the program itself."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import stripe

from tests.sandbox.conftest import Shop
from tests.support.running_sandbox import StartedSandbox
from tests.support.webhook_inbox import WebhookInbox


@pytest.fixture
def portal(shop: Shop) -> str:
    """The path of the customer's portal; the customer has a card and Plus."""
    shop.save_card()
    shop.subscribe()
    wanted = {"customer": shop.customer.id, "return_url": "http://127.0.0.1/billing"}
    session = shop.api.billing_portal.sessions.create(wanted)  # type: ignore[arg-type]
    return session.url.removeprefix(shop.sandbox.url)


def only_subscription(shop: Shop) -> stripe.Subscription:
    return shop.api.subscriptions.list({"customer": shop.customer.id, "status": "all"}).data[0]


def test_the_portal_shows_card_subscription_invoices_and_the_way_back(shop: Shop, portal: str) -> None:
    page = requests.get(shop.sandbox.url + portal, timeout=60).text
    for shown in ("•••• 4242", "$20.00 each month", "/invoice/in_", "http://127.0.0.1/billing"):
        assert shown in page


def test_a_card_added_in_the_portal_pays_from_then_on(shop: Shop, portal: str) -> None:
    shop.sandbox.post(f"{portal}/cards", card="pm_card_visa")
    newest = shop.api.payment_methods.list({"customer": shop.customer.id}).data[0]
    assert only_subscription(shop).default_payment_method == newest.id


def test_a_declined_card_is_not_added_in_the_portal(shop: Shop, portal: str) -> None:
    assert shop.sandbox.post(f"{portal}/cards", card="decline").status_code == 402


def test_a_card_is_removed_in_the_portal(shop: Shop, portal: str) -> None:
    card = shop.api.payment_methods.list({"customer": shop.customer.id}).data[0]
    shop.sandbox.post(f"{portal}/cards/{card.id}/remove")
    assert shop.api.payment_methods.list({"customer": shop.customer.id}).data == []


@pytest.mark.parametrize(
    ("actions", "status", "leaving"),
    [
        (["cancel"], "active", True),
        (["cancel", "keep"], "active", False),
        (["cancel_now"], "canceled", False),
    ],
)
def test_a_subscription_is_cancelled_and_kept_in_the_portal(
    shop: Shop, portal: str, actions: list[str], status: str, leaving: bool
) -> None:
    identity = only_subscription(shop).id
    for action in actions:
        shop.sandbox.post(f"{portal}/subscriptions/{identity}/{action}")
    result = only_subscription(shop)
    assert (result.status, result.status == "active" and result.cancel_at is not None) == (status, leaving)


def test_the_portal_has_a_configuration(shop: Shop, portal: str) -> None:
    assert shop.api.billing_portal.configurations.list().data[0].features.invoice_history.enabled is True


def test_the_dashboard_lists_payments_with_their_buttons(shop: Shop) -> None:
    intent = shop.charge(shop.save_card())
    page = requests.get(f"{shop.sandbox.url}/", timeout=60).text
    assert str(intent.latest_charge) in page
    assert "Refund the rest" in page


def test_a_button_of_the_dashboard_acts_and_comes_back(shop: Shop) -> None:
    intent = shop.charge(shop.save_card())
    answer = shop.sandbox.post("/_sandbox/refund", charge=str(intent.latest_charge), amount="250")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert shop.api.refunds.list({"payment_intent": intent.id}).data[0].amount == 250


def test_the_state_names_everything_there_is(shop: Shop) -> None:
    state = requests.get(f"{shop.sandbox.url}/_sandbox/state", timeout=60).json()
    assert [customer["id"] for customer in state["objects"]["customer"]] == [shop.customer.id]


def test_an_unknown_action_is_a_404(sandbox: StartedSandbox) -> None:
    assert requests.post(f"{sandbox.url}/_sandbox/rob", json={}, timeout=60).status_code == 404


def test_a_wish_that_lacks_something_says_what(sandbox: StartedSandbox) -> None:
    answer = requests.post(f"{sandbox.url}/_sandbox/card", json={"behaviour": "decline"}, timeout=60)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "payment_method")


def test_a_button_that_cannot_act_says_why(shop: Shop) -> None:
    answer = shop.sandbox.post("/_sandbox/refund", charge="ch_unknown")
    assert answer.status_code == 400
    assert "No such charge" in answer.text


def test_the_clock_stands_where_it_was_put(shop: Shop) -> None:
    shop.sandbox.control("clock", to=2_000_000_000)
    assert shop.api.customers.create({}).created - 2_000_000_000 in range(5)


def test_a_restarted_sandbox_knows_its_customers_and_its_clock(tmp_path: Path) -> None:
    first = StartedSandbox(state=tmp_path / "sandbox.json")
    customer = first.client.v1.customers.create({"email": "ada@example.com"})
    now = first.advance(86400)["now"]
    first.stop()
    second = StartedSandbox(state=tmp_path / "sandbox.json")
    result = second.client.v1.customers.retrieve(customer.id)
    later = second.client.v1.customers.create({}).created
    second.stop()
    assert result.email == "ada@example.com"
    assert later - now in range(10)


def test_a_restart_with_another_address_sends_its_webhooks_there(tmp_path: Path, inbox: WebhookInbox) -> None:
    for url in ("http://127.0.0.1:9/", inbox.url):
        started = StartedSandbox(url, state=tmp_path / "sandbox.json")
        endpoints = started.client.v1.webhook_endpoints.list().data
        started.stop()
    assert [endpoint.url for endpoint in endpoints] == [inbox.url]


def test_what_was_not_delivered_is_delivered_after_a_restart(tmp_path: Path, inbox: WebhookInbox) -> None:
    first = StartedSandbox("http://127.0.0.1:9/", state=tmp_path / "sandbox.json")
    first.client.v1.customers.create({"email": "ada@example.com"})
    first.stop()
    second = StartedSandbox(inbox.url, state=tmp_path / "sandbox.json")
    second.wait_until_idle()
    second.stop()
    assert inbox.types() == ["customer.created"]


def test_the_state_is_plain_json(tmp_path: Path) -> None:
    started = StartedSandbox(state=tmp_path / "sandbox.json")
    started.client.v1.customers.create({"email": "ada@example.com"})
    started.stop()
    assert "ada@example.com" in json.dumps(json.loads((tmp_path / "sandbox.json").read_text())["objects"])


def program(port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sandbox", "--port", str(port)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_program_says_where_it_is_and_leaves_when_asked() -> None:
    running = program(0)
    assert running.stdout is not None
    url = running.stdout.readline().split()[2]
    answered = requests.get(url, timeout=60).status_code
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert (answered, running.returncode) == (200, 0)


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        running = program(port)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 1
    assert str(port) in errors
