"""The webhooks that an account is sent: addresses, secrets shown once, what was sent, and "send again"."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.extensions import db
from app.models.identity.account import Account
from app.models.operations.outgoing_webhook import EVENTS, WebhookDelivery, WebhookEndpoint
from app.web.access import managers_only
from app.web.blueprints import billing
from app.web.rate_limits import by_person
from app.web.shown_once import keep_to_show, shown_once


@billing.get("/webhooks")
@managers_only
def outgoing_webhooks() -> str:
    endpoints = WebhookEndpoint.of(current_user.account_id)
    return render_template("billing/webhooks.html", endpoints=endpoints, events=EVENTS, new_secret=shown_once())


@billing.post("/webhooks")
@managers_only
@by_person("30 per hour")
def add_webhook() -> ResponseReturnValue:
    Account.locked(current_user.account_id)
    _endpoint, secret = WebhookEndpoint.make(current_user.account_id, request.form.get("url", ""))
    keep_to_show(secret)
    return back("The endpoint has a new secret.")


@billing.post("/webhooks/<endpoint_id>/rotate")
@managers_only
def rotate_webhook(endpoint_id: str) -> ResponseReturnValue:
    secret = own_endpoint(endpoint_id).rotate()
    keep_to_show(secret)
    return back("The endpoint has a new secret.")


@billing.post("/webhooks/<endpoint_id>/remove")
@managers_only
def remove_webhook(endpoint_id: str) -> ResponseReturnValue:
    own_endpoint(endpoint_id).remove()
    return back("The endpoint is removed. Nothing more is sent to it.")


@billing.post("/webhooks/deliveries/<delivery_id>/again")
@managers_only
@by_person("60 per hour")
def send_webhook_again(delivery_id: str) -> ResponseReturnValue:
    delivery = WebhookDelivery.of_account(current_user.account_id, delivery_id) or abort(404)
    delivery.again()
    return back("It will be sent again within seconds.")


def own_endpoint(endpoint_id: str) -> WebhookEndpoint:
    endpoint = WebhookEndpoint.find(endpoint_id, account_id=current_user.account_id, removed_at=None)
    return endpoint or abort(404)


def back(text: str) -> ResponseReturnValue:
    db.session.commit()
    flash(text, "good")
    return redirect(url_for("billing.outgoing_webhooks"), 303)
