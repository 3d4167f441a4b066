"""What an invoice would be: the next one of a subscription, or that of a change not made yet."""

from sandbox import invoice_lines, invoices, subscriptions
from sandbox.errors import StripeError, invalid
from sandbox.params import Params, nested, text
from sandbox.periods import period_end
from sandbox.routes import operation
from sandbox.shapes import blank, new_id
from sandbox.store import Thing
from sandbox.subscription_changes import Change, planned
from sandbox.world import Sandbox


@operation("POST", "/v1/invoices/create_preview")
def create_preview(sandbox: Sandbox, params: Params) -> Thing:
    """With `proration_behavior=always_invoice`, or a change that begins a new period, the invoice of that change;
    otherwise the next renewal's, with what is waiting for it."""
    wanted = nested(params, "subscription_details")
    if not text(params, "subscription"):
        return preview_of_new(sandbox, params, wanted)
    subscription = sandbox.get("subscription", params["subscription"], "subscription")
    if subscription["status"] in subscriptions.ENDED:
        raise none_coming(params)
    change = planned(sandbox, subscription, wanted)
    if change.bill_now:
        lines = [*subscription.get("_pending_lines", []), *change.lines]
        return preview(sandbox, change.draft, "subscription_update", lines)
    if change.draft["cancel_at_period_end"] and not change.lines:
        raise none_coming(params)
    return preview(sandbox, change.draft, "upcoming", next_lines(sandbox, subscription, change))


def none_coming(params: Params) -> StripeError:
    message = f"No upcoming invoices for customer: '{params.get('customer')}'"
    return StripeError(404, "invalid_request_error", message, code="invoice_upcoming_none")


def next_lines(sandbox: Sandbox, subscription: Thing, change: Change) -> list[Thing]:
    waiting = [*subscription.get("_pending_lines", []), *change.lines]
    anchor, start = change.draft["billing_cycle_anchor"], subscriptions.current_end(change.draft)
    for item in change.draft["items"]["data"]:
        end = period_end(anchor, item["price"]["recurring"], start)
        coming = {**item, "current_period_start": start, "current_period_end": end}
        waiting.append(invoice_lines.period_line(sandbox, change.draft, coming))
    return waiting


def preview_of_new(sandbox: Sandbox, params: Params, wanted: Params) -> Thing:
    if not wanted.get("items"):
        raise invalid("You must pass `subscription` or `subscription_details[items]`.", "subscription")
    before = sandbox.checkpoint(params.get("customer", ""))
    asked = {**wanted, "customer": params.get("customer"), "payment_behavior": "default_incomplete"}
    subscription = subscriptions.begin(sandbox, asked)
    lines = sandbox.get("invoice", subscription["latest_invoice"])["lines"]["data"]
    sandbox.undo(before)
    return preview(sandbox, subscription, "upcoming", lines)


def preview(sandbox: Sandbox, subscription: Thing, reason: str, lines: list[Thing]) -> Thing:
    """An invoice that is stored nowhere."""
    customer = sandbox.get("customer", subscription["customer"])
    invoice = blank("invoice")
    invoice.update(id=f"upcoming_{new_id('invoice')}", customer=customer["id"], created=sandbox.now)
    invoice["billing_reason"] = reason
    invoices.fill(sandbox, invoice, subscription, customer, lines)
    invoice["next_payment_attempt"] = sandbox.now if reason != "upcoming" else subscriptions.current_end(subscription)
    return invoice
