"""One-off items: pending at a customer until the next invoice, whose first lines they are."""

from sandbox import catalog
from sandbox.invoice_lines import pricing_of
from sandbox.params import Params, merged_metadata, nested, required, text, whole
from sandbox.routes import listed, operation, retrieve
from sandbox.shapes import blank, new_id
from sandbox.store import Thing
from sandbox.world import Sandbox


@operation("POST", "/v1/invoiceitems")
def create(sandbox: Sandbox, params: Params) -> Thing:
    """`{customer, amount, currency}`, or `{customer, pricing: {price}, quantity}`."""
    customer = sandbox.get("customer", required(params, "customer"), "customer")
    price = price_of(sandbox, params)
    quantity = whole(params, "quantity", 1)
    item = sandbox.make(
        "invoiceitem",
        customer=customer["id"],
        amount=price["unit_amount"] * quantity,
        net_amount=price["unit_amount"] * quantity,
        currency=price["currency"],
        quantity=quantity,
        quantity_decimal=str(quantity),
        description=text(params, "description"),
        metadata=merged_metadata({}, params),
        pricing=pricing_of(price),
        date=sandbox.now,
        period={"start": sandbox.now, "end": sandbox.now},
    )
    sandbox.emit("invoiceitem.created", item)
    return item


def price_of(sandbox: Sandbox, params: Params) -> Thing:
    if "pricing" in params:
        return sandbox.get("price", required(nested(params, "pricing"), "price"), "pricing[price]")
    data = {"currency": required(params, "currency"), "unit_amount": str(whole(params, "amount"))}
    product = {"name": text(params, "description") or "One-off item"}
    return sandbox.change(catalog.create_price(sandbox, {**data, "product_data": product}), active=False)


def take_pending(sandbox: Sandbox, customer: Thing, invoice: Thing) -> list[Thing]:
    """The lines of what is pending, the oldest first; from now on it is on that invoice."""
    waiting = sandbox.store.where("invoiceitem", customer=customer["id"], invoice=None)
    lines = []
    for item in reversed(waiting):
        item["invoice"] = invoice["id"]
        lines.append(line_of(item))
    return lines


def line_of(item: Thing) -> Thing:
    details = {
        "invoice_item": item["id"],
        "proration": False,
        "proration_details": {"credited_items": None},
        "subscription": None,
    }
    parent = {
        "invoice_item_details": details,
        "subscription_item_details": None,
        "type": "invoice_item_details",
    }
    shown = ("amount", "currency", "description", "metadata", "period", "pricing", "quantity")
    same = {name: item[name] for name in shown}
    return {
        **blank("line_item"),
        **same,
        "id": new_id("line_item"),
        "subtotal": item["amount"],
        "parent": parent,
    }


retrieve("invoiceitem", "/v1/invoiceitems")
listed("invoiceitem", "/v1/invoiceitems", "customer")
