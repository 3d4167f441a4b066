"""The first plans and packs of one's own, from four answers: what is sold, its price, the margin, the free tier."""

from dataclasses import dataclass

from sqlalchemy import select

from app.extensions import db
from app.models.base import NANOS_PER_CENT, NANOS_PER_CREDIT, share
from app.models.catalog.currency import rounded_price, step
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.setting import Setting
from app.models.catalog.worth import can_be_charged, currency, least_cents, unit_nanos, worth_of
from app.models.metering.refusal import PricingError

DOLLAR = 100 * NANOS_PER_CENT


@dataclass(frozen=True, slots=True)
class Answers:
    """`price_cents` a month, 0 for credits only; `free_credits` a month for who pays nothing."""

    name: str
    price_cents: int
    margin_bps: int
    free_credits: int


def write_offer(answers: Answers) -> tuple[Plan, Plan, list[CreditPack]]:
    """Write (free plan, paid plan, packs), and take everything else off sale: who has it keeps it. PricingError where
    a figure cannot be."""
    price = answers.price_cents or rounded_price(share(10 * DOLLAR, 1, unit_nanos()), currency())
    worth_of(price, 0, answers.margin_bps)
    if not can_be_charged(price):
        raise PricingError("Stripe cannot charge that price: it is too little, or no multiple of what it takes")
    # What is sold now works for those who have it and cannot be chosen any more; but for the default plan.
    for sold in (*db.session.scalars(select(Plan)), *db.session.scalars(select(CreditPack))):
        if sold.status == "active" and not getattr(sold, "is_default", False):
            sold.status = "legacy"
    Setting.put("brand_name", answers.name)
    Setting.put("default_margin", answers.margin_bps)
    free = Plan.default()
    free.allowance_override_nanos = answers.free_credits * NANOS_PER_CREDIT
    free.daily_limit_nanos, free.allows_packs = None, not answers.price_cents
    plan = free if not answers.price_cents else paid_plan(answers)
    unit = step(currency())
    small = max(price // 2 // unit * unit, least_cents())
    packs = [
        CreditPack(name=name, price_cents=cents, margin_bps=answers.margin_bps, position=position)
        for position, (name, cents) in enumerate((("Small pack", small), ("Large pack", price * 2)))
    ]
    db.session.add_all([plan, *packs])
    db.session.flush()
    return free, plan, packs


def paid_plan(answers: Answers) -> Plan:
    return Plan(
        name=answers.name,
        price_cents=answers.price_cents,
        margin_bps=answers.margin_bps,
        position=1,
        is_popular=True,
    )
