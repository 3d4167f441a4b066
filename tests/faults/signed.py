"""Webhooks that are signed as Stripe signs them."""

import json
import time

import requests
import stripe

from tests.faults.environment import Stage
from tests.support.running_sandbox import SECRET


def deliver(stage: Stage, number: int) -> int:
    """A webhook of Stripe's; the status of our answer."""
    about = {"id": f"cus_{number}", "object": "customer"}
    event = {"id": f"evt_lost_{number}", "object": "event", "type": "customer.updated", "livemode": False}
    body, now = (
        json.dumps(event | {"api_version": stripe.api_version, "data": {"object": about}}),
        int(time.time()),
    )
    signature = stripe.WebhookSignature._compute_signature(f"{now}.{body}", SECRET)
    headers = {"Stripe-Signature": f"t={now},v1={signature}", "Content-Type": "application/json"}
    return requests.post(f"{stage.running.url}/webhooks/stripe", body, headers=headers, timeout=20).status_code
