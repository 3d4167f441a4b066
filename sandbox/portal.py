"""The customer portal: cards added, removed, made the default; subscriptions cancelled and resumed; invoices."""

from typing import Any

from flask import Blueprint, Response, render_template, request

from sandbox import payment_methods, setup_intents, subscription_changes, subscriptions
from sandbox.api import publish
from sandbox.cards import CARDS, card_named
from sandbox.hosted import here, see
from sandbox.store import Thing
from sandbox.world import Sandbox

portal = Blueprint("portal", __name__)


def opened(identity: str) -> tuple[Thing, Thing]:
    """The portal session and its customer."""
    session = here().get("billing_portal.session", identity)
    return session, here().get("customer", session["customer"])


@portal.get("/portal/<identity>")
def show(identity: str) -> str:
    with here().lock:
        return page(*opened(identity))


def page(session: Thing, customer: Thing, error: str | None = None) -> str:
    store = here().store
    every = store.where("subscription", customer=customer["id"])
    return render_template(
        "portal.html",
        session=session,
        customer=customer,
        cards=CARDS,
        saved=store.where("payment_method", customer=customer["id"]),
        subscriptions=[one for one in every if one["status"] not in subscriptions.ENDED],
        invoices=store.where("invoice", customer=customer["id"]),
        error=error,
    )


def back(identity: str) -> Response:
    publish(here())
    return see(f"/portal/{identity}")


@portal.post("/portal/<identity>/cards")
def add_card(identity: str) -> Any:
    """`card` as in checkout; the new card becomes the default, for the subscriptions too."""
    with here().lock:
        session, customer = opened(identity)
        method = payment_methods.make_card(here(), card_named(request.form["card"]))
        setup = setup_intents.make_setup(here(), customer["id"])
        setup_intents.save_card(here(), setup, method, proven=True)
        if setup["last_setup_error"]:
            publish(here())
            return page(session, customer, setup["last_setup_error"]["message"]), 402
        make_default_everywhere(here(), customer, method)
        return back(identity)


def make_default_everywhere(sandbox: Sandbox, customer: Thing, method: Thing) -> None:
    payment_methods.make_default(sandbox, customer, method["id"])
    for subscription in sandbox.store.where("subscription", customer=customer["id"]):
        if subscription["status"] not in subscriptions.ENDED:
            sandbox.change(subscription, subscriptions.UPDATED, default_payment_method=method["id"])


@portal.post("/portal/<identity>/cards/<method>/<action>")
def change_card(identity: str, method: str, action: str) -> Response:
    """`remove` or `default`."""
    with here().lock:
        _, customer = opened(identity)
        card = here().get("payment_method", method)
        if action == "default":
            make_default_everywhere(here(), customer, card)
        else:
            payment_methods.detach(here(), {}, method)
        return back(identity)


@portal.post("/portal/<identity>/subscriptions/<subscription>/<action>")
def change_subscription(identity: str, subscription: str, action: str) -> Response:
    """`cancel` (at the period's end, which the portal names as a moment), `keep` (undo that), `cancel_now`."""
    with here().lock:
        opened(identity)
        if action == "cancel_now":
            subscriptions.cancel(here(), {}, subscription)
        else:
            end = subscriptions.current_end(here().get("subscription", subscription))
            wanted = {"cancel_at": str(end) if action == "cancel" else ""}
            subscription_changes.update(here(), wanted, subscription)
        return back(identity)
