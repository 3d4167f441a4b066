"""Checkout sessions: what is offered, and what follows when the page is paid."""

from collections.abc import Callable
from typing import Any

from sandbox import (
    customers,
    discounts,
    payment_intents,
    payment_methods,
    setup_intents,
    subscriptions,
    taxes,
)
from sandbox.cards import Card, card_error
from sandbox.checkout_lines import lines_from, totals
from sandbox.errors import StripeError, invalid, unexpected_state
from sandbox.money import check_chargeable
from sandbox.params import Params, flag, integer, merged_metadata, nested, required, text
from sandbox.routes import listed, operation, page, relabel, retrieve
from sandbox.store import Thing
from sandbox.world import Sandbox

DAY = 86400
GUEST = "guest@example.com"
MODES = ("payment", "setup", "subscription")


@operation("POST", "/v1/checkout/sessions")
def create(sandbox: Sandbox, params: Params) -> Thing:
    mode = required(params, "mode")
    if mode not in MODES:
        raise invalid(f"Invalid mode: must be one of {', '.join(MODES)}", "mode")
    customer = text(params, "customer")
    if customer:
        sandbox.get("customer", customer, "customer")
    lines = lines_from(sandbox, params, mode)
    session = sandbox.make(
        "checkout.session",
        mode=mode,
        customer=customer,
        **texts(params),
        **reductions(sandbox, params),
        metadata=merged_metadata({}, params),
        expires_at=integer(params, "expires_at", sandbox.now + DAY),
        success_url=required(params, "success_url"),
        payment_status="no_payment_required" if mode == "setup" else "unpaid",
        _lines=lines,
        **wishes(params),
    )
    discounts.take_from_checkout(sandbox, session)
    if session["automatic_tax"]["enabled"]:
        taxes.tax_checkout(sandbox, session)
    session.update(totals(lines, params))
    if mode == "payment" and session["amount_total"]:
        check_chargeable(session["amount_total"], session["currency"], "line_items")
    session["url"] = f"{sandbox.base_url}/checkout/{session['id']}"
    return session


def reductions(sandbox: Sandbox, params: Params) -> dict[str, Any]:
    """Discounts and tax. A customer whose address is to be taxed by is told where the page may change it."""
    if taxes.wanted(params) and text(params, "customer") and "customer_update" not in params:
        message = (
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid "
            "address to the Customer or set either `customer_update[address]` to 'auto'."
        )
        raise invalid(message, "customer_update")
    sources = discounts.sources_from(sandbox, params.get("discounts") or [])
    collects = nested(params, "tax_id_collection")
    return {
        "discounts": sources or None,
        "automatic_tax": taxes.shown(taxes.wanted(params)),
        "tax_id_collection": {"enabled": flag(collects, "enabled"), "required": "never"} if collects else None,
    }


def wishes(params: Params) -> dict[str, Any]:
    """What the page's payment, saved card or subscription is to carry."""
    kinds = {
        "_intent": "payment_intent_data",
        "_setup": "setup_intent_data",
        "_subscription": "subscription_data",
    }
    return {note: nested(params, name) for note, name in kinds.items()}


def texts(params: Params) -> dict[str, Any]:
    names = ("cancel_url", "client_reference_id", "customer_email", "submit_type", "locale", "currency")
    shown: dict[str, Any] = {name: text(params, name) for name in names}
    shown["payment_method_collection"] = text(params, "payment_method_collection", "always")
    shown["customer_creation"] = text(params, "customer_creation")
    if "saved_payment_method_options" in params:
        shown["saved_payment_method_options"] = {
            "allow_redisplay_filters": ["always"], "payment_method_remove": "disabled", "payment_method_save": None,
            **nested(params, "saved_payment_method_options"),
        }  # fmt: skip
    return shown


class Declined(Exception):
    """The card did not pay: the page says why and the session stays open."""


def pay(sandbox: Sandbox, session: Thing, card: Card, saved: str | None = None, *, proven: bool = False) -> None:
    """What the page's button does. `Declined` with the words for the customer where it did not work."""
    if session["status"] != "open":
        raise Declined("This session is no longer open.")
    customer = customer_of(sandbox, session)
    method = sandbox.store.find("payment_method", saved)
    if method is None:
        method = payment_methods.make_card(sandbox, card, billing(session, customer))
    PAYING[session["mode"]](sandbox, session, method, proven)


def billing(session: Thing, customer: Thing | None) -> Thing:
    email = customer["email"] if customer else session["customer_email"]
    return {"email": email, "name": customer["name"] if customer else None}


def customer_of(sandbox: Sandbox, session: Thing) -> Thing | None:
    """None for a guest: a single payment that neither asks for a customer nor saves the card."""
    if session["customer"]:
        return sandbox.get("customer", session["customer"])
    saves = session["customer_creation"] == "always" or "setup_future_usage" in session["_intent"]
    if session["mode"] == "payment" and not saves:
        return None
    customer = customers.create(sandbox, {"email": session["customer_email"] or GUEST})
    session["customer"] = customer["id"]
    return customer


def pay_payment(sandbox: Sandbox, session: Thing, method: Thing, proven: bool) -> None:
    if not session["amount_total"]:
        complete(sandbox, session, "no_payment_required")
        return
    intent = sandbox.store.find("payment_intent", session["payment_intent"]) or intent_for(sandbox, session)
    payment_intents.charge_card(sandbox, intent, method, off_session=False, proven=proven)
    if intent["last_payment_error"]:
        raise Declined(intent["last_payment_error"]["message"])
    complete(sandbox, session, "unpaid" if intent["status"] == "processing" else "paid")


