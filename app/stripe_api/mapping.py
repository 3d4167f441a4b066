"""Reads Stripe's answers, as plain dicts, into our own types. Fields are where API 2026-10-28 has them (FACTS)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from app.models.billing.stripe_objects import CardState, CustomerState, DisputeState, InvoiceState, LineState, PaymentState, PreviewState, RefundState, SessionState, SubscriptionState

Answer = dict[str, Any]


def moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def id_of(reference: str | Answer | None) -> str | None:
    """The id of what is named, whether Stripe sent it whole or by its id."""
    return reference["id"] if isinstance(reference, dict) else reference


def card(found: Answer | str | None) -> CardState | None:
    """A payment method; only its id where it was not expanded."""
    if not found:
        return None
    if isinstance(found, str):
        return CardState(found)
    face = found.get(found.get("type") or "card") or {}
    brand, last = face.get("brand") or found.get("type") or "", face.get("last4") or ""
    label = f"{brand.replace('_', ' ').title()} ending in {last}" if last else brand
    return CardState(found["id"], label, face.get("fingerprint"))


def subscription(found: Answer) -> SubscriptionState:
    item = found["items"]["data"][0]
    latest = found.get("latest_invoice")
    return SubscriptionState(
        stripe_id=found["id"],
        status=found["status"],
        customer_id=id_of(found["customer"]) or "",
        item_id=item["id"],
        price_id=item["price"]["id"],
        period_start=instant(item["current_period_start"]),
        period_end=instant(item["current_period_end"]),
        cancel_at_period_end=bool(found.get("cancel_at_period_end")),
        trial_start=moment(found.get("trial_start")),
        trial_end=moment(found.get("trial_end")),
        ended_at=moment(found.get("ended_at")),
        schedule_id=id_of(found.get("schedule")),
        next_price_id=next_price(found.get("schedule"), item["current_period_end"]),
        latest_invoice_id=id_of(latest),
        pay_url=latest.get("hosted_invoice_url")
        if isinstance(latest, dict) and latest["status"] == "open"
        else None,
        card=card(found.get("default_payment_method")),
        metadata=dict(found.get("metadata") or {}),
    )


def next_price(schedule: Answer | str | None, period_end: int) -> str | None:
    """The price of the phase that begins with the next period."""
    phases = schedule.get("phases") or [] if isinstance(schedule, dict) else []
    coming = (phase for phase in phases if phase["start_date"] >= period_end)
    return next((id_of(phase["items"][0]["price"]) for phase in coming), None)


def invoice(found: Answer) -> InvoiceState:
    parent = (found.get("parent") or {}).get("subscription_details") or {}
    return InvoiceState(
        stripe_id=found["id"],
        subscription_id=id_of(parent.get("subscription")),
        reason=found.get("billing_reason") or "",
        status=found.get("status") or "",
        paid_cents=found.get("amount_paid") or 0,
        total_cents=found.get("total") or 0,
        currency=found["currency"],
        created_at=instant(found["created"]),
        paid_at=moment((found.get("status_transitions") or {}).get("paid_at")),
        payment_intent_id=intent_of(found),
        number=found.get("number") or "",
        page_url=found.get("hosted_invoice_url"),
        lines=tuple(line(one) for one in found["lines"]["data"]),
    )


def intent_of(found: Answer) -> str | None:
    """The payment intent that paid an invoice, else the one that is to."""
    payments = (found.get("payments") or {}).get("data") or []
    ranked = sorted(payments, key=lambda one: one.get("status") != "paid")
    named = (id_of((one.get("payment") or {}).get("payment_intent")) for one in ranked)
    return next((intent for intent in named if intent), None)


def line(found: Answer) -> LineState:
    price = ((found.get("pricing") or {}).get("price_details") or {}).get("price")
    parent = found.get("parent") or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    period = found["period"]
    return LineState(
        price_id=id_of(price),
        amount=found["amount"],
        is_proration=bool(details.get("proration")),
        starts_at=instant(period["start"]),
        ends_at=instant(period["end"]),
    )


def payment(found: Answer) -> PaymentState:
    error = found.get("last_payment_error") or {}
    charge, action = found.get("latest_charge"), found.get("next_action") or {}
    return PaymentState(
        stripe_id=found["id"],
        status=found["status"],
        amount_cents=found["amount"],
        received_cents=found.get("amount_received") or 0,
        currency=found["currency"],
        customer_id=id_of(found.get("customer")),
        created_at=instant(found["created"]),
        card_id=id_of(found.get("payment_method")),
        decline_code=error.get("decline_code") or error.get("code"),
        confirm_url=(action.get("redirect_to_url") or {}).get("url"),
        receipt_url=charge.get("receipt_url") if isinstance(charge, dict) else None,
        metadata=dict(found.get("metadata") or {}),
    )


def refund(found: Answer) -> RefundState:
    return RefundState(
        found["id"], found["amount"], found.get("status") or "pending", instant(found["created"])
    )


def dispute(found: Answer) -> DisputeState:
    return DisputeState(found["id"], found["status"], id_of(found.get("payment_intent")))


def session(found: Answer) -> SessionState:
    return SessionState(
        stripe_id=found["id"],
        mode=found["mode"],
        status=found.get("status") or "open",
        payment_status=found.get("payment_status") or "unpaid",
        url=found.get("url"),
        customer_id=id_of(found.get("customer")),
        client_reference_id=found.get("client_reference_id"),
        payment_intent_id=id_of(found.get("payment_intent")),
        subscription_id=id_of(found.get("subscription")),
        setup_intent_id=id_of(found.get("setup_intent")),
        amount_cents=found.get("amount_total"),
        currency=found.get("currency"),
        metadata=dict(found.get("metadata") or {}),
    )


def customer(found: Answer) -> CustomerState:
    settings = found.get("invoice_settings") or {}
    return CustomerState(
        found["id"], bool(found.get("deleted")), id_of(settings.get("default_payment_method"))
    )


def preview(found: Answer) -> PreviewState:
    lines = tuple((one.get("description") or "", one["amount"]) for one in found["lines"]["data"])
    return PreviewState(found["amount_due"], found["currency"], lines)
