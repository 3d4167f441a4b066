"""The only module that speaks to Stripe: it returns our types and raises our errors. stripe-notes.md."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

import stripe
from flask import current_app, g, has_request_context
from limits import parse
from stripe import StripeClient

from app.extensions import db, is_over
from app.models.billing import payment_errors as errors
from app.models.billing import stripe_objects as state
from app.models.billing.stripe_account import Identity
from app.models.catalog.setting import Setting
from app.stripe_api import mapping

TIMEOUT = (5, 30)
RETRIES = 2
MOST_LISTED = 10_000
SHARE = parse("60 per minute")
REQUEST_LIFETIME = timedelta(minutes=5)
"""Longer than any request to Stripe runs, its retries included."""

CLOCK_SKEW = timedelta(days=1)
"""By how much Stripe's clock may differ from ours when its lists are asked for what is newer."""

LIVE_KEYS = ("sk_live_", "rk_live_")


class Notice(NamedTuple):
    """What of a webhook is kept: only ids, since the payload may be of any age and version."""

    stripe_id: str
    type: str
    about: dict[str, str]


def is_set_up() -> bool:
    """Whether Stripe may be asked: there is a key, and this is no copy of an installation that goes on elsewhere."""
    return bool(current_app.config["STRIPE_SECRET_KEY"]) and not Setting.get("is_paused")


def client() -> StripeClient:
    """This app's client; a test may put its own `http_client` into `app.extensions["stripe_http"]`."""
    if not is_set_up():
        raise errors.PaymentsNotSetUp("no key for Stripe is in use")
    if "stripe" not in current_app.extensions:
        http = current_app.extensions.get("stripe_http") or stripe.RequestsClient(timeout=TIMEOUT)
        current_app.extensions["stripe"] = StripeClient(
            current_app.config["STRIPE_SECRET_KEY"],
            base_addresses={"api": current_app.config["STRIPE_API_BASE"]},
            max_network_retries=RETRIES,
            http_client=http,
        )
    made: StripeClient = current_app.extensions["stripe"]
    return made


@contextmanager
def asking() -> Iterator[Any]:
    """Stripe's v1 API; its errors leave as ours.

    What was written is committed first, so that no transaction and no connection waits for the network.
    """
    db.session.commit()
    if has_request_context() and is_too_often():
        raise errors.UnknownOutcome("asked too often for one account")
    try:
        yield client().v1
    except stripe.CardError as error:
        raise declined(error) from error
    except stripe.InvalidRequestError as error:
        is_missing = error.http_status == 404 or error.code == "resource_missing"
        raise (errors.NotFound if is_missing else errors.Rejected)(str(error.user_message or error)) from error
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        raise errors.PaymentsNotSetUp("Stripe does not take our key") from error
    except stripe.IdempotencyError as error:
        raise errors.Rejected(str(error)) from error
    except stripe.StripeError as error:
        text = f"no answer from Stripe: {type(error).__name__}"
        raise (errors.ServerError if error.http_status == 500 else errors.UnknownOutcome)(text) from error


def is_too_often() -> bool:
    """Whether requests of one account have asked more than its share, which web/access.py names: Stripe's own limit is
    of all together. What comes without an account has one share in all."""
    return bool(Setting.get("ratelimit_enabled")) and is_over(SHARE, "stripe", g.get("share", "nobody"))


def declined(error: stripe.CardError) -> errors.Declined:
    kept = error.error
    intent = getattr(kept, "payment_intent", None) if kept else None
    code = getattr(kept, "decline_code", None) or error.code or "card_declined"
    kind = errors.AuthenticationNeeded if "authentication_required" in (error.code, code) else errors.Declined
    return kind(str(error.user_message or "The card was declined."), str(code), getattr(intent, "id", None))


def plain(stripe_object: Any) -> dict[str, Any]:
    return dict(stripe_object.to_dict(for_json=True))


def created_since(moment: datetime, **which: str) -> dict[str, Any]:
    """Parameters of a list request."""
    return {"created": {"gte": int(moment.timestamp())}, "limit": 100, **which}


def every(listing: Any) -> Iterator[dict[str, Any]]:
    """All pages of a list."""
    return (plain(one) for one in islice(listing.auto_paging_iter(), MOST_LISTED))


