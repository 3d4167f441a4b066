"""The sandbox's own page: the clock, what there is, and buttons for what happens at Stripe and the banks."""

from datetime import UTC, datetime

from flask import Blueprint, current_app, render_template

from sandbox.cards import CARDS
from sandbox.world import Sandbox

dashboard = Blueprint("dashboard", __name__)
SHOWN = 25


@dashboard.app_template_filter("instant")
def instant(seconds: int | None) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %b %Y %H:%M:%S") if seconds else "-"


@dashboard.get("/")
def show() -> str:
    sandbox: Sandbox = current_app.extensions["sandbox"]
    with sandbox.lock:
        store = sandbox.store
        return render_template(
            "dashboard.html",
            now=sandbox.now,
            customers=store.all("customer")[:SHOWN],
            subscriptions=store.all("subscription")[:SHOWN],
            charges=store.all("charge")[:SHOWN],
            refunds=store.all("refund")[:SHOWN],
            disputes=store.all("dispute")[:SHOWN],
            cards=store.all("payment_method")[:SHOWN],
            deliveries=store.all("delivery")[:SHOWN],
            processing=store.where("payment_intent", status="processing"),
            behaviours=CARDS,
        )
