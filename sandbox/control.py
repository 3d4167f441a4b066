"""The developer's and the tests' own controls: `/_sandbox/...`, by JSON or by the dashboard's forms."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, redirect, request

from sandbox import (
    customers,
    disputes,
    passing_time,
    payment_intents,
    payment_methods,
    refunds,
    subscriptions,
)
from sandbox.account import add_endpoint
from sandbox.api import publish
from sandbox.cards import card_named
from sandbox.errors import StripeError, invalid, missing_param
from sandbox.hosted import show_error
from sandbox.params import Params, parse_form, whole
from sandbox.render import public
from sandbox.store import Thing
from sandbox.world import Sandbox

control = Blueprint("control", __name__, url_prefix="/_sandbox")
Action = Callable[[Sandbox, Params], Any]
ACTIONS: dict[str, Action] = {}


def action(function: Action) -> Action:
    ACTIONS[function.__name__] = function
    return function


@control.post("/<name>")
def act(name: str) -> Any:
    """Any of the actions below; a form is sent back to the page it came from."""
    sandbox: Sandbox = current_app.extensions["sandbox"]
    options = request.get_json() if request.is_json else parse_form(request.form.items())
    if name not in ACTIONS:
        return jsonify(error=f"no such action: {name}"), 404
    with sandbox.lock:
        made = ACTIONS[name](sandbox, options)
        publish(sandbox)
        shown = public(made)
    return jsonify(shown) if request.is_json else back()


@control.errorhandler(StripeError)
def refused(error: StripeError) -> Any:
    return (jsonify(error.body()), error.status) if request.is_json else show_error(error)


@control.errorhandler(KeyError)
def unsaid(error: KeyError) -> Any:
    """A wish without a field that its action needs."""
    return refused(missing_param(str(error.args[0])))


def back() -> Response:
    return redirect("/", 303)  # type: ignore[return-value]


@control.get("/state")
def state() -> Response:
    sandbox: Sandbox = current_app.extensions["sandbox"]
    with sandbox.lock:
        kinds = {kind: public(list(things.values())) for kind, things in sandbox.store.objects.items()}
        return jsonify(now=sandbox.now, idle=current_app.extensions["webhooks"].is_idle(), objects=kinds)


@action
def clock(sandbox: Sandbox, options: Params) -> Thing:
    """`{advance_seconds}` or `{to: seconds since 1970}` or `{to: "next_renewal"}`; `{now: ...}` sets it without
    playing what lies between. What falls due on the way happens, each at its own instant."""
    if "now" in options:
        sandbox.set_clock(int(options["now"]))
        return {"now": sandbox.now, "played": 0}
    if options.get("to") == "next_renewal":
        target = next_renewal(sandbox)
    else:
        target = int(options["to"]) if "to" in options else sandbox.now + int(options["advance_seconds"])
    played = passing_time.advance(sandbox, target)
    return {"now": sandbox.now, "played": played}


def next_renewal(sandbox: Sandbox) -> int:
    running = ("active", "trialing", "past_due")
    live = [one for one in sandbox.store.all("subscription") if one["status"] in running]
    return min((subscriptions.current_end(one) for one in live), default=sandbox.now)


@action
def faults(sandbox: Sandbox, options: Params) -> Thing:
    """One fault (see the README), `{"clear": true}`, or `{"release": true}` for held webhooks."""
    if options.get("clear"):
        sandbox.faults.clear()
        return {"cleared": True}
    if options.get("release"):
        return {"released": current_app.extensions["webhooks"].release()}
    numbers = {name: type_of(options[name]) for name, type_of in NUMBERS.items() if name in options}
    try:
        sandbox.faults.add({**options, **numbers})
    except (TypeError, ValueError) as error:
        raise invalid(str(error), "fault") from None
    return {"added": options}


NUMBERS: dict[str, Callable[[Any], Any]] = {"count": int, "skip": int, "seconds": float}


def charge_of(sandbox: Sandbox, options: Params) -> Thing:
    return refunds.charge_from(sandbox, options)


@action
def refund(sandbox: Sandbox, options: Params) -> Thing:
    """As from Stripe's dashboard: `{charge | payment_intent, amount?}`; `{refund, action: "fail"}`."""
    if options.get("action") == "fail":
        return refunds.fail(sandbox, sandbox.get("refund", options["refund"]))
    return refunds.create(sandbox, {name: str(value) for name, value in options.items() if value != ""})


