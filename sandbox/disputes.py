"""Disputes: opened, won, lost and reopened by the sandbox's own control, never by the API."""

from typing import Any

from sandbox import charges, payment_intents, payment_methods
from sandbox.errors import StripeError, invalid
from sandbox.params import Params, merged_metadata
from sandbox.routes import listed, operation, retrieve
from sandbox.store import Thing
from sandbox.world import Sandbox

WEEK = 7 * 86400
DISPUTE_FEE = 1500
OPEN = ("needs_response", "under_review", "warning_needs_response", "appeal_needs_response")


def open_dispute(sandbox: Sandbox, charge: Thing, *, inquiry: bool = False) -> Thing:
    """An inquiry (early warning) takes no money."""
    if not charge["paid"] or charge["disputed"]:
        raise invalid(f"Charge {charge['id']} can not be disputed.", "charge")
    dispute = sandbox.make(
        "dispute",
        amount=charge["amount"] - charge["amount_refunded"],
        charge=charge["id"],
        currency=charge["currency"],
        payment_intent=charge["payment_intent"],
        is_charge_refundable=inquiry,
        status="warning_needs_response" if inquiry else "needs_response",
        payment_method_details=card_details(),
    )
    dispute["evidence_details"].update(due_by=sandbox.now + WEEK, submission_method="not_submitted")
    charge["disputed"] = True
    sandbox.emit("charge.dispute.created", dispute)
    if not inquiry:
        withdraw(sandbox, dispute)
    return dispute


def withdraw(sandbox: Sandbox, dispute: Thing) -> None:
    move_money(sandbox, dispute, -1)
    sandbox.emit("charge.dispute.funds_withdrawn", dispute)


def card_details() -> Thing:
    card = {"brand": "visa", "case_type": "chargeback", "network": "visa", "network_reason_code": "10"}
    return {"card": card, "type": "card"}


def move_money(sandbox: Sandbox, dispute: Thing, sign: int) -> None:
    fee = DISPUTE_FEE if sign < 0 else 0
    entry = charges.balance_entry(sandbox, "adjustment", dispute, sign * dispute["amount"], fee)
    entry["reporting_category"] = "dispute" if sign < 0 else "dispute_reversal"
    dispute["balance_transactions"].append(entry)


def close(sandbox: Sandbox, dispute: Thing, *, won: bool) -> Thing:
    if dispute["status"] not in OPEN:
        raise StripeError(400, "invalid_request_error", f"This dispute is already {dispute['status']}.")
    warning = dispute["status"].startswith("warning")
    if warning:
        dispute["status"] = "warning_closed"
        sandbox.get("charge", dispute["charge"])["disputed"] = False
    else:
        dispute["status"] = "won" if won else "lost"
    if won and not warning:
        move_money(sandbox, dispute, 1)
        sandbox.emit("charge.dispute.funds_reinstated", dispute)
    sandbox.emit("charge.dispute.closed", dispute)
    return dispute


def escalate(sandbox: Sandbox, dispute: Thing) -> Thing:
    """An inquiry becomes a dispute, and takes the money."""
    previous = {"status": dispute["status"]}
    dispute.update(status="needs_response", is_charge_refundable=False)
    sandbox.emit("charge.dispute.updated", dispute, previous)
    withdraw(sandbox, dispute)
    return dispute


def reopen(sandbox: Sandbox, dispute: Thing) -> Thing:
    """The bank comes back after a closed case: an appeal, which takes the money again where it had been returned."""
    previous = {"status": dispute["status"]}
    withdrawn = dispute["status"] == "won"
    dispute["status"] = "appeal_needs_response"
    sandbox.emit("charge.dispute.updated", dispute, previous)
    if withdrawn:
        withdraw(sandbox, dispute)
    return dispute


def dispute_at_once(sandbox: Sandbox, intent: Thing) -> None:
    method = sandbox.store.find("payment_method", intent["payment_method"])
    if method and payment_methods.behaviour(method).disputed:
        open_dispute(sandbox, sandbox.get("charge", intent["latest_charge"]))


payment_intents.WHEN_PAID.append(dispute_at_once)


@operation("POST", "/v1/disputes/{id}")
def update(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    dispute = sandbox.get("dispute", identity)
    changes: dict[str, Any] = {"metadata": merged_metadata(dispute["metadata"], params)}
    if params.get("submit") == "true":
        changes["status"] = "under_review"
    return sandbox.change(dispute, "charge.dispute.updated", **changes)


@operation("POST", "/v1/disputes/{id}/close")
def accept(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    return close(sandbox, sandbox.get("dispute", identity), won=False)


retrieve("dispute", "/v1/disputes")
listed("dispute", "/v1/disputes", "charge", "payment_intent")
