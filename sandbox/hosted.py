"""The pages that a customer sees at Stripe's: checkout, authentication, an invoice, a receipt."""

from typing import Any

from flask import Blueprint, Response, current_app, redirect, render_template, request

from sandbox import checkout, invoices, payment_intents, payment_methods, setup_intents
from sandbox.api import publish
from sandbox.cards import CARDS, Card, card_named
from sandbox.errors import StripeError
from sandbox.money import money
from sandbox.store import Thing
from sandbox.world import Sandbox

hosted = Blueprint("hosted", __name__)
PAID = "This page is no longer open."


def here() -> Sandbox:
    matches: Sandbox = current_app.extensions["sandbox"]
    return matches


hosted.add_app_template_filter(money)


def see(url: str) -> Response:
    return redirect(url, 303)  # type: ignore[return-value]


@hosted.get("/checkout/<identity>")
def show_checkout(identity: str) -> str | tuple[str, int]:
    with here().lock:
        return checkout_page(here().get("checkout.session", identity))


def checkout_page(session: Thing, error: str | None = None) -> str | tuple[str, int]:
    saved = [] if session["customer"] is None else here().store.where("payment_method", customer=session["customer"])
    page = render_template("checkout.html", session=session, cards=CARDS, saved=saved, error=error)
    return (page, 402) if error else page


@hosted.post("/checkout/<identity>/pay")
def pay_checkout(identity: str) -> Any:
    """`card`: a key, number or token of `cards.py`; or `payment_method`: a saved card of this customer."""
    sandbox = here()
    with sandbox.lock:
        session, saved = sandbox.get("checkout.session", identity), request.form.get("payment_method")
        card = chosen_card(sandbox, saved)
        if checkout.wants_authentication(sandbox, card, saved) and session["status"] == "open":
            return see(f"/checkout/{identity}/authenticate?card={card.key}&payment_method={saved or ''}")
        return paid(sandbox, session, card, saved, proven=False)


def chosen_card(sandbox: Sandbox, saved: str | None) -> Card:
    if saved:
        return payment_methods.behaviour(sandbox.get("payment_method", saved))
    return card_named(request.form.get("card") or request.form.get("number") or "")


def paid(sandbox: Sandbox, session: Thing, card: Card, saved: str | None, *, proven: bool) -> Any:
    try:
        checkout.pay(sandbox, session, card, saved, proven=proven)
    except checkout.Declined as refusal:
        publish(sandbox)
        return checkout_page(sandbox.get("checkout.session", session["id"]), str(refusal))
    publish(sandbox)
    return see(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]))


@hosted.get("/checkout/<identity>/authenticate")
def ask_checkout(identity: str) -> str:
    session = here().get("checkout.session", identity)
    card = card_named(request.args.get("card", ""))
    action = f"/checkout/{identity}/authenticate"
    saved = request.args.get("payment_method", "")
    return render_template(
        "authenticate.html", action=action, amount=session["amount_total"], card=card.key, saved=saved
    )


@hosted.post("/checkout/<identity>/authenticate")
def answer_checkout(identity: str) -> Any:
    """`outcome`: complete or fail; `card` and `payment_method` as on the page before."""
    sandbox = here()
    with sandbox.lock:
        session = sandbox.get("checkout.session", identity)
        if request.form["outcome"] != "complete":
            return checkout_page(session, "We are unable to authenticate your payment method.")
        saved = request.form.get("payment_method")
        return paid(sandbox, session, card_named(request.form["card"]), saved, proven=True)


@hosted.get("/authenticate/<identity>")
def ask_intent(identity: str) -> str:
    intent = find_intent(identity)
    return render_template("authenticate.html", action=request.path, amount=intent.get("amount"), card="")


def find_intent(identity: str) -> Thing:
    return here().get("setup_intent" if identity.startswith("seti_") else "payment_intent", identity)


@hosted.post("/authenticate/<identity>")
def answer_intent(identity: str) -> Any:
    """`outcome`: complete or fail; then back to the intent's return_url, or to a page that says what happened."""
    sandbox = here()
    with sandbox.lock:
        intent = find_intent(identity)
        answering = setup_intents if intent["object"] == "setup_intent" else payment_intents
        answering.authenticate(sandbox, intent, success=request.form["outcome"] == "complete")
        publish(sandbox)
        if intent.get("_return_url"):
            return see(intent["_return_url"])
        return render_template("done.html", title=f"Authentication: {intent['status'].replace('_', ' ')}")


@hosted.get("/invoice/<identity>")
def show_invoice(identity: str) -> str:
    return invoice_page(here().get("invoice", identity))


def invoice_page(invoice: Thing, error: str | None = None) -> str:
    return render_template("invoice.html", invoice=invoice, cards=CARDS, error=error)


@hosted.post("/invoice/<identity>/pay")
def pay_invoice(identity: str) -> Any:
    """`card` as in checkout: pays an open invoice, and keeps the card for the subscription."""
    sandbox = here()
    with sandbox.lock:
        invoice = sandbox.get("invoice", identity)
        method = payment_methods.make_card(sandbox, card_named(request.form["card"]))
        invoices.attempt(sandbox, invoice, method, off_session=False, proven=request.form.get("outcome") == "complete")
        if invoice["status"] == "paid":
            subscription = invoices.subscription_of(sandbox, invoice)
            changed = "customer.subscription.updated"
            sandbox.change(subscription, changed, default_payment_method=method["id"])
        publish(sandbox)
        return see(invoice["hosted_invoice_url"]) if invoice["status"] == "paid" else unpaid(sandbox, invoice)


def unpaid(sandbox: Sandbox, invoice: Thing) -> Any:
    intent = invoices.intent_for(sandbox, invoice)
    if intent["status"] == "requires_action":
        return see(f"/authenticate/{intent['id']}")
    return invoice_page(invoice, intent["last_payment_error"]["message"]), 402


@hosted.get("/invoice/<identity>/pdf")
def invoice_document(identity: str) -> str:
    return show_invoice(identity)


@hosted.get("/receipts/<identity>")
def receipt(identity: str) -> str:
    charge = here().get("charge", identity)
    return render_template("done.html", title=f"Receipt: {money(charge['amount'], charge['currency'])} paid")


@hosted.app_errorhandler(StripeError)
def show_error(error: StripeError) -> tuple[str, int]:
    return render_template("done.html", title=str(error)), error.status
