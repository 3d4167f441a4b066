"""Invoices: drafted, finalized, paid by the subscription's card, tried again, voided."""

from collections.abc import Callable

from sandbox import customers, discounts, invoice_items, payment_intents, payment_methods, taxes
from sandbox.errors import StripeError, invalid, unexpected_state
from sandbox.params import Params, flag, text
from sandbox.render import public
from sandbox.routes import operation, page, relabel, retrieve, wanted
from sandbox.shapes import listing
from sandbox.store import Thing
from sandbox.world import Sandbox

DAY, RETRY_DAYS = 86400, (1, 3, 5)
SMALLEST_CHARGE = 50
WHEN_PAID: list[Callable[[Sandbox, Thing], None]] = []
WHEN_FAILED: list[Callable[[Sandbox, Thing], None]] = []


def draft(sandbox: Sandbox, subscription: Thing, reason: str, lines: list[Thing]) -> Thing:
    customer = sandbox.get("customer", subscription["customer"])
    invoice = sandbox.make("invoice", customer=customer["id"], billing_reason=reason)
    lines = [*invoice_items.take_pending(sandbox, customer, invoice), *lines]
    fill(sandbox, invoice, subscription, customer, lines)
    discounts.use_up(sandbox, subscription, invoice)
    sandbox.emit("invoice.created", invoice)
    return invoice


def fill(sandbox: Sandbox, invoice: Thing, subscription: Thing, customer: Thing, lines: list[Thing]) -> None:
    reduced = discounts.discounted(sandbox, subscription, lines)
    off = sum(one["amount"] for one in reduced["total_discount_amounts"])
    is_taxed = subscription["automatic_tax"]["enabled"]
    for line in lines:
        line["invoice"] = invoice["id"]
        if is_taxed:
            taxes.tax_line(sandbox, line)
    total_taxes = taxes.totals(lines)
    invoice.update(
        currency=subscription["currency"],
        customer_email=customer["email"],
        customer_name=customer["name"],
        lines=listing(lines, f"/v1/invoices/{invoice['id']}/lines"),
        parent=parent_of(subscription),
        period_start=min((line["period"]["start"] for line in lines), default=invoice["created"]),
        period_end=invoice["created"],
        automatic_tax={**taxes.shown(is_taxed), "disabled_reason": None},
        total_taxes=total_taxes,
        **reduced,
        **sums(sum(line["amount"] for line in lines), off, total_taxes, customer["balance"]),
    )


def sums(subtotal: int, off: int, total_taxes: list[Thing], balance: int) -> dict[str, int]:
    """What is owed with the customer's balance; too little to charge, or less than nothing, goes to the balance."""
    total = subtotal - off + taxes.on_top(total_taxes)
    untaxed = total - sum(tax["amount"] for tax in total_taxes)
    owed = total + balance
    due = owed if owed >= SMALLEST_CHARGE else 0
    totals = {"subtotal": subtotal, "subtotal_excluding_tax": untaxed + off}
    totals |= {"total": total, "total_excluding_tax": untaxed}
    balances = {"starting_balance": balance, "ending_balance": 0 if due else owed}
    return {**totals, **balances, "amount_due": due, "amount_remaining": due}


def parent_of(subscription: Thing) -> Thing:
    details = {
        "metadata": dict(subscription["metadata"]),
        "subscription": subscription["id"],
        "subscription_proration_date": None,
    }
    return {"quote_details": None, "subscription_details": details, "type": "subscription_details"}