@action
def dispute(sandbox: Sandbox, options: Params) -> Thing:
    """`{charge | payment_intent | dispute, action: open | inquiry | escalate | win | lose | reopen}`."""
    if options["action"] in ("open", "inquiry"):
        return disputes.open_dispute(sandbox, charge_of(sandbox, options), inquiry=options["action"] == "inquiry")
    matches = dispute_of(sandbox, options)
    if options["action"] in AFTERWARDS:
        return AFTERWARDS[options["action"]](sandbox, matches)
    return disputes.close(sandbox, matches, won=options["action"] == "win")


AFTERWARDS = {"reopen": disputes.reopen, "escalate": disputes.escalate}


def dispute_of(sandbox: Sandbox, options: Params) -> Thing:
    if "dispute" in options:
        return sandbox.get("dispute", options["dispute"])
    matches = sandbox.store.where("dispute", charge=charge_of(sandbox, options)["id"])
    if not matches:
        raise invalid("That charge has no dispute.", "charge")
    return matches[0]


@action
def subscription(sandbox: Sandbox, options: Params) -> Thing:
    """`{subscription, status}`: any status, with the event that tells of it."""
    matches = sandbox.get("subscription", options["subscription"])
    if options["status"] in subscriptions.ENDED:
        return subscriptions.end(sandbox, matches, options["status"])
    was = matches["status"]
    sandbox.change(matches, subscriptions.UPDATED, status=options["status"])
    if options["status"] == "paused":
        sandbox.emit("customer.subscription.paused", matches)
    if was == "paused" and options["status"] == "active":
        sandbox.emit("customer.subscription.resumed", matches)
    return matches


@action
def card(sandbox: Sandbox, options: Params) -> Thing:
    """`{payment_method, behaviour}`: what the card does from now on; `{payment_method, action: "update"}`: the bank
    has sent a new card with a later expiry; `"expire"`: it has run out and is declined."""
    method = sandbox.get("payment_method", options["payment_method"])
    if options.get("action") == "expire":
        method["_card"] = "expired"
        return sandbox.change(method, "payment_method.updated", card={**method["card"], "exp_year": 2020})
    if options.get("action") == "update":
        later = {**method["card"], "exp_year": method["card"]["exp_year"] + 4}
        return sandbox.change(method, "payment_method.automatically_updated", card=later)
    method["_card"] = card_named(options["behaviour"]).key
    return method


@action
def payment(sandbox: Sandbox, options: Params) -> Thing:
    """`{payment_intent, action: succeed | fail}` for a bank debit that is processing; `complete | refuse` for one
    that waits for its owner's authentication."""
    intent = sandbox.get("payment_intent", options["payment_intent"])
    if options["action"] in ("complete", "refuse"):
        payment_intents.authenticate(sandbox, intent, success=options["action"] == "complete")
    else:
        payment_intents.settle(sandbox, intent, success=options["action"] == "succeed")
    return intent


@action
def customer(sandbox: Sandbox, options: Params) -> Thing:
    """`{customer, action: "delete"}`."""
    return customers.delete(sandbox, {}, options["customer"])


@action
def method(sandbox: Sandbox, options: Params) -> Thing:
    """`{customer, card}`: saves a card and makes it the default."""
    made = payment_methods.make_card(sandbox, card_named(options["card"]))
    owner = sandbox.get("customer", options["customer"])
    payment_methods.attach(sandbox, made, owner["id"])
    payment_methods.make_default(sandbox, owner, made["id"])
    return made


@action
def invoice(sandbox: Sandbox, options: Params) -> Thing:
    """`{invoice, action: "fail_finalization"}`: only the event, for a case that taxes cause at Stripe."""
    matches = sandbox.get("invoice", options["invoice"])
    sandbox.emit("invoice.finalization_failed", matches)
    return matches


@action
def settings(sandbox: Sandbox, options: Params) -> Thing:
    """`{after_dunning: cancel | unpaid | past_due, tax_percent}`, either or both."""
    sandbox.after_dunning = options.get("after_dunning", sandbox.after_dunning)
    sandbox.tax_percent = whole(options, "tax_percent", sandbox.tax_percent)
    return {"after_dunning": sandbox.after_dunning, "tax_percent": sandbox.tax_percent}


@action
def endpoint(sandbox: Sandbox, options: Params) -> Thing:
    """`{url, secret}`: one more address for the webhooks."""
    return add_endpoint(sandbox, options["url"], options["secret"], ["*"])


@action
def resend(sandbox: Sandbox, options: Params) -> Thing:
    """`{event}` or `{delivery}`: sends it again."""
    webhooks = current_app.extensions["webhooks"]
    if "delivery" in options:
        matches = sandbox.get("delivery", options["delivery"])
        webhooks.resend(matches)
        return matches
    event = sandbox.get("event", options["event"])
    webhooks.announce([event])
    return event
