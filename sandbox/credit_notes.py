"""Credit notes: less to pay on an open invoice; on a paid one a refund, a credit on the balance, or money elsewhere."""

from sandbox import customers, invoices, payment_intents, refunds
from sandbox.errors import invalid
from sandbox.params import Params, merged_metadata, required, text, whole
from sandbox.routes import listed, operation, retrieve
from sandbox.store import Thing
from sandbox.world import Sandbox

WAYS = ("refund_amount", "credit_amount", "out_of_band_amount")


@operation("POST", "/v1/credit_notes")
def create(sandbox: Sandbox, params: Params) -> Thing:
    invoice = sandbox.get("invoice", required(params, "invoice"), "invoice")
    amount = whole(params, "amount", sum(whole(params, way, 0) for way in WAYS))
    before = min(amount, invoice["amount_remaining"]) if invoice["status"] == "open" else 0
    check(invoice, params, amount, before)
    note = sandbox.make(
        "credit_note",
        **dict.fromkeys(("amount", "subtotal", "total", "subtotal_excluding_tax", "total_excluding_tax"), amount),
        currency=invoice["currency"],
        customer=invoice["customer"],
        invoice=invoice["id"],
        memo=text(params, "memo"),
        metadata=merged_metadata({}, params),
        number=f"{invoice['number']}-CN-{len(notes_of(sandbox, invoice)) + 1:02}",
        pdf=f"{invoice['hosted_invoice_url']}/credit_note",
        reason=text(params, "reason"),
        pre_payment_amount=before,
        post_payment_amount=amount - before,
        type="pre_payment" if before else "post_payment",
    )
    give_back(sandbox, note, invoice, params)
    sandbox.emit("credit_note.created", note)
    lower(sandbox, invoice, note)
    return note


def notes_of(sandbox: Sandbox, invoice: Thing) -> list[Thing]:
    return sandbox.store.where("credit_note", invoice=invoice["id"])


def check(invoice: Thing, params: Params, amount: int, before: int) -> None:
    if invoice["status"] not in ("open", "paid"):
        raise invalid("You can only create a credit note for an open or paid invoice.", "invoice")
    given = invoice["pre_payment_credit_notes_amount"] + invoice["post_payment_credit_notes_amount"]
    if not 0 < amount <= invoice["total"] - given:
        raise invalid(f"The amount of the credit note must be at most {invoice['total'] - given}.", "amount")
    ways = sum(whole(params, way, 0) for way in WAYS)
    if ways != amount - before:
        raise invalid(
            "The sum of refund amount, credit amount and out of band amount must equal the post payment amount."
        )


def give_back(sandbox: Sandbox, note: Thing, invoice: Thing, params: Params) -> None:
    """In up to three ways at once."""
    paid_back, balance, elsewhere = (whole(params, way, 0) for way in WAYS)
    if paid_back:
        paid = sandbox.store.where("invoice_payment", invoice=invoice["id"], status="paid")
        if not paid:
            raise invalid("The invoice has no payment that can be refunded.", "refund_amount")
        wanted = {"payment_intent": paid[0]["payment"]["payment_intent"], "amount": str(paid_back)}
        made = refunds.create(sandbox, wanted)
        shown = {
            "amount_refunded": paid_back,
            "payment_record_refund": None,
            "refund": made["id"],
            "type": "refund",
        }
        note["refunds"] = [shown]
    if balance:
        customer = sandbox.get("customer", invoice["customer"])
        about = {"credit_note": note["id"], "currency": invoice["currency"], "type": "credit_note"}
        note["customer_balance_transaction"] = customers.move_balance(sandbox, customer, -balance, **about)["id"]
        sandbox.emit("customer.updated", customer)
    note["out_of_band_amount"] = elsewhere or None


def lower(sandbox: Sandbox, invoice: Thing, note: Thing, sign: int = 1) -> None:
    """What is left to pay, and what was given back; an open invoice with nothing left is paid."""
    for kind in ("pre_payment", "post_payment"):
        invoice[f"{kind}_credit_notes_amount"] += sign * note[f"{kind}_amount"]
    if invoice["status"] != "open":
        return
    left = invoice["amount_due"] - sign * note["pre_payment_amount"]
    invoice.update(amount_due=left, amount_remaining=left)
    sandbox.emit("invoice.updated", invoice)
    for payment in sandbox.store.where("invoice_payment", invoice=invoice["id"], status="open"):
        payment["amount_requested"] = left
        intent = sandbox.get("payment_intent", payment["payment"]["payment_intent"])
        if left:
            intent["amount"] = left
        else:
            payment["status"] = "canceled"
            payment_intents.cancel(sandbox, {}, intent["id"])
    if not left:
        invoices.mark_paid(sandbox, invoice)


@operation("POST", "/v1/credit_notes/{id}/void")
def void(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    """Only as long as its invoice is open."""
    note = sandbox.get("credit_note", identity)
    invoice = sandbox.get("invoice", note["invoice"])
    if invoice["status"] != "open" or note["status"] == "void":
        raise invalid("This credit note cannot be voided.", "id")
    note.update(status="void", voided_at=sandbox.now)
    lower(sandbox, invoice, note, sign=-1)
    sandbox.emit("credit_note.voided", note)
    return note


retrieve("credit_note", "/v1/credit_notes")
listed("credit_note", "/v1/credit_notes", "invoice", "customer")
