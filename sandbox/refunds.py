"""Refunds: whole, in part, and those that fail later."""

from sandbox import charges
from sandbox.errors import StripeError, invalid
from sandbox.money import check_step, money
from sandbox.params import Params, integer, merged_metadata, text
from sandbox.routes import listed, operation, relabel, retrieve
from sandbox.store import Thing
from sandbox.world import Sandbox


@operation("POST", "/v1/refunds")
def create(sandbox: Sandbox, params: Params) -> Thing:
    charge = charge_from(sandbox, params)
    amount = checked_amount(charge, params)
    refund = sandbox.make(
        "refund",
        amount=amount,
        charge=charge["id"],
        currency=charge["currency"],
        payment_intent=charge["payment_intent"],
        metadata=merged_metadata({}, params),
        reason=text(params, "reason"),
        status="succeeded",
        destination_details={
            "card": {"type": "refund", "reference_type": "acquirer_reference_number"},
            "type": "card",
        },
    )
    refund["balance_transaction"] = charges.balance_entry(sandbox, "refund", refund, -amount)["id"]
    take_back(charge, amount)
    sandbox.emit("refund.created", refund)
    sandbox.emit("charge.refunded", charge)
    sandbox.emit("charge.refund.updated", refund)
    return refund


def charge_from(sandbox: Sandbox, params: Params) -> Thing:
    if text(params, "charge"):
        return sandbox.get("charge", params["charge"], "charge")
    if not text(params, "payment_intent"):
        raise invalid("One of the following params should be provided for this request: payment_intent or charge.")
    intent = sandbox.get("payment_intent", params["payment_intent"], "payment_intent")
    if intent["status"] != "succeeded":
        raise invalid("This PaymentIntent does not have a successful charge to refund.", "payment_intent")
    return sandbox.get("charge", intent["latest_charge"], "charge")


def checked_amount(charge: Thing, params: Params) -> int:
    left = charge["amount"] - charge["amount_refunded"]
    amount = integer(params, "amount", left) or 0
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise StripeError(400, "invalid_request_error", message, code="charge_already_refunded")
    if charge["disputed"]:
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise StripeError(400, "invalid_request_error", message, code="charge_disputed")
    if not 0 < amount <= left:
        asked, rest = (money(cents, charge["currency"]) for cents in (amount, left))
        raise invalid(f"Refund amount ({asked}) is greater than unrefunded amount on charge ({rest})", "amount")
    check_step(amount, charge["currency"], "amount")
    return amount


def take_back(charge: Thing, amount: int) -> None:
    refunded = charge["amount_refunded"] + amount
    charge.update(amount_refunded=refunded, refunded=refunded == charge["amount"])


def fail(sandbox: Sandbox, refund: Thing) -> Thing:
    """The bank sends it back: the charge counts as not refunded by that much again."""
    charge = sandbox.get("charge", refund["charge"])
    entry = charges.balance_entry(sandbox, "refund_failure", refund, refund["amount"])
    refund.update(status="failed", failure_reason="lost_or_stolen_card", failure_balance_transaction=entry["id"])
    take_back(charge, -refund["amount"])
    sandbox.emit("refund.updated", refund)
    sandbox.emit("refund.failed", refund)
    sandbox.emit("charge.refund.updated", refund)
    return refund


retrieve("refund", "/v1/refunds")
relabel("refund", "/v1/refunds", "refund.updated")
listed("refund", "/v1/refunds", "charge", "payment_intent")
