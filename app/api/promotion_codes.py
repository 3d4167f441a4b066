"""Promotional codes over JSON: what one gives, and a gift redeemed."""

from decimal import Decimal
from typing import Any

from flask_login import current_user

from app.api.blueprint import answer_of, api
from app.api.bodies import Body, Code
from app.api.schemas import FLAG, MOMENT, TEXT, WHOLE, amounts_or_null, array, described, or_null, shape
from app.models.catalog.plan import Plan
from app.models.catalog.promotion_code import PromotionCode
from app.payments import promotion_codes
from app.web.access import for_scope, managers_only
from app.web.checkout_limits import wrong_codes

CODE = shape(
    "PromotionCode",
    code=TEXT,
    kind={"enum": ["discount", "bonus", "gift"]},
    percent=or_null(TEXT),
    amount_cents=or_null(WHOLE),
    currency=TEXT,
    duration={"enum": ["once", "repeating", "forever"]},
    months=or_null(WHOLE),
    plan_ids=array(TEXT),
    pack_ids=array(TEXT),
    first_purchase_only=FLAG,
    ends_at=or_null(MOMENT),
    **amounts_or_null("gift"),
)


class CodeBody(Body):
    code: Code


@api.get("/codes/<code>")
@managers_only
@wrong_codes
@described("Get what a promotional code gives and what it applies to", CODE)
def read_code(code: str) -> dict[str, Any]:
    return shown_code(promotion_codes.open_code(code))


@api.post("/codes")
@for_scope("buy")
@managers_only
@wrong_codes
@described("Redeem a gift code; use discount and bonus codes with a purchase", CODE, body=CodeBody)
def redeem_code() -> dict[str, Any]:
    return shown_code(promotion_codes.redeem_gift(current_user, CodeBody.read().code))


def plain(basis_points: int) -> str:
    """Percent as a decimal string: 12.5."""
    return f"{(Decimal(basis_points) / 100).normalize():f}"


def shown_code(code: PromotionCode) -> dict[str, Any]:
    """With the plans and packs that it can be used for now."""
    sold = code.sold_with()
    return answer_of(
        CODE,
        code,
        percent=plain(code.percent_bps) if code.percent_bps else None,
        plan_ids=[str(one.id) for one in sold if isinstance(one, Plan)],
        pack_ids=[str(one.id) for one in sold if not isinstance(one, Plan)],
    )
