"""The fields that each object of Stripe's has, with what they hold when nothing was said (`shapes/*.json`)."""

import copy
import json
import secrets
import string
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "shapes"
ALPHABET = string.ascii_letters + string.digits
PREFIXES = {
    "customer": "cus_",
    "product": "prod_",
    "price": "price_",
    "payment_method": "pm_",
    "payment_intent": "pi_",
    "setup_intent": "seti_",
    "charge": "ch_",
    "refund": "re_",
    "dispute": "du_",
    "checkout.session": "cs_test_",
    "item": "li_",
    "subscription": "sub_",
    "subscription_item": "si_",
    "subscription_schedule": "sub_sched_",
    "invoice": "in_",
    "line_item": "il_",
    "invoiceitem": "ii_",
    "coupon": "co_",
    "promotion_code": "promo_",
    "customer_balance_transaction": "cbtxn_",
    "discount": "di_",
    "invoice_payment": "inpay_",
    "credit_note": "cn_",
    "billing_portal.session": "bps_",
    "billing_portal.configuration": "bpc_",
    "event": "evt_",
    "webhook_endpoint": "we_",
    "balance_transaction": "txn_",
    "tax.calculation": "taxcalc_",
    "delivery": "dlv_",
}


@cache
def shape(kind: str) -> dict[str, Any]:
    matches: dict[str, Any] = json.loads((FOLDER / f"{kind}.json").read_text())
    return matches


def blank(kind: str) -> dict[str, Any]:
    return copy.deepcopy(shape(kind))


def new_id(kind: str) -> str:
    return PREFIXES[kind] + "".join(secrets.choice(ALPHABET) for _ in range(24))


def kind_of(identity: str) -> str | None:
    """`cus_123` -> `customer`; the longest prefix that fits."""
    fitting = [kind for kind, prefix in PREFIXES.items() if identity.startswith(prefix)]
    return max(fitting, key=lambda kind: len(PREFIXES[kind]), default=None)


def listing(things: list[dict[str, Any]], url: str, has_more: bool = False) -> dict[str, Any]:
    return {"object": "list", "data": things, "has_more": has_more, "url": url}
