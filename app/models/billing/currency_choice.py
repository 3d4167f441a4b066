"""The currency of the installation: chosen before the first sale, and then fixed. billing-rules.md 12."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import exists, select

from app.extensions import db
from app.models.base import NANOS_PER_CENT, share
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.payment import Payment
from app.models.billing.subscription import Subscription
from app.models.catalog.currency import decimals, rounded_price, step
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.promotion_code import PromotionCode
from app.models.catalog.setting import Setting
from app.models.catalog.worth import currency, least_cents, unit_nanos
from app.models.metering.refusal import InvalidRequest

MONEY: dict[type[Any], Sequence[str]] = {
    Plan: ("price_cents", "surcharge_cents", "sale_price_cents"),
    CreditPack: ("price_cents",),
    PromotionCode: ("amount_cents",),
}
SETTINGS = ("any_amount_lowest", "any_amount_highest", "payment_fee_cents")


def fault_of(code: str, rate_nanos: int) -> dict[str, list[str]]:
    """Why the installation cannot sell in that currency at that rate, by setting; empty where it can."""
    if code != Setting.get("currency") and is_sold():
        return {"currency": ["is fixed: something was sold, or a checkout has begun. Start another installation."]}
    if code == "usd" and rate_nanos != 100 * NANOS_PER_CENT:
        return {"currency_rate": ["is 1: a dollar is worth a dollar."]}
    if rate_nanos % 10 ** decimals(code):
        return {"currency_rate": [f"has at most {9 - decimals(code)} decimals."]}
    return {}


def is_sold() -> bool:
    """Whether anything was sold or is being bought; what was has its currency for ever."""
    return bool(db.session.scalar(select(exists().select_from(Payment) | exists().select_from(Subscription))))


def choose_currency(code: str, rate_nanos: int) -> None:
    """Sell in it from now on; another one converts every price at both rates, to two figures. InvalidRequest."""
    if fault := fault_of(code, rate_nanos):
        raise InvalidRequest(fault)
    chosen = {"currency": code, "currency_rate": rate_nanos}
    before, after = unit_nanos(), rate_nanos // 10 ** decimals(code)
    changed = {key: value for key, value in chosen.items() if value != Setting.get(key)}
    amounts = {key: Setting.get(key) for key in SETTINGS if "currency" in changed}
    for key, value in changed.items():
        Setting.put(key, value)
    if "currency" not in changed:
        return

    def converted(cents: int | None) -> int | None:
        return None if cents is None else rounded_price(share(cents, before, after), code)

    for key, cents in amounts.items():
        Setting.put(key, converted(cents))
    for table, columns in MONEY.items():
        for row in db.session.scalars(select(table)):
            row.currency = code
            for column in columns:
                setattr(row, column, converted(getattr(row, column)))
    for recharge in db.session.scalars(select(AutoRecharge)):
        most = recharge.monthly_max_cents * before // after
        recharge.monthly_max_cents = most - most % step(code)  # never more than its owner allowed
    raise_prices()
    db.session.flush()
    Setting.forget()


def raise_prices() -> None:
    """What came out below the least that Stripe charges costs that; a sale that is none any more ends."""
    unit = step(currency())
    least = -(-least_cents() // unit) * unit
    for sold in (*db.session.scalars(select(Plan)), *db.session.scalars(select(CreditPack))):
        sold.price_cents = max(sold.price_cents, least) if sold.price_cents else 0
        if isinstance(sold, Plan) and sold.sale_price_cents is not None:
            sold.sale_price_cents = max(sold.sale_price_cents, least)
            if sold.sale_price_cents >= sold.price_cents:
                sold.sale_price_cents = sold.sale_ends_at = None