def read_webhook(body: bytes, signature: str | None) -> Notice:
    """The notice in a signed webhook. Forged for whatever else it is, of the other mode too."""
    for secret in current_app.config["STRIPE_WEBHOOK_SECRETS"]:
        try:
            stripe.WebhookSignature.verify_header(body.decode(), signature, secret, stripe.Webhook.DEFAULT_TOLERANCE)
            return notice(json.loads(body))
        except stripe.SignatureVerificationError:
            continue
        except Exception as error:
            raise errors.Forged(type(error).__name__) from error
    raise errors.Forged("no secret fits")


def notice(event: dict[str, Any]) -> Notice:
    if bool(event.get("livemode", is_live())) != is_live():
        raise errors.Forged("an event of the other mode")
    about = event["data"]["object"]
    named = ("id", "object", "customer", "payment_intent", "charge", "payment_method", "invoice")
    ids = {name: mapping.id_of(about.get(name)) for name in named}
    parent = ((about.get("parent") or {}).get("subscription_details") or {}).get("subscription")
    ids["subscription"] = mapping.id_of(about.get("subscription") or parent)
    kept = {name: value[:255] for name, value in ids.items() if isinstance(value, str)}
    return Notice(str(event["id"])[:255], str(event["type"])[:255], kept)


def is_live() -> bool:
    return str(current_app.config["STRIPE_SECRET_KEY"]).startswith(LIVE_KEYS)


def identity() -> Identity:
    """Whose the key in use is; asked once in a process. A restricted key may not be let to say it."""
    known: dict[str, Identity] = current_app.extensions.setdefault("stripe_identities", {})
    key = str(current_app.config["STRIPE_SECRET_KEY"])
    if key not in known:
        own, mark = own_account(), hashlib.sha256(key.encode()).hexdigest()[:24]
        known[key] = Identity(own or f"key_{mark}", is_live(), is_certain=own is not None)
    return known[key]


def own_account() -> str | None:
    with asking() as v1:
        try:
            return str(v1.accounts.retrieve_current().id)
        except (stripe.PermissionError, stripe.InvalidRequestError):
            return None


def exists(kind: str, stripe_id: str) -> bool:
    """Whether Stripe has a price, product or customer of that id under the key in use: not deleted, not archived."""
    with asking() as v1, suppress(stripe.InvalidRequestError):
        services = {"price": v1.prices, "product": v1.products, "customer": v1.customers}
        answer = plain(services[kind].retrieve(stripe_id))
        return not answer.get("deleted") and (kind == "product" or bool(answer.get("active", True)))
    return False


def event(stripe_id: str) -> Notice:
    with asking() as v1:
        return notice(plain(v1.events.retrieve(stripe_id)))


def subscription(stripe_id: str) -> state.SubscriptionState:
    wanted = ["latest_invoice", "default_payment_method", "schedule.phases.items.price"]
    with asking() as v1:
        return mapping.subscription(plain(v1.subscriptions.retrieve(stripe_id, {"expand": wanted})))


def subscriptions_of_customers(also: set[str]) -> Iterator[state.SubscriptionState]:
    """All subscriptions at Stripe that may still charge, and those of the ids that we think of as running."""
    wanted = {"status": "all", "limit": 100}
    with asking() as v1:
        answer = [mapping.subscription(one) for one in every(v1.subscriptions.list(wanted))]
    return (one for one in answer if one.ended_at is None or one.stripe_id in also)


def invoices(subscription_id: str) -> list[state.InvoiceState]:
    """All paid invoices of a subscription."""
    wanted: dict[str, Any] = {"subscription": subscription_id, "status": "paid", "limit": 100}
    wanted["expand"] = ["data.payments", "data.discounts"]
    with asking() as v1:
        return [mapping.invoice(with_all_lines(v1, one)) for one in every(v1.invoices.list(wanted))]


def invoice(stripe_id: str) -> state.InvoiceState:
    with asking() as v1:
        answer = plain(v1.invoices.retrieve(stripe_id, {"expand": ["payments", "discounts"]}))
        return mapping.invoice(with_all_lines(v1, answer))


