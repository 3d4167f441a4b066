"""Charges: the attempts of a payment intent, with the fee that Stripe keeps."""

from typing import Any

from sandbox.cards import Decline
from sandbox.routes import listed, retrieve
from sandbox.store import Thing
from sandbox.world import Sandbox


def fee_of(amount: int) -> int:
    """2.9 % + 30 cents, half up."""
    return (amount * 29 + 500) // 1000 + 30


def balance_entry(sandbox: Sandbox, kind: str, source: Thing, amount: int, fee: int = 0) -> Thing:
    description = "Stripe processing fees"
    detail = {"amount": fee, "application": None, "currency": source["currency"], "description": description}
    return sandbox.make(
        "balance_transaction",
        type=kind,
        reporting_category=kind,
        source=source["id"],
        amount=amount,
        fee=fee,
        net=amount - fee,
        fee_details=[{**detail, "type": "stripe_fee"}] if fee else [],
        currency=source["currency"],
        available_on=sandbox.now + 2 * 86400,
    )


def make_charge(sandbox: Sandbox, intent: Thing, method: Thing, **outcome: Any) -> Thing:
    charge = sandbox.make(
        "charge",
        amount=intent["amount"],
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        metadata=dict(intent["metadata"]),
        payment_intent=intent["id"],
        payment_method=method["id"],
        billing_details=dict(method["billing_details"]),
        payment_method_details=details_of(method),
        receipt_email=intent["receipt_email"],
        **outcome,
    )
    intent["latest_charge"] = charge["id"]
    return charge


def details_of(method: Thing) -> Thing:
    card = method["card"]
    shared = ("brand", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "wallet")
    return {"card": {name: card[name] for name in shared} | {"network": card["brand"]}, "type": "card"}


def succeed(sandbox: Sandbox, intent: Thing, method: Thing) -> Thing:
    outcome = {
        "network_status": "approved_by_network",
        "type": "authorized",
        "risk_level": "normal",
        "risk_score": 7,
    }
    told = {**outcome, "reason": None, "seller_message": "Payment complete."}
    charge = make_charge(sandbox, intent, method, status="succeeded", paid=True, outcome=told)
    complete(sandbox, charge)
    return charge


def complete(sandbox: Sandbox, charge: Thing) -> None:
    entry = balance_entry(sandbox, "charge", charge, charge["amount"], fee_of(charge["amount"]))
    charge.update(
        status="succeeded",
        paid=True,
        amount_captured=charge["amount"],
        balance_transaction=entry["id"],
        receipt_url=f"{sandbox.base_url}/receipts/{charge['id']}",
    )
    sandbox.emit("charge.succeeded", charge)


def fail(sandbox: Sandbox, intent: Thing, method: Thing, decline: Decline) -> Thing:
    told = {
        "network_status": "declined_by_network",
        "reason": decline.decline_code,
        "type": "issuer_declined",
    }
    charge = make_charge(
        sandbox,
        intent,
        method,
        status="failed",
        captured=False,
        failure_code=decline.code,
        failure_message=decline.message,
        outcome={**told, "risk_level": "normal", "risk_score": 7, "seller_message": decline.message},
    )
    sandbox.emit("charge.failed", charge)
    return charge


retrieve("charge", "/v1/charges")
listed("charge", "/v1/charges", "customer", "payment_intent")
retrieve("balance_transaction", "/v1/balance_transactions")
listed("balance_transaction", "/v1/balance_transactions", "type", "source")
