"""Signed webhooks: delivered one after the other, again until they are accepted, with faults on request."""

import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from typing import Any

from sandbox.account import is_of
from sandbox.render import public
from sandbox.shapes import new_id
from sandbox.store import Thing
from sandbox.world import Sandbox

FIRST_RETRY = 0.5
LONGEST_RETRY = 60.0
TRIES = 30
TIMEOUT = 15


def signature(payload: bytes, secret: str, instant: int) -> str:
    signed = f"{instant}.".encode() + payload
    return f"t={instant},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def payload_of(event: Thing) -> bytes:
    return json.dumps({**public(event), "pending_webhooks": 1}, indent=2).encode()


class Webhooks:
    """A delivery is `{id, event, endpoint, type, status, attempts, answer, due}`; status one of waiting, held,
    delivered, failed, dropped."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.wake = threading.Condition()
        self.queue = [one for one in reversed(sandbox.store.all("delivery")) if one["status"] == "waiting"]
        self.held: list[Thing] = []
        self.reordering: list[Thing] = []
        self.running = True
        self.busy = False
        threading.Thread(target=self.run, daemon=True, name="webhooks").start()

    def announce(self, events: list[Thing]) -> None:
        """Queues each event for each endpoint that wants it."""
        for event in events:
            for endpoint in reversed(self.sandbox.store.all("webhook_endpoint")):
                if is_of(event["type"], endpoint["enabled_events"]):
                    self.enqueue(event, endpoint)

    def enqueue(self, event: Thing, endpoint: Thing) -> None:
        delivery = {
            "id": new_id("delivery"),
            "event": event["id"],
            "type": event["type"],
            "endpoint": endpoint["id"],
            "status": "waiting",
            "attempts": 0,
            "answer": None,
            "due": time.time(),
        }
        self.sandbox.store.add("delivery", delivery)
        self.schedule(delivery, self.sandbox.faults.for_webhook(event["type"]))

    def schedule(self, delivery: Thing, fault: Any) -> None:
        options = fault.fault if fault else None
        if options == "drop":
            delivery["status"] = "dropped"
        elif options == "hold":
            delivery["status"] = "held"
            self.held.append(delivery)
        elif options == "reorder":
            self.reordering.append(delivery)
            if fault.count == 0:
                self.put(list(reversed(self.reordering)))
                self.reordering.clear()
        else:
            self.put([delivery, dict(delivery)] if options == "duplicate" else [delivery])

    def put(self, deliveries: list[Thing]) -> None:
        with self.wake:
            self.queue.extend(deliveries)
            self.wake.notify_all()

    def release(self) -> int:
        """Sends what was held or is still waiting to be shuffled; how many."""
        waiting, self.held = [*self.held, *reversed(self.reordering)], []
        self.reordering = []
        for delivery in waiting:
            delivery["status"] = "waiting"
        self.put(waiting)
        return len(waiting)

    def resend(self, delivery: Thing) -> None:
        delivery.update(status="waiting", due=time.time(), attempts=0)
        self.put([delivery])

    def run(self) -> None:
        while self.running:
            delivery = self.next_due()
            if delivery is not None:
                self.deliver(delivery)
                self.busy = False

    def next_due(self) -> Thing | None:
        with self.wake:
            due = [one for one in self.queue if one["due"] <= time.time()]
            if not due:
                soonest = min((one["due"] for one in self.queue), default=time.time() + 60)
                self.wake.wait(max(0.0, min(soonest - time.time(), 60)))
                return None
            self.queue.remove(due[0])
            self.busy = True
            return due[0]

    def deliver(self, delivery: Thing) -> None:
        with self.sandbox.lock:
            event = self.sandbox.store.find("event", delivery["event"])
            endpoint = self.sandbox.store.find("webhook_endpoint", delivery["endpoint"])
        if event is None or endpoint is None:
            return
        delivery["attempts"] += 1
        delivery["answer"] = send(endpoint, payload_of(event))
        if isinstance(delivery["answer"], int) and 200 <= delivery["answer"] < 300:
            delivery["status"] = "delivered"
            return
        self.retry(delivery)

    def retry(self, delivery: Thing) -> None:
        if delivery["attempts"] >= TRIES:
            delivery["status"] = "failed"
            return
        delivery["due"] = time.time() + min(FIRST_RETRY * 2 ** (delivery["attempts"] - 1), LONGEST_RETRY)
        self.put([delivery])

    def is_idle(self) -> bool:
        with self.wake:
            return not self.queue and not self.busy

    def stop(self) -> None:
        self.running = False
        with self.wake:
            self.wake.notify_all()


def send(endpoint: Thing, payload: bytes) -> int | str:
    """The status that the endpoint answered, or why there was none."""
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature(payload, endpoint["_secret"], int(time.time())),
        "User-Agent": "Stripe/1.0 (sandbox)",
    }
    request = urllib.request.Request(endpoint["url"], payload, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310  # nosec B310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return str(error)
