"""Purchases that Stripe has been paid for and of which the app has not heard, some of them refunded in part.

`python -m bench.purchases make EVENTS FILE` writes at least so many events of theirs, one body a line;
`... check` prints {"lost", "twice", "unexplained", "unfinished", "slowest_ms"} once they were delivered.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import requests
from flask import current_app
from sqlalchemy import func, select

from app import create_app
from app.extensions import db
from app.models.billing import audit
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.catalog.plan import CreditPack, Plan
from app.models.identity.account import Account
from app.models.operations.webhook_event import StripeEvent
from app.payments import checkout
from app.stripe_api import client
from tests.support import people

ACCOUNTS = 50
EVENTS_OF_THREE = 12
"""Of three purchases, one of them refunded: created, charged and succeeded, and what a refund tells."""

HOW = {
    "currency": "usd",
    "confirm": True,
    "payment_method": "pm_card_visa",
    "return_url": "http://127.0.0.1/",
}


def make(count: int, file: Path) -> None:
    plan = db.session.scalars(select(Plan).filter_by(name="Pay as you go")).one()
    accounts = [people.person(f"buyer{number}", plan=plan) for number in range(ACCOUNTS)]
    db.session.commit()
    customers = {account.id: checkout.customer_of(account.id) for account in accounts}
    pack = db.session.scalars(select(CreditPack).filter_by(price_cents=1000)).one()
    for number in range(3 * count // EVENTS_OF_THREE + 3):
        account = accounts[number % ACCOUNTS]
        buy(account, customers[account.id], pack, is_refunded=number % 3 == 0)
    file.write_bytes(b"\n".join(events()))


def buy(account: Account, customer: str, pack: CreditPack, *, is_refunded: bool) -> None:
    payment = Payment.of_pack("pack", account, pack.quote())
    labels, cents = payment.labels, payment.price_cents
    with client.asking() as v1:
        wanted: dict[str, Any] = {**HOW, "amount": cents, "customer": customer, "metadata": labels}
        paid = v1.payment_intents.create(wanted)
        if is_refunded:
            v1.refunds.create({"payment_intent": paid.id, "amount": cents // 4})


def events() -> list[bytes]:
    state = requests.get(f"{current_app.config['STRIPE_API_BASE']}/_sandbox/state", timeout=120).json()
    told = [one for one in state["objects"]["event"] if not one["type"].startswith(("customer.", "product", "price"))]
    return [json.dumps(one, separators=(",", ":")).encode() for one in told]


def check() -> dict[str, float]:
    """What the deliveries came to."""
    paid = Payment.kind == "pack"
    keys = Counter(db.session.scalars(select(LedgerEntry.payment_id).filter_by(kind="purchase")))
    refunds = Counter(db.session.scalars(select(LedgerEntry.payment_id).filter_by(kind="refund")))
    wanted = set(db.session.scalars(select(Payment.id).where(paid)))
    unfinished = select(func.count()).select_from(StripeEvent).where(StripeEvent.state != "done")
    return {
        "lost": len(wanted - keys.keys()) + max(0, (len(wanted) + 2) // 3 - len(refunds)),
        "twice": sum(count - 1 for count in [*keys.values(), *refunds.values()]),
        "unexplained": len(list(audit.audit())),
        "unfinished": db.session.scalar(unfinished) or 0,
    }


def main() -> None:
    with create_app().app_context():
        if sys.argv[1] == "make":
            make(int(sys.argv[2]), Path(sys.argv[3]))
        else:
            print(json.dumps(check()))


if __name__ == "__main__":
    main()
