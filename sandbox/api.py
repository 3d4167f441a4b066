"""The HTTP door of the API: faults, idempotency keys, then the operation, answered in Stripe's JSON."""

import json
import logging
import socket
import time
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, Response, current_app, request

from sandbox import (  # noqa: F401  (each declares its operations)
    account,
    catalog,
    charges,
    checkout,
    credit_notes,
    customers,
    discounts,
    disputes,
    invoice_items,
    invoices,
    payment_intents,
    payment_methods,
    previews,
    refunds,
    schedules,
    setup_intents,
    subscription_changes,
    subscriptions,
    taxes,
)  # fmt: skip
from sandbox.errors import StripeError, invalid
from sandbox.faults import Fault
from sandbox.idempotency import Keys, is_kept
from sandbox.params import Params, parse_form
from sandbox.render import answer
from sandbox.routes import find
from sandbox.shapes import new_id
from sandbox.webhooks import Webhooks
from sandbox.world import API_VERSION, Sandbox

api = Blueprint("api", __name__)
BROKEN = StripeError(500, "api_error", "An unknown error occurred")
BUSY = StripeError(
    409, "invalid_request_error", "There is currently another in-progress request using this idempotent key.",
    code="idempotency_key_in_use",
)  # fmt: skip
LIMITED = StripeError(429, "invalid_request_error", "Too many requests hit the API too quickly.", code="rate_limit")
UNKNOWN_KEY = StripeError(401, "invalid_request_error", "You did not provide an API key.")
BEFORE = {"error_before": BROKEN, "conflict": BUSY, "rate_limit": LIMITED}
Answered = tuple[int, dict[str, Any]]


@api.route("/v1/<path:path>", methods=["GET", "POST", "DELETE"])
def call(path: str) -> Response:
    sandbox: Sandbox = current_app.extensions["sandbox"]
    fault = sandbox.faults.for_call(request.method, request.path)
    if fault and fault.fault == "slow":
        time.sleep(fault.seconds)
    if fault and fault.fault == "drop_before":
        return drop()
    if fault and fault.fault in BEFORE:
        refusal = BEFORE[fault.fault]
        return respond((refusal.status, refusal.body()))
    with sandbox.lock:
        answered, replayed = remembered(sandbox, fault)
    if fault and fault.fault == "drop_after":
        return drop()
    return respond(answered, replayed=replayed)


def drop() -> Response:
    """Ends the connection without a word."""
    request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return Response(status=500)


def remembered(sandbox: Sandbox, fault: Fault | None) -> tuple[Answered, bool]:
    """The answer, and whether it is that of an earlier request with the same key."""
    keys: Keys = current_app.extensions["keys"]
    name = request.headers.get("Idempotency-Key") if request.method == "POST" else None
    params = read_params()
    print_of = json.dumps([request.path, params], sort_keys=True)
    try:
        kept = keys.recall(name, print_of) if name else None
    except StripeError as error:
        return (error.status, error.body()), False
    if kept:
        return kept, True
    answered = execute(sandbox, params, name)
    if fault and fault.fault == "error_after":
        answered = (BROKEN.status, BROKEN.body())
    if name and is_kept(answered[0]):
        keys.keep(name, print_of, answered)
    return answered, False


def read_params() -> Params:
    body = request.get_data(as_text=True)
    sent = body if request.method == "POST" else request.query_string.decode()
    return parse_form(parse_qsl(sent, keep_blank_values=True))


def execute(sandbox: Sandbox, params: Params, key: str | None) -> Answered:
    sandbox.request = {"id": f"req_{new_id('event')[4:18]}", "idempotency_key": key}
    try:
        answered = 200, perform(sandbox, params)
    except StripeError as error:
        answered = error.status, error.body()
    publish(sandbox)
    return answered


def perform(sandbox: Sandbox, params: Params) -> dict[str, Any]:
    if not request.authorization:
        raise UNKNOWN_KEY
    matches = find(request.method, request.path)
    if matches is None:
        raise StripeError(404, "invalid_request_error", f"Unrecognized request URL ({request.method}: {request.path}).")
    paths = params.pop("expand", [])
    if not isinstance(paths, list):
        raise invalid("Invalid array", "expand")
    function, identities = matches
    return answer(sandbox, function(sandbox, params, *identities), paths)


def publish(sandbox: Sandbox) -> None:
    """After any change: the events go out, the state is kept."""
    webhooks: Webhooks = current_app.extensions["webhooks"]
    webhooks.announce(sandbox.take_events())
    sandbox.request = {"id": None, "idempotency_key": None}
    sandbox.store.save()


def respond(answered: Answered, *, replayed: bool = False) -> Response:
    status, body = answered
    response = Response(json.dumps(body), status, content_type="application/json")
    response.headers["Request-Id"] = f"req_{new_id('event')[4:18]}"
    response.headers["Stripe-Version"] = request.headers.get("Stripe-Version", API_VERSION)
    if request.headers.get("Idempotency-Key"):
        response.headers["Idempotency-Key"] = request.headers["Idempotency-Key"]
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@api.errorhandler(Exception)
def broken(error: Exception) -> Response:
    logging.getLogger("sandbox").error("The sandbox itself failed", exc_info=error)
    return respond((BROKEN.status, BROKEN.body()))
