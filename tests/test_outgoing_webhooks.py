"""Webhooks that we send: signed, once, tried again, never to private addresses in production."""

import hashlib
import hmac
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import chain, repeat
from typing import Any

import pytest
import time_machine
from flask import Flask

from app import webhook_sender
from app.extensions import db
from app.models.base import utcnow
from app.models.identity.account import Account
from app.models.identity.erasure import delete_person
from app.models.metering.refusal import InvalidRequest
from app.models.operations.outgoing_webhook import (
    WebhookDelivery,
    WebhookEndpoint,
    checked_url,
)
from app.notifications import spending_mails
from tests.auth.conftest import Browser
from tests.support import Database
from tests.support.crowding import patient
from tests.support.people import person


class Receiver:
    """A customer's server: what came, and what it answers."""

    def __init__(self) -> None:
        self.status, self.heard, own = 200, [], self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                own.heard.append((dict(self.headers), body))
                self.send_response(own.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}/hook?a=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.server.shutdown()


@pytest.fixture
def account(session: Database) -> Account:
    account = person("ada")
    db.session.commit()
    return account


def post(account: Account, key: str = "recharge:1:done") -> None:
    WebhookDelivery.post(account.id, key, "recharge.done", credits="5000")
    db.session.commit()


def delivery() -> WebhookDelivery:
    db.session.expire_all()
    return db.session.query(WebhookDelivery).one()


def marks(headers: dict[str, str], body: bytes, secret: str) -> tuple[list[str], str]:
    """The marks of a signature, and what the secret makes of it: as a receiver of Stripe's webhooks checks them."""
    stamp, *sent = headers["Tollgate-Signature"].split(",")
    payload = stamp.removeprefix("t=").encode() + b"." + body
    return [mark.removeprefix("v1=") for mark in sent], hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()


def test_an_event_is_sent_once_signed_to_the_account_and_the_installation(account: Account, receiver: Receiver) -> None:
    own, secret = WebhookEndpoint.make(account.id, receiver.url)
    WebhookEndpoint.make(None, receiver.url)
    WebhookEndpoint.make(person("eve").id, receiver.url)
    for _ in range(2):
        post(account)
    assert [webhook_sender.sweep(), webhook_sender.sweep(), len(receiver.heard)] == [2, 0, 2]
    headers, body = receiver.heard[0]
    sent, made = marks(headers, body, secret)
    assert (sent, headers["Host"]) == ([made], own.url.split("/")[2])
    told = json.loads(body)
    assert (told["type"], told["account_id"], told["data"]) == (
        "recharge.done",
        str(account.id),
        {"credits": "5000"},
    )


@pytest.mark.parametrize("status", [500, 302])
def test_what_is_not_taken_is_tried_again_later_and_later_and_by_hand(
    account: Account, receiver: Receiver, status: int
) -> None:
    WebhookEndpoint.make(account.id, receiver.url)
    receiver.status = status
    post(account)
    waits: list[timedelta] = []
    with time_machine.travel(utcnow(), tick=False) as clock:
        while webhook_sender.sweep():
            waits.append(delivery().next_attempt_at - utcnow())
            clock.move_to(delivery().next_attempt_at)
        assert (len(waits), waits[:3]) == (
            WebhookDelivery.RETRIES.most,
            [timedelta(minutes=minutes) for minutes in (1, 3, 9)],
        )
        assert (delivery().is_given_up, delivery().outcome, len(receiver.heard)) == (
            True,
            str(status),
            WebhookDelivery.RETRIES.most,
        )
        receiver.status = 204
        delivery().again()
        db.session.commit()
        assert (webhook_sender.sweep(), delivery().outcome, delivery().attempts) == (1, "204", 1)


@pytest.mark.parametrize("says", ["silence", "a byte at a time", "headers without end"])
def test_who_keeps_us_waiting_is_left_in_time_and_asked_once_a_sweep(
    account: Account, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    """Whatever a customer's server does, others are served behind it."""
    monkeypatch.setattr(webhook_sender, "PATIENCE", 0.25)
    with dawdler(says) as url:
        for address in (url, receiver.url):
            WebhookEndpoint.make(account.id, address)
        for number in range(3):
            post(account, f"recharge:{number}:done")
        began = time.monotonic()
        assert webhook_sender.sweep() == 1 + 3
        assert time.monotonic() - began < patient(2)
    assert len(receiver.heard) == 3


def test_an_endpoint_that_takes_nothing_keeps_no_other_waiting(account: Account, receiver: Receiver) -> None:
    """However much waits for it, and for how long."""
    away, _ = WebhookEndpoint.make(None, "http://127.0.0.1:1/")
    for number in range(300):
        WebhookDelivery.post(account.id, f"recharge:{number}:done", "recharge.done", credits="5000")
    WebhookEndpoint.make(account.id, receiver.url)
    post(account, "recharge:300:done")
    due = WebhookDelivery.due()
    assert ([endpoint_id for _, endpoint_id in due[:3]].count(away.id), len(due)) == (2, 200)
    assert WebhookDelivery.claim(due[0][0]).endpoint_id == away.id
    assert WebhookDelivery.due()[0][1] != away.id


def test_a_sweep_leaves_room_for_other_jobs(
    account: Account, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_sender, "TURN", 0.0)
    WebhookEndpoint.make(account.id, receiver.url)
    for number in range(3):
        post(account, f"recharge:{number}:done")
    assert [webhook_sender.sweep() for _ in range(3)] == [0, 0, 0]
    monkeypatch.undo()
    assert webhook_sender.sweep() == 3


@contextmanager
def dawdler(says: str) -> Iterator[str]:
    """A server that takes its time: it sends nothing, or on and on."""
    pieces = {
        "silence": [],
        "a byte at a time": [b"H", b"T", b"T", b"P"],
        "headers without end": [b"HTTP/1.1 200 OK\r\n"],
    }
    is_over = threading.Event()

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=dawdle, args=listener.accept()[:1], daemon=True).start()

    def dawdle(line: socket.socket) -> None:
        with line, suppress(OSError):
            for piece in chain(pieces[says], repeat(b"X-More: 1\r\n" if says != "silence" else b"")):
                line.sendall(piece)
                if is_over.wait(0.05):
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield f"http://localhost:{listener.getsockname()[1]}/"
        is_over.set()


