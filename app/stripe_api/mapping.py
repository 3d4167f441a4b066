"""Reads Stripe's answers, as plain dicts, into our own types. Field names: stripe-notes.md."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.models.billing.stripe_objects import (
    CardState,
    CustomerState,
    DisputeState,
    InvoiceState,
    ItemState,
    LineState,
    PaymentState,
    PreviewState,
    RefundState,
    SessionState,
    SubscriptionState,
)

Answer = dict[str, Any]


def moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def id_of(reference: str | Answer | None) -> str | None:
    """The id of what is named, whether Stripe sent it whole or by its id."""
    return reference["id"] if isinstance(reference, dict) else reference


def card(answer: Answer | str | None) -> CardState | None:
    """A payment method; only its id where it was not expanded."""
    if not answer:
        return None
    if isinstance(answer, str):
        return CardState(answer)
    return CardState(answer["id"], label_of(answer), face_of(answer).get("fingerprint"))


def face_of(method: Answer) -> Answer:
    """What a payment method, or the method of a charge, says of itself under the name of its type."""
    return method.get(method.get("type") or "card") or {}


def label_of(method: Answer) -> str:
    """Visa ending in 4242."""
    kind, last = method.get("type") or "", face_of(method).get("last4") or ""
    brand = str(face_of(method).get("brand") or kind).replace("_", " ").title().replace("Us ", "US ")
    return f"{brand} ending in {last}" if last else brand


def subscription(answer: Answer) -> SubscriptionState:
    items = tuple(map(item, answer["items"]["data"])) or (nothing_sold(answer),)
    first, latest = items[0], answer.get("latest_invoice")
    following = next_prices(answer.get("schedule"), min(one.period_end for one in items))
    return SubscriptionState(
        stripe_id=answer["id"],
        status=answer["status"],
        customer_id=id_of(answer["customer"]) or "",
        item_id=first.stripe_id,
        price_id=first.price_id,
        period_start=first.period_start,
        period_end=first.period_end,
        items=items,
        cancel_at_period_end=bool(answer.get("cancel_at_period_end")),
        cancel_at=moment(answer.get("cancel_at")),
        is_collection_paused=bool(answer.get("pause_collection")),
        trial_start=moment(answer.get("trial_start")),
        trial_end=moment(answer.get("trial_end")),
        ended_at=moment(answer.get("ended_at")),
        schedule_id=id_of(answer.get("schedule")),
        next_price_ids=tuple(id_of(one) or "" for one in following),
        next_cents=amounts_of(following),
        pay_url=latest.get("hosted_invoice_url") if isinstance(latest, dict) and latest["status"] == "open" else None,
        card=card(answer.get("default_payment_method")),
        metadata=dict(answer.get("metadata") or {}),
    )


def item(answer: Answer) -> ItemState:
    return ItemState(
        stripe_id=answer["id"],
        price_id=id_of(answer.get("price")) or "",
        period_start=instant(answer["current_period_start"]),
        period_end=instant(answer["current_period_end"]),
        quantity=1 if answer.get("quantity") is None else answer["quantity"],
        unit_cents=price.get("unit_amount") if isinstance(price := answer.get("price"), dict) else None,
    )


def nothing_sold(answer: Answer) -> ItemState:
    """Of a subscription whose items were all taken away at Stripe's dashboard."""
    return ItemState("", "", instant(answer["created"]), instant(answer["created"]))


def next_prices(schedule: Answer | str | None, period_end: datetime) -> list[Answer | str]:
    """The prices of the phase that begins with the next period, whole or by their ids."""
    phases = schedule.get("phases") or [] if isinstance(schedule, dict) else []
    coming = (phase for phase in phases if phase["start_date"] >= int(period_end.timestamp()))
    return [one["price"] for one in next(coming, {"items": []})["items"] if one.get("price")]


def amounts_of(prices: list[Answer | str]) -> dict[str, int]:
    """By its id what each asks for one, where that was sent."""
    whole = (one for one in prices if isinstance(one, dict))
    return {one["id"]: one["unit_amount"] for one in whole if one.get("unit_amount") is not None}


def invoice(answer: Answer) -> InvoiceState:
    parent = (answer.get("parent") or {}).get("subscription_details") or {}
    return InvoiceState(
        stripe_id=answer["id"],
        subscription_id=id_of(parent.get("subscription")),
        reason=answer.get("billing_reason") or "",
        status=answer.get("status") or "",
        paid_cents=answer.get("amount_paid") or 0,
        total_cents=answer.get("total") or 0,
        currency=answer["currency"],
        created_at=instant(answer["created"]),
        paid_at=moment((answer.get("status_transitions") or {}).get("paid_at")),
        payment_intent_id=intent_of(answer),
        number=answer.get("number") or "",
        page_url=answer.get("hosted_invoice_url"),
        pdf_url=answer.get("invoice_pdf"),
        lines=tuple(line(one) for one in answer["lines"]["data"]),
        credited_cents=answer.get("pre_payment_credit_notes_amount") or 0,
        discount_cents=total_of(answer, "total_discount_amounts"),
        tax_cents=total_of(answer, "total_taxes"),
        included_tax_cents=sum(
            one["amount"] for one in answer.get("total_taxes") or [] if one.get("tax_behavior") == "inclusive"
        ),
        coupon_ids=tuple(filter(None, map(coupon_of, answer.get("discounts") or []))),
    )


