"""A receiver of webhooks on loopback that holds each one to its signature and to the contract."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import stripe

from tests.support.stripe_contract import check_event


class WebhookInbox:
    """`events` in order of arrival; `answers` are the statuses to give next (200 when there are none left);
    `broken` holds what did not fit."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.events: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.broken: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), receiver_for(self.receive))
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks/stripe"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def receive(self, body: bytes, signature: str) -> int:
        status = self.answers.pop(0) if self.answers else 200
        if status != 200:
            return status
        payload = json.loads(body)
        self.events.append(payload)
        try:
            stripe.Webhook.construct_event(body, signature, self.secret)
            check_event(payload)
        except (AssertionError, stripe.SignatureVerificationError) as error:
            self.broken.append(str(error))
        return status

    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def receiver_for(receive: Callable[[bytes, str], int]) -> type[BaseHTTPRequestHandler]:
    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(receive(body, self.headers["Stripe-Signature"]))
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Receiver
