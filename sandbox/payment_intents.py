"""Payment intents: what is asked of a card, and what came of it."""

from collections.abc import Callable
from typing import Any

from sandbox import charges, payment_methods
from sandbox.cards import FAILED_AUTHENTICATION, POOR, UNAUTHENTICATED, Card, Decline, card_error
from sandbox.errors import invalid, unexpected_state
from sandbox.money import check_chargeable
from sandbox.params import Params, flag, integer, merged_metadata, required, text
from sandbox.render import public
from sandbox.routes import listed, operation, retrieve
from sandbox.shapes import new_id
from sandbox.store import Thing
from sandbox.world import Sandbox

DAY = 86400
BANK_DEBIT_DAYS = 3
CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE = (*CONFIRMABLE, "requires_capture", "processing")
WHEN_PAID: list[Callable[[Sandbox, Thing], None]] = []
WHEN_FAILED: list[Callable[[Sandbox, Thing], None]] = []


def make_intent(sandbox: Sandbox, amount: int, currency: str, **fields: Any) -> Thing:
    intent = sandbox.make("payment_intent", amount=amount, currency=currency, **fields)
    intent["client_secret"] = f"{intent['id']}_secret_{new_id('payment_intent')[3:]}"
    sandbox.emit("payment_intent.created", intent)
    return intent


def charge_card(sandbox: Sandbox, intent: Thing, method: Thing, *, off_session: bool, proven: bool = False) -> None:
    """Tries the card; the intent's status says what came of it. `proven`: its owner has just authenticated."""
    card = payment_methods.behaviour(method)
    intent.update(payment_method=method["id"], last_payment_error=None, next_action=None)
    if wants_authentication(card, method, proven):
        ask_or_refuse(sandbox, intent, method, off_session)
        return
    decline = card.declines or (card.fails_later if off_session else None)
    if decline:
        refuse(sandbox, intent, method, decline)
        return
    keep_card(sandbox, intent, method, proven)
    if card.settles != "now":
        process(sandbox, intent, method)
        return
    charges.succeed(sandbox, intent, method)
    pay(sandbox, intent)


def wants_authentication(card: Card, method: Thing, proven: bool) -> bool:
    if proven or card.asks == "never":
        return False
    return card.asks == "always" or not method.get("_authenticated")


def ask_or_refuse(sandbox: Sandbox, intent: Thing, method: Thing, off_session: bool) -> None:
    if off_session and not intent.get("_invoice"):
        refuse(sandbox, intent, method, UNAUTHENTICATED)
        return
    page = f"{sandbox.base_url}/authenticate/{intent['id']}"
    action = {
        "type": "redirect_to_url",
        "redirect_to_url": {"return_url": intent.get("_return_url"), "url": page},
    }
    intent.update(status="requires_action", next_action=action)
    sandbox.emit("payment_intent.requires_action", intent)


def refuse(sandbox: Sandbox, intent: Thing, method: Thing, decline: Decline) -> None:
    charge = charges.fail(sandbox, intent, method, decline)
    error = card_error(decline).fields | {"charge": charge["id"], "payment_method": public(method)}
    changes = {"last_payment_error": error, "payment_method": None, "next_action": None}
    intent.update(status="requires_payment_method", _decline=vars(decline), **changes)
    sandbox.emit("payment_intent.payment_failed", intent)
    for react in WHEN_FAILED:
        react(sandbox, intent)


def keep_card(sandbox: Sandbox, intent: Thing, method: Thing, proven: bool) -> None:
    if proven:
        method["_authenticated"] = True
    if intent["setup_future_usage"] and intent["customer"]:
        payment_methods.attach(sandbox, method, intent["customer"])


def process(sandbox: Sandbox, intent: Thing, method: Thing) -> None:
    intent.update(status="processing", _settles_at=sandbox.now + BANK_DEBIT_DAYS * DAY)
    charges.make_charge(sandbox, intent, method, status="pending")
    sandbox.emit("payment_intent.processing", intent)


def settle(sandbox: Sandbox, intent: Thing, *, success: bool) -> None:
    """The bank's answer to a debit that was processing."""
    charge = sandbox.get("charge", intent["latest_charge"])
    intent.pop("_settles_at", None)
    if success:
        charges.complete(sandbox, charge)
        pay(sandbox, intent)
        return
    sandbox.store.remove("charge", charge["id"])
    refuse(sandbox, intent, sandbox.get("payment_method", intent["payment_method"]), POOR)


def pay(sandbox: Sandbox, intent: Thing) -> None:
    intent.update(status="succeeded", amount_received=intent["amount"], next_action=None)
    sandbox.emit("payment_intent.succeeded", intent)
    for react in WHEN_PAID:
        react(sandbox, intent)