def total_of(answer: Answer, name: str) -> int:
    return sum(one["amount"] for one in answer.get(name) or [])


def coupon_of(discount: Answer | str) -> str | None:
    """The coupon of a discount; None where only its id was sent."""
    return id_of((discount.get("source") or {}).get("coupon")) if isinstance(discount, dict) else None


def intent_of(answer: Answer) -> str | None:
    """The payment intent that paid an invoice, else the one that is to."""
    payments = (answer.get("payments") or {}).get("data") or []
    ranked = sorted(payments, key=lambda one: one.get("status") != "paid")
    named = (id_of((one.get("payment") or {}).get("payment_intent")) for one in ranked)
    return next((intent for intent in named if intent), None)


def line(answer: Answer) -> LineState:
    pricing = answer.get("pricing") or {}
    parent = answer.get("parent") or {}
    of_item = parent.get("subscription_item_details")
    details = of_item or parent.get("invoice_item_details") or {}
    period = answer.get("period") or {"start": 0, "end": 0}
    return LineState(
        price_id=id_of((pricing.get("price_details") or {}).get("price")),
        amount=answer["amount"],
        is_proration=bool(details.get("proration")),
        starts_at=instant(period["start"]),
        ends_at=instant(period["end"]),
        is_of_item=of_item is not None,
        subscription_id=id_of(details.get("subscription")),
        quantity=answer.get("quantity") or 1,
        unit_cents=whole_cents(pricing.get("unit_amount_decimal")),
        description=answer.get("description") or "",
    )


def whole_cents(amount: str | None) -> int | None:
    """None for a part of a cent too: nothing of ours costs that."""
    exact = Decimal(amount) if amount else None
    return int(exact) if exact is not None and exact == exact.to_integral_value() else None


def payment(answer: Answer) -> PaymentState:
    error = answer.get("last_payment_error") or {}
    charge, action = answer.get("latest_charge"), answer.get("next_action") or {}
    return PaymentState(
        stripe_id=answer["id"],
        status=answer["status"],
        amount_cents=answer["amount"],
        received_cents=answer.get("amount_received") or 0,
        currency=answer["currency"],
        customer_id=id_of(answer.get("customer")),
        created_at=instant(answer["created"]),
        card_id=id_of(answer.get("payment_method")),
        decline_code=error.get("decline_code") or error.get("code"),
        confirm_url=(action.get("redirect_to_url") or {}).get("url"),
        receipt_url=charge.get("receipt_url") if isinstance(charge, dict) else None,
        method=label_of(charge.get("payment_method_details") or {}) if isinstance(charge, dict) else "",
        metadata=dict(answer.get("metadata") or {}),
    )


def refund(answer: Answer) -> RefundState:
    return RefundState(answer["id"], answer["amount"], answer.get("status") or "pending", instant(answer["created"]))


def credit_note(answer: Answer) -> RefundState:
    """What it gave back beside refunds, which tell of themselves: a credit on the balance, or money elsewhere."""
    refunded = sum(one["amount_refunded"] for one in answer.get("refunds") or [])
    status = "canceled" if answer["status"] == "void" else "succeeded"
    given = max(0, answer["post_payment_amount"] - refunded)
    return RefundState(answer["id"], given, status, instant(answer["created"]))


def dispute(answer: Answer) -> DisputeState:
    return DisputeState(answer["id"], answer["status"], id_of(answer.get("payment_intent")))


def session(answer: Answer) -> SessionState:
    return SessionState(
        stripe_id=answer["id"],
        mode=answer["mode"],
        status=answer.get("status") or "open",
        payment_status=answer.get("payment_status") or "unpaid",
        url=answer.get("url"),
        customer_id=id_of(answer.get("customer")),
        client_reference_id=answer.get("client_reference_id"),
        payment_intent_id=id_of(answer.get("payment_intent")),
        subscription_id=id_of(answer.get("subscription")),
        setup_intent_id=id_of(answer.get("setup_intent")),
        amount_cents=answer.get("amount_total"),
        currency=answer.get("currency"),
        tax_cents=(answer.get("total_details") or {}).get("amount_tax") or 0,
        metadata=dict(answer.get("metadata") or {}),
    )


def customer(answer: Answer) -> CustomerState:
    settings = answer.get("invoice_settings") or {}
    return CustomerState(answer["id"], bool(answer.get("deleted")), id_of(settings.get("default_payment_method")))


def preview(answer: Answer) -> PreviewState:
    lines = tuple((one.get("description") or "", one["amount"]) for one in answer["lines"]["data"])
    return PreviewState(answer["amount_due"], answer["currency"], lines)
