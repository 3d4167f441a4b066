"""One function per type of Stripe event: it says what to sync, never what to believe."""

from collections.abc import Callable

from app.extensions import db
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.subscription import Subscription
from app.models.identity.account import Account
from app.notifications import payment_mails
from app.payments.payment_methods import look_at_customer
from app.payments.session_sync import sync_session
from app.payments.sync import (
    sync_credit_notes,
    sync_dispute,
    sync_invoice,
    sync_payment,
    sync_refunds,
    sync_subscription,
)
from app.stripe_api.client import payment_refunded

About = dict[str, str]
"""The ids in an event's object: `id`, and `customer`, `payment_intent`, ... where it names them."""

Reaction = Callable[[About], Account | None]
REACTIONS: dict[str, Reaction] = {}


def on(*types: str) -> Callable[[Reaction], Reaction]:
    def keep(reaction: Reaction) -> Reaction:
        REACTIONS.update(dict.fromkeys(types, reaction))
        return reaction

    return keep


def react(kind: str, about: About) -> Account | None:
    """Look at what the event is about; types without a reaction are stored and left alone."""
    reaction = REACTIONS.get(kind)
    return reaction(about) if reaction else None


@on(
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
)
def checkout_moved(about: About) -> Account | None:
    return sync_session(about["id"])[1]


@on(
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
)
def subscription_moved(about: About) -> Account | None:
    return sync_subscription(about["id"])


@on("customer.subscription.trial_will_end")
def trial_will_end(about: About) -> Account | None:
    account = sync_subscription(about["id"])
    subscription = Subscription.by(stripe_id=about["id"])
    if subscription is not None and subscription.is_trialing and subscription.is_live and not subscription.follower:
        payment_mails.of_trial_end(subscription)
    return account


@on("subscription_schedule.updated")
def schedule_moved(about: About) -> Account | None:
    """What is to follow was edited at Stripe's dashboard."""
    return sync_subscription(about["subscription"]) if "subscription" in about else None


@on(
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.finalization_failed",
    "invoice.voided",
    "invoice.marked_uncollectible",
)
def invoice_moved(about: About) -> Account | None:
    if "subscription" in about:
        return sync_subscription(about["subscription"], about["id"])
    return sync_invoice(about["id"])


@on("payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled")
def payment_moved(about: About) -> Account | None:
    return sync_payment(about["id"])


@on("charge.refunded", "refund.created", "refund.updated", "refund.failed", "charge.refund.updated")
def refund_moved(about: About) -> Account | None:
    payment_intent = about.get("payment_intent") or payment_refunded(about.get("charge") or about["id"])
    return sync_refunds(payment_intent) if payment_intent else None


@on("credit_note.created", "credit_note.updated", "credit_note.voided")
def credit_note_moved(about: About) -> Account | None:
    return sync_credit_notes(about["invoice"]) if "invoice" in about else None


@on(
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)
def dispute_moved(about: About) -> Account | None:
    return sync_dispute(about["id"])


@on(
    "payment_method.attached",
    "payment_method.automatically_updated",
    "setup_intent.succeeded",
    "setup_intent.setup_failed",
)
def card_moved(about: About) -> Account | None:
    return look_at_customer(about["customer"]) if "customer" in about else None


@on("payment_method.detached")
def card_removed(about: About) -> Account | None:
    """The card names no customer any more: ask whose auto-recharge it was."""
    settings = db.session.query(AutoRecharge).filter_by(card_id=about["id"]).first()
    customer = settings.account.stripe_customer_id if settings else about.get("customer")
    return look_at_customer(customer) if customer else None


@on("customer.updated", "customer.deleted")
def customer_moved(about: About) -> Account | None:
    return look_at_customer(about["id"])