def error_of(intent: Thing) -> Exception:
    """The 402 of an intent whose last try was declined."""
    decline = Decline(**intent["_decline"])
    told = {key: value for key, value in intent["last_payment_error"].items() if key in ("charge", "payment_method")}
    return card_error(decline, payment_intent=public(intent), **told)


@operation("POST", "/v1/payment_intents")
def create(sandbox: Sandbox, params: Params) -> Thing:
    currency, customer = required(params, "currency"), text(params, "customer")
    amount = checked_amount(params, currency)
    if customer:
        sandbox.get("customer", customer, "customer")
    automatic = {"allow_redirects": "always", "enabled": True}
    intent = make_intent(sandbox, amount, currency, customer=customer, automatic_payment_methods=automatic)
    update_fields(sandbox, intent, params)
    return confirm_intent(sandbox, intent, params) if flag(params, "confirm") else intent


def checked_amount(params: Params, currency: str) -> int:
    required(params, "amount")
    amount = integer(params, "amount") or 0
    check_chargeable(amount, currency)
    return amount


def update_fields(sandbox: Sandbox, intent: Thing, params: Params) -> None:
    for name in ("description", "receipt_email", "setup_future_usage", "statement_descriptor", "customer"):
        if name in params:
            intent[name] = text(params, name)
    intent["metadata"] = merged_metadata(intent["metadata"], params)
    if "amount" in params:
        intent["amount"] = checked_amount(params, intent["currency"])
    if "payment_method" in params:
        chosen = payment_methods.resolve(sandbox, params["payment_method"])
        intent.update(payment_method=chosen["id"], status="requires_confirmation")


@operation("POST", "/v1/payment_intents/{id}/confirm")
def confirm(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    intent = sandbox.get("payment_intent", identity)
    if intent["status"] not in CONFIRMABLE:
        raise wrong_state(intent, "confirm")
    update_fields(sandbox, intent, params)
    return confirm_intent(sandbox, intent, params)


def confirm_intent(sandbox: Sandbox, intent: Thing, params: Params) -> Thing:
    if intent["payment_method"] is None:
        raise unexpected_state(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            "payment_intent_unexpected_state",
            payment_intent=public(intent),
        )
    method = sandbox.get("payment_method", intent["payment_method"], "payment_method")
    check_owner(intent, method)
    intent["_return_url"] = text(params, "return_url")
    absent = params.get("off_session") not in (None, "false")
    charge_card(sandbox, intent, method, off_session=absent)
    if intent["status"] == "requires_action" and flag(params, "error_on_requires_action"):
        refuse(sandbox, intent, method, UNAUTHENTICATED)
    if intent["last_payment_error"]:
        raise error_of(intent)
    return intent


def check_owner(intent: Thing, method: Thing) -> None:
    owner = method["customer"]
    if owner and owner != intent["customer"]:
        message = "The PaymentMethod that you provided belongs to another Customer than the payment's."
        raise invalid(message, "payment_method")
    if method.get("_detached"):
        raise invalid("This payment method was detached and can not be used again.", "payment_method")


def wrong_state(intent: Thing, verb: str) -> Exception:
    message = f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}."
    return unexpected_state(message, "payment_intent_unexpected_state", payment_intent=public(intent))


def authenticate(sandbox: Sandbox, intent: Thing, *, success: bool) -> None:
    """The hosted page's answer: the owner has proven to be there, or has refused."""
    if intent["status"] != "requires_action":
        raise wrong_state(intent, "authenticate")
    method = sandbox.get("payment_method", intent["payment_method"])
    if success:
        charge_card(sandbox, intent, method, off_session=False, proven=True)
        return
    refuse(sandbox, intent, method, FAILED_AUTHENTICATION)


@operation("POST", "/v1/payment_intents/{id}/cancel")
def cancel(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    intent = sandbox.get("payment_intent", identity)
    if intent["status"] not in CANCELABLE:
        raise wrong_state(intent, "cancel")
    reason = text(params, "cancellation_reason")
    intent.update(status="canceled", canceled_at=sandbox.now, cancellation_reason=reason, next_action=None)
    sandbox.emit("payment_intent.canceled", intent)
    return intent


@operation("POST", "/v1/payment_intents/{id}")
def update(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    intent = sandbox.get("payment_intent", identity)
    if intent["status"] in ("canceled", "succeeded") and set(params) - {
        "metadata",
        "description",
        "receipt_email",
    }:
        raise wrong_state(intent, "update")
    update_fields(sandbox, intent, params)
    return intent


retrieve("payment_intent", "/v1/payment_intents")
listed("payment_intent", "/v1/payment_intents", "customer")
