"""How a stored object is answered: a copy without the sandbox's own notes, with what `expand` asks for."""

from typing import TYPE_CHECKING, Any

from sandbox.errors import invalid
from sandbox.shapes import kind_of, listing
from sandbox.store import Thing

if TYPE_CHECKING:
    from sandbox.world import Sandbox


MOST_LINES = 10


def public(value: Any) -> Any:
    """A deep copy without notes; a note is only taken out of Stripe's objects, never out of metadata."""
    if isinstance(value, list):
        return [public(one) for one in value]
    if not isinstance(value, dict):
        return value
    is_object = "object" in value and "id" in value
    shown = {key: public(one) for key, one in value.items() if not (is_object and key.startswith("_"))}
    return with_first_lines(shown) if value.get("object") == "invoice" else shown


def with_first_lines(invoice: Thing) -> Thing:
    """An invoice carries ten lines; the others are on pages of their own."""
    lines = invoice["lines"]
    if len(lines["data"]) <= MOST_LINES:
        return invoice
    return {**invoice, "lines": {**lines, "data": lines["data"][:MOST_LINES], "has_more": True}}


def answer(sandbox: "Sandbox", thing: Thing, paths: list[str]) -> Thing:
    shown: Thing = public(thing)
    for path in paths:
        expand(sandbox, shown, path.split("."), path)
    return shown


def expand(sandbox: "Sandbox", here: Any, steps: list[str], path: str) -> None:
    if not steps or here is None:
        return
    if isinstance(here, list):
        for one in here:
            expand(sandbox, one, steps, path)
        return
    step, rest = steps[0], steps[1:]
    if step not in here or isinstance(here[step], str | list):
        here[step] = expanded(sandbox, here, step, path)
    expand(sandbox, here[step], rest, path)


def expanded(sandbox: "Sandbox", here: Thing, step: str, path: str) -> Any:
    value = here.get(step)
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return [expanded(sandbox, {step: one}, step, path) for one in value]
    if isinstance(value, str) and (kind := kind_of(value)):
        matches = sandbox.store.find(kind, value) or remains(sandbox, value)
        return public(matches) if matches else value
    if (here.get("object"), step) in INCLUDED:
        return INCLUDED[here["object"], step](sandbox, here)
    if step in here and not isinstance(value, str):
        return value
    raise invalid(f"This property cannot be expanded ({path}).", "expand")


def remains(sandbox: "Sandbox", identity: str) -> Thing | None:
    """What is shown of a deleted customer."""
    if sandbox.store.find("deleted_customer", identity) is None:
        return None
    return {"id": identity, "object": "customer", "deleted": True}


def invoice_payments(sandbox: "Sandbox", invoice: Thing) -> Thing:
    matches = sandbox.store.where("invoice_payment", invoice=invoice["id"])
    return listing([public(one) for one in matches], f"/v1/invoices/{invoice['id']}/payments")


def confirmation_secret(sandbox: "Sandbox", invoice: Thing) -> Thing | None:
    for payment in sandbox.store.where("invoice_payment", invoice=invoice["id"]):
        intent = sandbox.store.get("payment_intent", payment["payment"]["payment_intent"])
        return {"client_secret": intent["client_secret"], "type": "payment_intent"}
    return None


def session_lines(sandbox: "Sandbox", session: Thing) -> Thing:
    stored = sandbox.store.get("checkout.session", session["id"])
    return listing(public(stored["_lines"]), f"/v1/checkout/sessions/{session['id']}/line_items")


def customer_subscriptions(sandbox: "Sandbox", customer: Thing) -> Thing:
    matches = sandbox.store.where("subscription", customer=customer["id"])
    live = [public(one) for one in matches if one["status"] not in ("canceled", "incomplete_expired")]
    return listing(live, f"/v1/customers/{customer['id']}/subscriptions")


def charge_refunds(sandbox: "Sandbox", charge: Thing) -> Thing:
    matches = sandbox.store.where("refund", charge=charge["id"])
    return listing([public(one) for one in matches], f"/v1/charges/{charge['id']}/refunds")


INCLUDED = {
    ("invoice", "payments"): invoice_payments,
    ("invoice", "confirmation_secret"): confirmation_secret,
    ("checkout.session", "line_items"): session_lines,
    ("customer", "subscriptions"): customer_subscriptions,
    ("charge", "refunds"): charge_refunds,
}
