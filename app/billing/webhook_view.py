"""Stripe's webhooks: proven, stored, answered. What they are about is looked at by a job."""

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from app.extensions import limiter
from app.models.billing.payment_errors import Forged
from app.payments import webhook_events
from app.web.access import takes_foreign_posts

webhooks = Blueprint("webhooks", __name__, url_prefix="/webhooks")
LARGEST = 512 * 1024


@limiter.request_filter
def is_webhook() -> bool:
    """No limit is looked for: what Stripe sends is proven by its signature."""
    return request.blueprint == webhooks.name


@webhooks.post("/stripe")
@takes_foreign_posts
def stripe() -> ResponseReturnValue:
    """200 once stored, again and again for the same event; 400 for what Stripe did not send."""
    request.max_content_length = LARGEST
    body = request.get_data(cache=False)
    try:
        webhook_events.receive(body, request.headers.get("Stripe-Signature"))
    except Forged:
        abort(400, "This is not a webhook of Stripe's for us.")
    return {"received": True}
