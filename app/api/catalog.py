"""What is on offer over JSON: models with their prices, plans, packs."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask_login import current_user

from app.api.blueprint import answer_of, api, page_in
from app.api.schemas import (
    CREDITS,
    FLAG,
    MOMENT,
    PAGING,
    TEXT,
    WHOLE,
    amounts,
    amounts_or_null,
    array,
    described,
    or_null,
    page,
    shape,
)
from app.models.base import credits_string, iso, utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.pack_tier import PackTier
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.price import ModelPrice
from app.models.catalog.price_ahead import PriceAhead, prices_ahead
from app.models.catalog.quote import Quote
from app.models.catalog.setting import Setting
from app.models.catalog.worth import tax_behavior
from app.web.plan_features import selling_points

AHEAD = timedelta(days=366)
"""How far ahead a price to come is shown."""

NEXT_PRICE = shape(
    "NextPrice",
    effective_from=MOMENT,
    input_credits_per_mtok=CREDITS,
    output_credits_per_mtok=CREDITS,
    cache_read_credits_per_mtok=CREDITS,
)
MODEL = shape(
    "Model",
    id=TEXT,
    provider=TEXT,
    name=TEXT,
    input_credits_per_mtok=CREDITS,
    output_credits_per_mtok=CREDITS,
    cache_read_credits_per_mtok=CREDITS,
    context_window=WHOLE,
    max_input_tokens=or_null(WHOLE),
    max_output_tokens=WHOLE,
    sold_until=or_null(MOMENT),
    successor=or_null(TEXT),
    next_price=or_null(NEXT_PRICE),
    is_reasoning=FLAG,
    takes_images=FLAG,
    speed={"enum": ["fast", "medium", "slow"]},
    is_in_plan=FLAG,
)
PLAN = shape(
    "Plan",
    id=TEXT,
    name=TEXT,
    description=TEXT,
    price_cents=WHOLE,
    currency=TEXT,
    interval={"enum": ["month", "year"]},
    sale_price_cents=or_null(WHOLE),
    sale_ends_at=or_null(MOMENT),
    tax_behavior=or_null({"enum": ["exclusive", "inclusive"]}),
    trial_days=WHOLE,
    models=array(TEXT),
    chats_per_month=or_null(WHOLE),
    documents=or_null(WHOLE),
    images_per_month=or_null(WHOLE),
    parallel_calls=or_null(WHOLE),
    has_api=FLAG,
    allows_packs=FLAG,
    has_priority_support=FLAG,
    has_custom_branding=FLAG,
    is_popular=FLAG,
    bullets=array(TEXT),
    features=array(TEXT) | {"description": "What the plan includes, as sentences."},
    credits_per_dollar=CREDITS,
    **amounts("allowance"),
    window_hours=or_null(WHOLE),
    **amounts_or_null("daily_limit", "window_limit"),
)
TIER = shape("PackTier", from_quantity=WHOLE, credits_per_dollar=CREDITS)
PACK = shape(
    "Pack",
    id=TEXT,
    name=TEXT,
    description=TEXT,
    price_cents=WHOLE,
    currency=TEXT,
    credits_per_dollar=CREDITS,
    is_any_amount=FLAG,
    lowest_cents=or_null(WHOLE),
    highest_cents=or_null(WHOLE),
    tax_behavior=or_null({"enum": ["exclusive", "inclusive"]}),
    tiers=array(TIER),
    **amounts("worth"),
)


@api.get("/models")
@described("List the models for sale, with prices in credits per million tokens", page(MODEL), query=PAGING)
def list_models() -> dict[str, Any]:
    allowed = current_user.account.plan.models
    now = utcnow()
    ahead = {change.model.id: change for change in prices_ahead(now, AHEAD)}
    offered = [shown_model(model, price, allowed, ahead.get(model.id)) for model, price in AIModel.for_sale(now)]
    return page_in(offered)


@api.get("/plans")
@described("List the plans on sale", page(PLAN), query=PAGING)
def list_plans() -> dict[str, Any]:
    return page_in([shown_plan(plan) for plan in Plan.on_offer()])


@api.get("/packs")
@described("List the credit packs on sale", page(PACK), query=PAGING)
def list_packs() -> dict[str, Any]:
    return page_in([shown_pack(pack) for pack in CreditPack.on_offer()])


def shown_price(price: ModelPrice) -> dict[str, str]:
    return {
        "input_credits_per_mtok": credits_string(price.uncached_input_nanos),
        "output_credits_per_mtok": credits_string(price.output_nanos),
        "cache_read_credits_per_mtok": credits_string(price.cache_read_nanos),
    }


def shown_model(model: AIModel, price: ModelPrice, allowed: list[str], change: PriceAhead | None) -> dict[str, Any]:
    return answer_of(
        MODEL,
        model,
        id=model.name,
        name=model.title,
        provider=model.provider.name,
        next_price={"effective_from": iso(change.begins), **shown_price(change.then)} if change else None,
        is_in_plan=not allowed or model.name in allowed,
        **shown_price(price),
    )


def shown_plan(plan: Plan) -> dict[str, Any]:
    """The allowance is one month's, whatever the interval."""
    return answer_of(
        PLAN,
        plan,
        sale_price_cents=plan.sale_price_cents if plan.is_on_sale else None,
        sale_ends_at=plan.sale_ends_at if plan.is_on_sale else None,
        tax_behavior=tax_behavior(),
        features=selling_points(plan),
        credits_per_dollar=credits_per(plan),
    )


def shown_pack(pack: CreditPack) -> dict[str, Any]:
    bounds = {
        f"{name}_cents": Setting.get(f"any_amount_{name}") if pack.is_any_amount else None
        for name in ("lowest", "highest")
    }
    tiers = [shown_tier(pack, tier) for tier in pack.tiers]
    worth = {"tax_behavior": tax_behavior(), "credits_per_dollar": credits_per(pack)}
    return answer_of(PACK, pack, tiers=tiers, **bounds, **worth)


def shown_tier(pack: CreditPack, tier: PackTier) -> dict[str, Any]:
    return {"from_quantity": tier.from_quantity, "credits_per_dollar": credits_per(pack.quote(tier.from_quantity))}


def credits_per(sold: Plan | CreditPack | Quote) -> str:
    """Credits for each unit of its currency, to six places."""
    return f"{sold.credits_per_dollar.quantize(Decimal('0.000001')).normalize():f}"
