"""Which of Stripe's notices lead the app to the same look."""

from app.payments.webhook_handlers import REACTIONS, Reaction, invoice_moved, subscription_moved
from app.stripe_api import client


def looked_at(notice: client.Notice) -> tuple[Reaction, str]:
    """What the app will look at: a subscription, whether it is told of that or of an invoice, is looked at whole."""
    reaction, about = REACTIONS[notice.type], notice.about
    if reaction is subscription_moved:
        return invoice_moved, about["id"]
    return reaction, about.get("subscription") or about.get("payment_intent") or about["id"]
