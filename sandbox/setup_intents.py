"""Setup intents: a card saved for later, without a payment."""

from typing import Any

from sandbox import payment_methods
from sandbox.cards import FAILED_AUTHENTICATION, Decline, card_error
from sandbox.errors import unexpected_state
from sandbox.params import Params, flag, merged_metadata, text
from sandbox.render import public
from sandbox.routes import listed, operation, retrieve
from sandbox.shapes import new_id
from sandbox.store import Thing
from sandbox.world import Sandbox


def make_setup(sandbox: Sandbox, customer: str | None, **fields: Any) -> Thing:
    setup = sandbox.make("setup_intent", customer=customer, **fields)
    setup["client_secret"] = f"{setup['id']}_secret_{new_id('setup_intent')[5:]}"
    sandbox.emit("setup_intent.created", setup)
    return setup


def save_card(sandbox: Sandbox, setup: Thing, method: Thing, *, proven: bool = False) -> None:
    """The intent's status says what came of it, as with a payment."""
    card = payment_methods.behaviour(method)
    setup.update(payment_method=method["id"], last_setup_error=None, next_action=None)
    if card.asks != "never" and not proven:
        page = f"{sandbox.base_url}/authenticate/{setup['id']}"
        action = {
            "type": "redirect_to_url",
            "redirect_to_url": {"return_url": setup.get("_return_url"), "url": page},
        }
        setup.update(status="requires_action", next_action=action)
        sandbox.emit("setup_intent.requires_action", setup)
        return
    if card.declines:
        refuse(sandbox, setup, method, card.declines)
        return
    method["_authenticated"] = True
    if setup["customer"]:
        payment_methods.attach(sandbox, method, setup["customer"])
    setup.update(status="succeeded")
    sandbox.emit("setup_intent.succeeded", setup)


def refuse(sandbox: Sandbox, setup: Thing, method: Thing, decline: Decline) -> None:
    error = card_error(decline).fields | {"payment_method": public(method)}
    setup.update(status="requires_payment_method", payment_method=None, last_setup_error=error)
    sandbox.emit("setup_intent.setup_failed", setup)


def authenticate(sandbox: Sandbox, setup: Thing, *, success: bool) -> None:
    method = sandbox.get("payment_method", setup["payment_method"])
    if success:
        save_card(sandbox, setup, method, proven=True)
        return
    refuse(sandbox, setup, method, FAILED_AUTHENTICATION)


@operation("POST", "/v1/setup_intents")
def create(sandbox: Sandbox, params: Params) -> Thing:
    setup = make_setup(sandbox, text(params, "customer"), usage=text(params, "usage", "off_session"))
    setup["metadata"] = merged_metadata({}, params)
    if "payment_method" in params:
        method = payment_methods.resolve(sandbox, params["payment_method"])
        setup.update(status="requires_confirmation", payment_method=method["id"])
    return confirmed(sandbox, setup, params) if flag(params, "confirm") else setup


@operation("POST", "/v1/setup_intents/{id}/confirm")
def confirm(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    setup = sandbox.get("setup_intent", identity)
    if "payment_method" in params:
        setup["payment_method"] = payment_methods.resolve(sandbox, params["payment_method"])["id"]
    return confirmed(sandbox, setup, params)


def confirmed(sandbox: Sandbox, setup: Thing, params: Params) -> Thing:
    if setup["status"] in ("succeeded", "canceled") or not setup["payment_method"]:
        message = f"You cannot confirm this SetupIntent because it has a status of {setup['status']}."
        raise unexpected_state(message, "setup_intent_unexpected_state", setup_intent=public(setup))
    setup["_return_url"] = text(params, "return_url")
    save_card(sandbox, setup, sandbox.get("payment_method", setup["payment_method"]))
    if setup["last_setup_error"]:
        told = setup["last_setup_error"]
        raise card_error(Decline(told["code"], told["decline_code"], told["message"]), setup_intent=public(setup))
    return setup


@operation("POST", "/v1/setup_intents/{id}/cancel")
def cancel(sandbox: Sandbox, params: Params, identity: str) -> Thing:
    setup = sandbox.get("setup_intent", identity)
    setup.update(status="canceled", cancellation_reason=text(params, "cancellation_reason"), next_action=None)
    sandbox.emit("setup_intent.canceled", setup)
    return setup


retrieve("setup_intent", "/v1/setup_intents")
listed("setup_intent", "/v1/setup_intents", "customer")
