"""Which of Stripe's notices lead the app to the same look."""

from app.payments.webhook_handlers import (
    REACTIONS,
    Reaction,
    checkout_moved,
    invoice_moved,
    payment_moved,
    subscription_moved,
)
from app.stripe_api import client


def looked_at(notice: client.Notice) -> tuple[Reaction, str]:
    """What the app will look at: a subscription or a payment is looked at whole, whether it is told of that, of an
    invoice or of a checkout."""
    reaction, about = REACTIONS[notice.type], notice.about
    if reaction is subscription_moved or "subscription" in about:
        return invoice_moved, about.get("subscription") or about["id"]
    if reaction is checkout_moved and "payment_intent" in about:
        return payment_moved, about["payment_intent"]
    return reaction, about.get("payment_intent") or about["id"]
