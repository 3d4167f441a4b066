"""Requests to Stripe about promotional codes: coupons, promotion codes, the end of a checkout."""

from decimal import Decimal
from typing import Any

from app.models.catalog.promotion_code import PromotionCode
from app.stripe_api.client import asking

Params = dict[str, Any]


def make_coupon(code: PromotionCode, products: list[str], mark: str) -> str:
    """A coupon that takes off what the code does, from those products alone; its id."""
    wanted: Params = {"name": code.code, "duration": code.duration, "applies_to": {"products": products}}
    wanted["metadata"] = {"promotion_code_id": str(code.id)}
    if code.percent_bps:
        wanted["percent_off"] = float(Decimal(code.percent_bps) / 100)
    else:
        wanted |= {"amount_off": code.amount_cents, "currency": code.currency}
    if code.months:
        wanted["duration_in_months"] = code.months
    with asking() as v1:
        return str(v1.coupons.create(wanted, {"idempotency_key": f"coupon-{key(code, mark)}"}).id)


def make_promotion_code(code: PromotionCode, coupon_id: str, mark: str) -> str:
    wanted: Params = {"code": code.code, "promotion": {"type": "coupon", "coupon": coupon_id}}
    wanted["metadata"] = {"promotion_code_id": str(code.id)}
    with asking() as v1:
        return str(v1.promotion_codes.create(wanted, {"idempotency_key": f"promotion-{key(code, mark)}"}).id)


def key(code: PromotionCode, mark: str) -> str:
    """Of this row, of no other database's, and of these terms; anew where they come back after others."""
    return f"{code.id}-{int(code.created_at.timestamp() * 1000)}-{len(code.former_coupon_ids)}-{mark[:24]}"


def retire(promotion_code_id: str) -> None:
    """Nobody can type it at Stripe any more; the spelling is free again."""
    with asking() as v1:
        v1.promotion_codes.update(promotion_code_id, {"active": False})


def expire_session(session_id: str) -> None:
    """Nothing can be paid in that checkout anymore."""
    with asking() as v1:
        v1.checkout.sessions.expire(session_id)
