"""A sandbox on a free port in this process, with words for what a customer and the clock do to it."""

import threading
import time
from typing import Any

import stripe
from werkzeug.test import TestResponse

from sandbox.server import RunningSandbox
from tests.support import direct
from tests.support.stripe_contract import ContractClient

SECRET = "whsec_test"


class StartedSandbox:
    """`client` is a real StripeClient (`.v1`) under the contract check; `stop()` ends the server."""

    def __init__(self, webhook_url: str | None = None, secret: str = SECRET, **options: Any) -> None:
        self.running = RunningSandbox(0, webhook_url, secret, **options)
        self.url = self.running.url
        threading.Thread(target=self.running.serve, daemon=True).start()
        direct.offer(self.running)
        self.client = stripe.StripeClient(
            "sk_test_sandbox",
            base_addresses={"api": self.url},
            http_client=ContractClient(),
            max_network_retries=0,
        )

    def control(self, control: str, /, **options: Any) -> dict[str, Any]:
        """`control("clock", advance_seconds=60)`; AssertionError with the body where it is refused."""
        answer = direct.door(self.running).post(f"/_sandbox/{control}", json=options)
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.get_json()
        return shown

    def post(self, path: str, **form: str) -> TestResponse:
        """A form of a hosted page, redirects not followed."""
        return direct.door(self.running).post(path, data=form)

    def pay(self, session_id: str, card: str = "success") -> TestResponse:
        return self.post(f"/checkout/{session_id}/pay", card=card)

    def advance(self, seconds: int) -> dict[str, Any]:
        return self.control("clock", advance_seconds=seconds)

    def wait_until_idle(self, seconds: float = 10) -> None:
        """Until every webhook that can go out has been answered."""
        deadline = time.monotonic() + seconds
        while not self.running.app.extensions["webhooks"].is_idle():
            assert time.monotonic() < deadline, "webhooks are still on their way"
            time.sleep(0.01)

    def stop(self) -> None:
        direct.withdraw(self.running)
        self.running.stop()