def intent_for(sandbox: Sandbox, session: Thing) -> Thing:
    wanted = session["_intent"]
    intent = payment_intents.make_intent(
        sandbox,
        session["amount_total"],
        session["currency"],
        customer=session["customer"],
        description=text(wanted, "description"),
        setup_future_usage=text(wanted, "setup_future_usage"),
        receipt_email=text(wanted, "receipt_email"),
        metadata=merged_metadata({}, wanted),
        _session=session["id"],
    )
    session["payment_intent"] = intent["id"]
    return intent


def pay_setup(sandbox: Sandbox, session: Thing, method: Thing, proven: bool) -> None:
    setup = sandbox.store.find("setup_intent", session["setup_intent"]) or setup_intents.make_setup(
        sandbox, session["customer"], metadata=merged_metadata({}, session["_setup"])
    )
    session["setup_intent"] = setup["id"]
    setup_intents.save_card(sandbox, setup, method, proven=proven)
    if setup["last_setup_error"]:
        raise Declined(setup["last_setup_error"]["message"])
    complete(sandbox, session, "no_payment_required")


def pay_subscription(sandbox: Sandbox, session: Thing, method: Thing, proven: bool) -> None:
    """A card that does not pay leaves no subscription behind."""
    before = sandbox.checkpoint(session["customer"])
    try:
        subscription = begin_subscription(sandbox, session, method, proven)
    except StripeError as error:
        sandbox.undo(before)
        raise Declined(str(error)) from error
    session.update(subscription=subscription["id"], invoice=subscription["latest_invoice"])
    invoice = sandbox.get("invoice", subscription["latest_invoice"])
    for payment in sandbox.store.where("invoice_payment", invoice=invoice["id"]):
        sandbox.get("payment_intent", payment["payment"]["payment_intent"])["_session"] = session["id"]
    complete(sandbox, session, subscription_payment(session, invoice))


def subscription_payment(session: Thing, invoice: Thing) -> str:
    if not session["amount_total"]:
        return "no_payment_required"
    return "paid" if invoice["status"] == "paid" else "unpaid"


def begin_subscription(sandbox: Sandbox, session: Thing, method: Thing, proven: bool) -> Thing:
    card = payment_methods.behaviour(method)
    if card.declines:
        raise card_error(card.declines)
    method["_authenticated"] = proven or method.get("_authenticated", False)
    payment_methods.attach(sandbox, method, session["customer"])
    items = [{"price": line["price"]["id"], "quantity": str(line["quantity"])} for line in session["_lines"]]
    wanted = {**session["_subscription"], "customer": session["customer"], "items": items}
    wanted["automatic_tax"] = {"enabled": session["automatic_tax"]["enabled"]}
    if session["discounts"]:
        wanted["discounts"] = [as_sent(source) for source in session["discounts"]]
    subscription = subscriptions.begin(sandbox, {**wanted, "default_payment_method": method["id"]})
    subscriptions.pay_first(sandbox, subscription, proven=True)
    return subscription


def as_sent(source: Thing) -> Params:
    """A session's discount as the API takes it."""
    named = {name: source[name] for name in ("promotion_code", "coupon") if source[name]}
    return dict([next(iter(named.items()))])


PAYING: dict[str, Callable[[Sandbox, Thing, Thing, bool], None]] = {
    "payment": pay_payment,
    "setup": pay_setup,
    "subscription": pay_subscription,
}


def complete(sandbox: Sandbox, session: Thing, payment_status: str) -> None:
    customer = sandbox.store.find("customer", session["customer"]) or {"email": session["customer_email"] or GUEST}
    details = {name: customer.get(name) for name in ("address", "email", "name", "phone", "tax_exempt")}
    session.update(
        status="complete",
        payment_status=payment_status,
        url=None,
        customer_details={**details, "business_name": None, "individual_name": None, "tax_ids": []},
    )
    sandbox.emit("checkout.session.completed", session)


def bank_answered(sandbox: Sandbox, intent: Thing) -> None:
    """The late answer of a bank debit."""
    session = sandbox.store.find("checkout.session", intent.get("_session"))
    if session is None or session["status"] != "complete" or session["payment_status"] == "paid":
        return
    if intent["status"] == "succeeded":
        session["payment_status"] = "paid"
        sandbox.emit("checkout.session.async_payment_succeeded", session)
        return
    sandbox.emit("checkout.session.async_payment_failed", session)


payment_intents.WHEN_PAID.append(bank_answered)
payment_intents.WHEN_FAILED.append(bank_answered)


def wants_authentication(sandbox: Sandbox, card: Card, saved: str | None) -> bool:
    method = sandbox.store.find("payment_method", saved) or {}
    return payment_intents.wants_authentication(card, method, proven=False)


def expire_session(sandbox: Sandbox, session: Thing) -> Thing:
    session.update(status="expired", url=None)
    sandbox.emit("checkout.session.expired", session)
    return session


@operation("POST", "/v1/checkout/sessions/{id}/expire")
def expire(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    session = sandbox.get("checkout.session", identity)
    if session["status"] != "open":
        message = f'Only Checkout Sessions with a status in ["open"] can be expired. This one is {session["status"]}.'
        raise unexpected_state(message, "checkout_session_not_open")
    return expire_session(sandbox, session)


@operation("GET", "/v1/checkout/sessions/{id}/line_items")
def line_items(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    lines = sandbox.get("checkout.session", identity)["_lines"]
    return page(lines, params, f"/v1/checkout/sessions/{identity}/line_items")


retrieve("checkout.session", "/v1/checkout/sessions")
relabel("checkout.session", "/v1/checkout/sessions")
listed("checkout.session", "/v1/checkout/sessions", "customer", "payment_intent", "subscription", "status")
