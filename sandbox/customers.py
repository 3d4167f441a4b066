"""Customers: made, changed, and deleted with what hangs on them."""

from typing import Any

from sandbox import payment_methods
from sandbox.errors import no_such
from sandbox.params import Params, merged_metadata, nested, required, text, whole
from sandbox.render import remains
from sandbox.routes import listed, operation, page
from sandbox.shapes import new_id
from sandbox.store import Thing
from sandbox.world import Sandbox

TEXTS = ("email", "name", "description", "phone")
WHEN_DELETED: list[Any] = []


def fields(customer: Thing, params: Params) -> dict[str, Any]:
    changes: dict[str, Any] = {name: text(params, name) for name in TEXTS if name in params}
    changes["metadata"] = merged_metadata(customer.get("metadata"), params)
    if "balance" in params:
        changes["balance"] = whole(params, "balance")
    if "address" in params:
        changes["address"] = address_from(nested(params, "address"))
    return changes


def address_from(given: Params) -> Thing | None:
    names = ("city", "country", "line1", "line2", "postal_code", "state")
    return {name: given.get(name) for name in names} if given else None


@operation("POST", "/v1/customers")
def create(sandbox: Sandbox, params: Params) -> Thing:
    prefix = new_id("customer")[-8:].upper()
    customer = sandbox.make("customer", invoice_prefix=prefix, **fields({}, params))
    if "payment_method" in params:
        payment_methods.attach_to_customer(sandbox, {"customer": customer["id"]}, params["payment_method"])
    choose_default(sandbox, customer, params)
    sandbox.emit("customer.created", customer)
    return customer


def choose_default(sandbox: Sandbox, customer: Thing, params: Params) -> None:
    settings = nested(params, "invoice_settings")
    if "default_payment_method" not in settings:
        return
    chosen = text(settings, "default_payment_method")
    if chosen and sandbox.get("payment_method", chosen)["customer"] != customer["id"]:
        raise no_such("payment_method", chosen, "invoice_settings[default_payment_method]")
    customer["invoice_settings"] = {**customer["invoice_settings"], "default_payment_method": chosen}


@operation("POST", "/v1/customers/{id}")
def update(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    customer = sandbox.get("customer", identity)
    settings = customer["invoice_settings"]
    choose_default(sandbox, customer, params)
    chosen, customer["invoice_settings"] = customer["invoice_settings"], settings
    changes = {**fields(customer, params), "invoice_settings": chosen}
    return sandbox.change(customer, "customer.updated", **changes)


@operation("POST", "/v1/customers/{id}/balance_transactions")
def add_balance_transaction(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    """A credit (negative) or a debt for the next invoices."""
    customer, amount = sandbox.get("customer", identity), whole(params, "amount")
    moved = move_balance(sandbox, customer, amount, currency=required(params, "currency"))
    moved["description"] = text(params, "description")
    sandbox.emit("customer.updated", customer)
    return moved


def move_balance(sandbox: Sandbox, customer: Thing, amount: int, **fields: Any) -> Thing:
    customer["balance"] += amount
    columns = {"customer": customer["id"], "amount": amount, "ending_balance": customer["balance"]}
    return sandbox.make("customer_balance_transaction", **columns, **fields)


def apply_balance(sandbox: Sandbox, customer: Thing, invoice: Thing) -> None:
    """What an invoice takes from the balance, or leaves there."""
    amount = invoice["ending_balance"] - customer["balance"]
    if amount:
        about = {"invoice": invoice["id"], "currency": invoice["currency"], "type": "applied_to_invoice"}
        move_balance(sandbox, customer, amount, **about)


@operation("GET", "/v1/customers/{id}/balance_transactions")
def list_balance_transactions(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    moved = sandbox.store.where("customer_balance_transaction", customer=identity)
    return page(moved, params, f"/v1/customers/{identity}/balance_transactions")


@operation("GET", "/v1/customers/{id}")
def retrieve(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    return remains(sandbox, identity) or sandbox.get("customer", identity)


@operation("DELETE", "/v1/customers/{id}")
def delete(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    customer = sandbox.get("customer", identity)
    for cancel in WHEN_DELETED:
        cancel(sandbox, customer)
    for method in sandbox.store.where("payment_method", customer=identity):
        method.update(customer=None, _detached=True)
        sandbox.emit("payment_method.detached", method, {"customer": identity})
    sandbox.store.remove("customer", identity)
    sandbox.store.add("deleted_customer", customer)
    sandbox.emit("customer.deleted", customer)
    return {"id": identity, "object": "customer", "deleted": True}


listed("customer", "/v1/customers", "email")
