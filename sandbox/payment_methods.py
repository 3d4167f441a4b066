"""Saved cards: made from a test card, attached to a customer, taken off again."""

from typing import Any

from sandbox.cards import CARDS, Card, card_error, card_named
from sandbox.errors import invalid
from sandbox.params import Params, merged_metadata, nested, required
from sandbox.routes import listed, operation, page
from sandbox.store import Thing
from sandbox.world import Sandbox

TOKENS = {card.token for card in CARDS}


def make_card(sandbox: Sandbox, card: Card, billing: Thing | None = None) -> Thing:
    method = sandbox.make("payment_method", card=card_fields(card), _card=card.key)
    method["billing_details"].update(billing or {})
    return method


def card_fields(card: Card) -> Thing:
    return {
        "brand": "visa",
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "display_brand": "visa",
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": f"fp{card.number}",
        "funding": "credit",
        "generated_from": None,
        "last4": card.number[-4:],
        "networks": {"available": ["visa"], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def resolve(sandbox: Sandbox, identity: str, param: str = "payment_method") -> Thing:
    """A payment method by its id; a test token such as `pm_card_visa` makes a new one."""
    if identity in TOKENS:
        return make_card(sandbox, card_named(identity))
    return sandbox.get("payment_method", identity, param)


def behaviour(method: Thing) -> Card:
    return card_named(method["_card"])


def attach(sandbox: Sandbox, method: Thing, customer: str) -> Thing:
    if method["customer"] == customer:
        return method
    if method["customer"] or method.get("_detached"):
        raise invalid("This payment method can not be used again.", "payment_method")
    sandbox.get("customer", customer, "customer")
    method["customer"] = customer
    sandbox.emit("payment_method.attached", method)
    return method


def make_default(sandbox: Sandbox, customer: Thing, method: str | None) -> None:
    settings = {**customer["invoice_settings"], "default_payment_method": method}
    sandbox.change(customer, "customer.updated", invoice_settings=settings)


@operation("POST", "/v1/payment_methods")
def create(sandbox: Sandbox, params: Params) -> Thing:
    card = nested(params, "card")
    named = card.get("number") or card.get("token") or "success"
    method = make_card(sandbox, card_named(named), nested(params, "billing_details"))
    method["metadata"] = merged_metadata({}, params)
    return method


@operation("POST", "/v1/payment_methods/{id}/attach")
def attach_to_customer(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    method = resolve(sandbox, identity)
    decline = behaviour(method).declines
    if decline:
        raise card_error(decline, payment_method=None)
    return attach(sandbox, method, required(params, "customer"))


@operation("POST", "/v1/payment_methods/{id}/detach")
def detach(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    method = sandbox.get("payment_method", identity)
    customer = sandbox.store.find("customer", method["customer"])
    if customer is None:
        raise invalid("The payment method you provided is not attached to a customer.", "payment_method")
    previous = {"customer": method["customer"]}
    method.update(customer=None, _detached=True)
    sandbox.emit("payment_method.detached", method, previous)
    forget(sandbox, customer, identity)
    return method


def forget(sandbox: Sandbox, customer: Thing, identity: str) -> None:
    if customer["invoice_settings"]["default_payment_method"] == identity:
        make_default(sandbox, customer, None)
    for subscription in sandbox.store.where("subscription", default_payment_method=identity):
        sandbox.change(subscription, "customer.subscription.updated", default_payment_method=None)


@operation("POST", "/v1/payment_methods/{id}")
def update(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    method = sandbox.get("payment_method", identity)
    changes: dict[str, Any] = {"metadata": merged_metadata(method["metadata"], params)}
    if "card" in params:
        months = {name: int(value) for name, value in nested(params, "card").items() if name.startswith("exp_")}
        changes["card"] = {**method["card"], **months}
    return sandbox.change(method, "payment_method.updated", **changes)


@operation("GET", "/v1/payment_methods/{id}")
def retrieve(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    return resolve(sandbox, identity)


@operation("GET", "/v1/customers/{id}/payment_methods")
def of_customer(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    matches = sandbox.store.where("payment_method", customer=identity)
    return page(matches, params, f"/v1/customers/{identity}/payment_methods")


@operation("GET", "/v1/customers/{id}/payment_methods/{method}")
def one_of_customer(sandbox: Sandbox, params: Params, customer: str, identity: str) -> Thing:
    return sandbox.get("payment_method", identity)


listed("payment_method", "/v1/payment_methods", "customer", "type")