def test_the_endpoints_of_who_is_deleted_hear_nothing_more(account: Account, receiver: Receiver) -> None:
    WebhookEndpoint.make(account.id, receiver.url)
    post(account)
    delete_person(account.owner)
    post(account, "later")
    assert (webhook_sender.sweep(), receiver.heard, WebhookDelivery.due()) == (0, [], [])


def test_after_rotations_the_former_secrets_sign_for_a_day(account: Account) -> None:
    endpoint, first = WebhookEndpoint.make(account.id, "https://example.com/")
    lost, second = endpoint.rotate(), endpoint.rotate()

    def signs(secret: str, at: datetime) -> bool:
        sent, made = marks({"Tollgate-Signature": endpoint.signature(b"{}", at)}, b"{}", secret)
        return made in sent

    later = utcnow() + timedelta(hours=25)
    assert [signs(secret, utcnow()) for secret in (first, lost, second)] == [True, True, True]
    assert [signs(first, later), signs(second, later)] == [False, True]
    assert first not in endpoint.former_secret + endpoint.secret


def test_in_production_nothing_goes_to_private_addresses_by_number_or_name(
    app: Flask, account: Account, receiver: Receiver
) -> None:
    WebhookEndpoint.make(account.id, receiver.url)
    post(account)
    app.config["APP_ENV"] = "production"
    try:
        webhook_sender.sweep()
        with pytest.raises(InvalidRequest):
            checked_url("http://example.com/")
    finally:
        app.config["APP_ENV"] = "test"
    assert (receiver.heard, delivery().outcome) == ([], "the address is not of the public internet")


@pytest.mark.parametrize(
    ("address", "is_public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("64:ff9b::808:808", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False), ("0.1.2.3", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("224.0.0.1", False), ("255.255.255.255", False),
        ("::1", False), ("fe80::1", False), ("fc00::1", False), ("::ffff:10.0.0.1", False), ("::", False),
        ("64:ff9b::a00:1", False), ("2002:a00:1::", False), ("ff02::1", False), ("2001:0:a00:1::", False),
    ],
)  # fmt: skip
def test_which_addresses_are_of_the_public_internet(address: str, is_public: bool) -> None:
    assert webhook_sender.is_public(ipaddress.ip_address(address)) == is_public


def test_what_is_no_address_names_the_field(session: Database) -> None:
    no_names = ("", "example.com", "ftp://example.com/", "https://", "https://[::1/")
    for url in (*no_names, "https://a:b@example.com/", "https://e.com:99999/"):
        with pytest.raises(InvalidRequest) as wrong:
            checked_url(url)
        assert list(wrong.value.errors) == ["url"]


def test_the_page_shows_a_secret_once_and_sends_again(app: Flask, account: Account, receiver: Receiver) -> None:
    browser, eve = Browser(app.test_client()), Browser(app.test_client())
    person("eve")
    db.session.commit()
    for one, name in ((browser, "ada"), (eve, "eve")):
        one.sign_in(name)
    assert browser.send("/billing/webhooks", url=receiver.url).status_code == 303
    post(account)
    webhook_sender.sweep()
    again, endpoint = f"/billing/webhooks/deliveries/{delivery().id}/again", delivery().endpoint_id
    assert eve.send(again).status_code == eve.send(f"/billing/webhooks/{endpoint}/rotate").status_code == 404
    browser.send(again)
    assert (webhook_sender.sweep(), len(receiver.heard)) == (1, 2)
    browser.send(f"/billing/webhooks/{endpoint}/remove")
    post(account, "another")
    assert webhook_sender.sweep() == 0


def test_alerts_tell_endpoints_too(account: Account) -> None:
    WebhookEndpoint.make(account.id, "https://example.com/")
    account.alert_below_nanos = 1
    db.session.commit()
    for _ in range(2):
        spending_mails.of_alerts(account, utcnow())
    told: dict[str, Any] = json.loads(delivery().body)
    assert (told["type"], told["data"]) == ("balance.low", {"available_credits": "0"})