def with_all_lines(v1: Any, invoice: dict[str, Any]) -> dict[str, Any]:
    """An invoice carries its first ten lines; one-off items come before the period's."""
    lines = invoice["lines"]
    if lines.get("has_more"):
        lines = {**lines, "data": list(every(v1.invoices.line_items.list(invoice["id"], {"limit": 100})))}
    return {**invoice, "lines": lines}


def invoice_of_payment(payment_intent_id: str) -> str | None:
    """The invoice that a payment intent pays, or None where it pays none."""
    wanted = {"payment": {"type": "payment_intent", "payment_intent": payment_intent_id}}
    with asking() as v1:
        answer = every(v1.invoice_payments.list(wanted))
        return next((mapping.id_of(one["invoice"]) for one in answer), None)


def payment(stripe_id: str) -> state.PaymentState:
    with asking() as v1:
        return mapping.payment(plain(v1.payment_intents.retrieve(stripe_id, {"expand": ["latest_charge"]})))


def payments_since(moment: datetime, customer_id: str | None = None) -> list[state.PaymentState]:
    wanted = created_since(moment, customer=customer_id) if customer_id else created_since(moment)
    with asking() as v1:
        return [mapping.payment(one) for one in every(v1.payment_intents.list(wanted))]


def payment_refunded(stripe_id: str) -> str | None:
    """The payment intent of a charge or of a refund."""
    with asking() as v1:
        service = v1.refunds if stripe_id.startswith("re") else v1.charges
        return mapping.id_of(plain(service.retrieve(stripe_id)).get("payment_intent"))


def refunds(payment_intent_id: str) -> list[state.RefundState]:
    with asking() as v1:
        return list(map(mapping.refund, every(v1.refunds.list({"payment_intent": payment_intent_id, "limit": 100}))))


def refunds_since(moment: datetime) -> list[tuple[state.RefundState, str | None]]:
    """Refunds, each with the payment intent that it is of."""
    with asking() as v1:
        answer = every(v1.refunds.list(created_since(moment)))
        return [(mapping.refund(one), mapping.id_of(one.get("payment_intent"))) for one in answer]


def credit_notes(invoice_id: str) -> list[state.RefundState]:
    """What the credit notes of an invoice gave back without a refund, each as one."""
    with asking() as v1:
        answer = every(v1.credit_notes.list({"invoice": invoice_id, "limit": 100}))
        return [made for made in map(mapping.credit_note, answer) if made.amount_cents]


def credit_notes_since(moment: datetime) -> list[tuple[state.RefundState, str]]:
    """The same of all invoices, each with its invoice."""
    with asking() as v1:
        answer = every(v1.credit_notes.list(created_since(moment)))
        noted = [(mapping.credit_note(one), mapping.id_of(one["invoice"]) or "") for one in answer]
        return [one for one in noted if one[0].amount_cents]


def disputes_since(moment: datetime) -> list[state.DisputeState]:
    with asking() as v1:
        return [mapping.dispute(one) for one in every(v1.disputes.list(created_since(moment)))]


def dispute(stripe_id: str) -> state.DisputeState:
    with asking() as v1:
        return mapping.dispute(plain(v1.disputes.retrieve(stripe_id)))


def session(stripe_id: str) -> state.SessionState:
    with asking() as v1:
        return mapping.session(plain(v1.checkout.sessions.retrieve(stripe_id)))


def setup_card(setup_intent_id: str) -> state.CardState | None:
    """The card that a setup intent saved; None while it has not."""
    with asking() as v1:
        answer = plain(v1.setup_intents.retrieve(setup_intent_id, {"expand": ["payment_method"]}))
    return mapping.card(answer["payment_method"]) if answer["status"] == "succeeded" else None


def customer(stripe_id: str) -> state.CustomerState:
    with asking() as v1:
        return mapping.customer(plain(v1.customers.retrieve(stripe_id)))


def cards(customer_id: str) -> list[state.CardState]:
    """A customer's saved means of payment, newest first."""
    with asking() as v1:
        answer = every(v1.payment_methods.list({"customer": customer_id, "limit": 20}))
        return [card for card in map(mapping.card, answer) if card]