def finalize(sandbox: Sandbox, invoice: Thing) -> None:
    """Opens the invoice; one with nothing due is paid at once, the rest goes to the customer's balance."""
    customer = sandbox.get("customer", invoice["customer"])
    number = customer["next_invoice_sequence"]
    page = f"{sandbox.base_url}/invoice/{invoice['id']}"
    customer["next_invoice_sequence"] = number + 1
    customers.apply_balance(sandbox, customer, invoice)
    invoice["status_transitions"]["finalized_at"] = sandbox.now
    invoice.update(
        status="open",
        number=f"{customer['invoice_prefix']}-{number:04}",
        effective_at=sandbox.now,
        hosted_invoice_url=page,
        invoice_pdf=f"{page}/pdf",
    )
    sandbox.emit("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        mark_paid(sandbox, invoice)


def subscription_of(sandbox: Sandbox, invoice: Thing) -> Thing:
    return sandbox.get("subscription", invoice["parent"]["subscription_details"]["subscription"])


def card_for(sandbox: Sandbox, subscription: Thing) -> Thing | None:
    customer = sandbox.get("customer", subscription["customer"])
    preferred = customer["invoice_settings"]["default_payment_method"]
    return sandbox.store.find("payment_method", subscription["default_payment_method"] or preferred)


def no_card() -> StripeError:
    message = (
        "This customer has no attached payment source or default payment method. "
        "Please consider adding a default payment method."
    )
    return invalid(message, code="resource_missing")


def intent_for(sandbox: Sandbox, invoice: Thing) -> Thing:
    """The invoice's payment intent, made at the first attempt and kept for the later ones."""
    for payment in sandbox.store.where("invoice_payment", invoice=invoice["id"], status="open"):
        return sandbox.get("payment_intent", payment["payment"]["payment_intent"])
    intent = payment_intents.make_intent(
        sandbox,
        invoice["amount_due"],
        invoice["currency"],
        customer=invoice["customer"],
        description="Subscription",
        setup_future_usage="off_session",
        _invoice=invoice["id"],
    )
    payment = {"payment_intent": intent["id"], "type": "payment_intent"}
    asked = {"amount_requested": invoice["amount_due"], "currency": invoice["currency"]}
    sandbox.make("invoice_payment", invoice=invoice["id"], payment=payment, **asked)
    return intent


def attempt(
    sandbox: Sandbox,
    invoice: Thing,
    card: Thing | None = None,
    *,
    off_session: bool = True,
    proven: bool = False,
) -> None:
    """Charges the card; where there is none, or it does not pay, the invoice stays open and is tried again."""
    if invoice["status"] != "open":
        return
    intent = intent_for(sandbox, invoice)
    chosen = card or card_for(sandbox, subscription_of(sandbox, invoice))
    invoice.update(attempted=True, attempt_count=invoice["attempt_count"] + 1, next_payment_attempt=None)
    if chosen is None:
        failed(sandbox, invoice)
        return
    payment_intents.charge_card(sandbox, intent, chosen, off_session=off_session, proven=proven)
    if intent["status"] == "requires_action":
        sandbox.emit("invoice.payment_action_required", invoice)
        failed(sandbox, invoice)


def failed(sandbox: Sandbox, invoice: Thing) -> None:
    sandbox.emit("invoice.payment_failed", plan_retry(sandbox, invoice))
    for react in WHEN_FAILED:
        react(sandbox, invoice)


def plan_retry(sandbox: Sandbox, invoice: Thing) -> Thing:
    first = invoice.setdefault("_first_failure", sandbox.now)
    later = [first + days * DAY for days in RETRY_DAYS if first + days * DAY > sandbox.now]
    retried = invoice["billing_reason"] != "subscription_create" and not invoice.get("_pending_update")
    invoice["next_payment_attempt"] = later[0] if later and retried else None
    return invoice


def mark_paid(sandbox: Sandbox, invoice: Thing) -> None:
    invoice["status_transitions"]["paid_at"] = sandbox.now
    invoice.update(
        status="paid",
        attempted=True,
        amount_paid=invoice["amount_due"],
        amount_remaining=0,
        next_payment_attempt=None,
    )
    sandbox.emit("invoice.paid", invoice)
    sandbox.emit("invoice.payment_succeeded", invoice)
    for react in WHEN_PAID:
        react(sandbox, invoice)


def intent_paid(sandbox: Sandbox, intent: Thing) -> None:
    invoice = sandbox.store.find("invoice", intent.get("_invoice"))
    if invoice is None:
        return
    for payment in sandbox.store.where("invoice_payment", invoice=invoice["id"], status="open"):
        payment.update(status="paid", amount_paid=intent["amount"])
        payment["status_transitions"]["paid_at"] = sandbox.now
        sandbox.emit("invoice_payment.paid", payment)
    mark_paid(sandbox, invoice)


def intent_failed(sandbox: Sandbox, intent: Thing) -> None:
    invoice = sandbox.store.find("invoice", intent.get("_invoice"))
    if invoice is not None:
        failed(sandbox, invoice)


payment_intents.WHEN_PAID.append(intent_paid)
payment_intents.WHEN_FAILED.append(intent_failed)


def void(sandbox: Sandbox, invoice: Thing) -> Thing:
    if invoice["status"] != "open":
        message = f"You can only void open invoices; this one is {invoice['status']}."
        raise unexpected_state(message, "invoice_not_editable")
    invoice["status_transitions"]["voided_at"] = sandbox.now
    invoice.update(status="void", next_payment_attempt=None, auto_advance=False)
    for payment in sandbox.store.where("invoice_payment", invoice=invoice["id"], status="open"):
        payment["status"] = "canceled"
        payment["status_transitions"]["canceled_at"] = sandbox.now
        payment_intents.cancel(sandbox, {"cancellation_reason": "void_invoice"}, payment["payment"]["payment_intent"])
    sandbox.emit("invoice.voided", invoice)
    return invoice


@operation("POST", "/v1/invoices/{id}/pay")
def pay(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    invoice = sandbox.get("invoice", identity)
    if invoice["status"] != "open":
        raise unexpected_state(f"Invoice is already {invoice['status']}", f"invoice_already_{invoice['status']}")
    if flag(params, "paid_out_of_band"):
        mark_paid(sandbox, invoice)
        return invoice
    chosen = text(params, "payment_method")
    card = payment_methods.resolve(sandbox, chosen) if chosen else card_for(sandbox, subscription_of(sandbox, invoice))
    if card is None:
        raise no_card()
    attempt(sandbox, invoice, card, off_session=params.get("off_session") != "false")
    if invoice["status"] == "open":
        raise decline_of(sandbox, invoice, "invoice_payment_intent_requires_action")
    return invoice


def decline_of(sandbox: Sandbox, invoice: Thing, code: str) -> Exception:
    """The 402 that says why an invoice is still open; `code` where its owner must authenticate."""
    intent = intent_for(sandbox, invoice)
    if intent["last_payment_error"]:
        return payment_intents.error_of(intent)
    message = "The payment requires additional user action before it can be completed successfully."
    return StripeError(402, "card_error", message, code=code, payment_intent=public(intent))


@operation("GET", "/v1/invoices/{id}/lines")
def lines_of(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    """All of them, where the invoice itself shows the first ten."""
    lines = sandbox.get("invoice", identity)["lines"]["data"]
    return page(lines, params, f"/v1/invoices/{identity}/lines")


@operation("POST", "/v1/invoices/{id}/finalize")
def finalize_draft(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    invoice = sandbox.get("invoice", identity)
    if invoice["status"] != "draft":
        raise unexpected_state("This invoice is already finalized.", "invoice_not_editable")
    finalize(sandbox, invoice)
    return invoice


@operation("POST", "/v1/invoices/{id}/void")
def void_invoice(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    return void(sandbox, sandbox.get("invoice", identity))


@operation("POST", "/v1/invoices/{id}/mark_uncollectible")
def mark_uncollectible(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    invoice = sandbox.get("invoice", identity)
    return sandbox.change(invoice, "invoice.marked_uncollectible", status="uncollectible")


@operation("GET", "/v1/invoices")
def list_invoices(sandbox: Sandbox, params: Params) -> Thing:
    matches = sandbox.store.where("invoice", **wanted(params, "customer", "status", "collection_method"))
    asked = params.get("subscription")
    fitting = [one for one in matches if not asked or subscription_of(sandbox, one)["id"] == asked]
    return page(fitting, params, "/v1/invoices")


@operation("GET", "/v1/invoice_payments")
def list_payments(sandbox: Sandbox, params: Params) -> Thing:
    matches = sandbox.store.where("invoice_payment", **wanted(params, "invoice", "status"))
    asked = (params.get("payment") or {}).get("payment_intent")
    fitting = [one for one in matches if not asked or one["payment"].get("payment_intent") == asked]
    return page(fitting, params, "/v1/invoice_payments")


retrieve("invoice", "/v1/invoices")
relabel("invoice", "/v1/invoices", "invoice.updated")
retrieve("invoice_payment", "/v1/invoice_payments")
