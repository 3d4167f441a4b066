"""The receipt of one call: buckets, prices, what the provider reported, and who paid; anybody can compute it again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.api.blueprint import amount, moment
from app.api.schemas import (
    COUNT,
    FLAG,
    MOMENT,
    TEXT,
    WHOLE,
    Schema,
    amounts,
    amounts_or_null,
    array,
    or_null,
    shape,
)
from app.extensions import db
from app.models.billing.rerating import CallCorrection
from app.models.catalog.image_price import ImagePrice
from app.models.catalog.price import ModelPrice
from app.models.catalog.rates import PIECES, TOKEN_BUCKETS, Rates
from app.models.chat.chat import Message
from app.models.metering.explanation import explain
from app.models.metering.usage import OUTCOMES, Usage
from app.web.formatting import explanation_text

PER = dict.fromkeys(TOKEN_BUCKETS, 1000000) | dict.fromkeys(PIECES, 1)
FORMULA = (
    "provider_cost_nanos = floor((sum over the token lines of quantity x price_nanos + 500000) / 1000000)"
    " + sum over images and searches of quantity x price_nanos;"
    " cost_nanos = allowance_paid_nanos + credits_paid_nanos = provider_cost_nanos - absorbed_nanos"
)
LINE = shape("ReceiptLine", bucket={"enum": [*PER]}, quantity=COUNT, price_nanos=or_null(COUNT), per=WHOLE)
PRICE = shape(
    "PriceInForce",
    id=TEXT,
    source=TEXT,
    service_tier=TEXT,
    effective_from=MOMENT,
    from_minute=WHOLE,
    until_minute=WHOLE,
    weekdays=TEXT,
    excepted_dates=array(TEXT),
    zone=TEXT,
    is_long_context=FLAG,
    long_context_above=or_null(WHOLE),
)
CORRECTION = shape(
    "Correction",
    corrected_at=MOMENT,
    reason=TEXT,
    lines=array(LINE),
    **amounts("paid_before", "right_cost", "returned", "absorbed"),
)
IMAGE_PRICE = shape(
    "FixedImagePrice", id=TEXT, quality=TEXT, size=TEXT, effective_from=MOMENT, **amounts("price")
)
EXPLANATION = shape(
    "Explanation",
    part={"enum": ["earlier", "input", "output"]},
    percent=COUNT,
    tokens=COUNT,
    text=TEXT,
    **amounts_or_null("new_chat_cost"),
) | {"description": "The part that cost the most; `earlier` is the conversation before, sent again."}
RECEIPT: Schema = shape(
    "Receipt",
    id=TEXT,
    chat_id=or_null(TEXT),
    message_id=or_null(TEXT),
    user_id=TEXT,
    operation=TEXT,
    model=TEXT,
    state={"enum": ["running", "settled", "released"]},
    outcome=or_null({"enum": [*OUTCOMES]}),
    started_at=MOMENT,
    settled_at=or_null(MOMENT),
    max_output_tokens=WHOLE,
    shortened_from=or_null(WHOLE)
    | {"description": "The output that was asked for, where balance or limits afforded less."},
    continues_call_id=or_null(TEXT),
    source={"enum": ["reported", "estimated", "none"]},
    estimated=FLAG,
    reported_by_gateway=FLAG,
    finish_reason=or_null(TEXT),
    answered_model=or_null(TEXT),
    service_tier=or_null(TEXT),
    billed_nanos=or_null(COUNT),
    unpriced_pieces=COUNT,
    left_out=COUNT,
    input_tokens=COUNT,
    output_tokens=COUNT,
    buckets=shape("Buckets", **dict.fromkeys(PER, COUNT)),
    lines=array(LINE),
    price=PRICE,
    corrections=array(CORRECTION),
    image_price=or_null(IMAGE_PRICE | {"description": "Of images: what each one that is delivered costs."}),
    raw_usage={"type": "object"},
    formula=TEXT,
    earlier_bps=COUNT
    | {"description": "The share of the input that was said before, in basis points, counted locally."},
    explanation=or_null(EXPLANATION),
    **amounts("cost", "provider_cost", "allowance_paid", "credits_paid", "absorbed", "ceiling"),
)


def shown_receipt(call: Usage) -> dict[str, Any]:
    """`cost` is what the user pays, `provider_cost` what the call came to; `absorbed` is the difference, ours."""
    message_id = db.session.scalar(select(Message.id).where(Message.call_id == Usage.last_of(call.id)))
    return {
        "id": str(call.id),
        "chat_id": call.chat_id and str(call.chat_id),
        "message_id": message_id and str(message_id),
        "user_id": str(call.user_id),
        "operation": call.operation,
        "model": call.model,
        "state": call.state,
        "outcome": call.outcome,
        "started_at": moment(call.created_at),
        "settled_at": moment(call.settled_at),
        "max_output_tokens": call.max_output_tokens,
        "shortened_from": call.shortened_from,
        "continues_call_id": call.continues_id and str(call.continues_id),
        **shown_usage(call),
        "lines": lines_of(call),
        "price": shown_price(call.price, call.input_tokens),
        "corrections": corrections_of(call),
        "image_price": shown_image_price(call.image_price),
        "formula": FORMULA,
        "earlier_bps": call.earlier_bps,
        "explanation": shown_explanation(call),
        **shown_payment(call),
    }


def shown_explanation(call: Usage) -> dict[str, Any] | None:
    why = explain(call)
    if why is None:
        return None
    figures = {"part": why.part, "percent": why.percent, "tokens": why.tokens, "text": explanation_text(why)}
    return figures | amount("new_chat_cost", why.new_chat_nanos)


def shown_usage(call: Usage) -> dict[str, Any]:
    return {
        "source": call.source,
        "estimated": call.is_estimated,
        "reported_by_gateway": call.is_via_gateway and call.source == "reported",
        "finish_reason": call.finish_reason,
        "answered_model": call.answered_model,
        "service_tier": call.service_tier,
        "billed_nanos": call.billed_nanos,
        "unpriced_pieces": call.unpriced_pieces,
        "left_out": call.left_out,
        "input_tokens": call.input_tokens,
        "output_tokens": call.output,
        "buckets": {bucket: getattr(call, bucket) for bucket in PER},
        "raw_usage": call.raw,
    }


def shown_payment(call: Usage) -> dict[str, Any]:
    return {
        **amount("cost", call.paid_nanos),
        **amount("provider_cost", call.cost_nanos),
        **amount("allowance_paid", call.allowance_paid_nanos),
        **amount("credits_paid", call.credits_paid_nanos),
        **amount("absorbed", call.absorbed_nanos),
        **amount("ceiling", call.reserved_nanos),
    }


def corrections_of(call: Usage) -> list[dict[str, Any]]:
    """Where the price was wrong: the call at the right one, and what came back to its account."""
    return [
        {
            "corrected_at": moment(correction.created_at),
            "reason": rerating.reason,
            "lines": lines_of(call, rerating.rates),
            **amount("paid_before", correction.paid_nanos),
            **amount("right_cost", correction.cost_nanos),
            **amount("returned", correction.returned_nanos),
            **amount("absorbed", correction.absorbed_nanos),
        }
        for correction, rerating in CallCorrection.of_call(call.id)
    ]


def lines_of(call: Usage, rates: Rates | None = None) -> list[dict[str, Any]]:
    """Each bucket that is charged, with its price: nano-dollars for `per` of it. At its own rates, or at others."""
    prices = (rates or call.rates).prices_for(call.input_tokens)
    return [
        {"bucket": bucket, "quantity": getattr(call, bucket), "price_nanos": prices[bucket], "per": per}
        for bucket, per in PER.items()
        if getattr(call, bucket) and bucket in prices
    ]


def shown_image_price(price: ImagePrice | None) -> dict[str, Any] | None:
    if price is None:
        return None
    begins = moment(price.effective_from)
    named = {"id": str(price.id), "quality": price.quality, "size": price.size, "effective_from": begins}
    return {**named, **amount("price", price.price_nanos)}


def shown_price(price: ModelPrice, input_tokens: int) -> dict[str, Any]:
    above = price.long_context_above
    return {
        "id": str(price.id),
        "source": price.source,
        "service_tier": price.tier,
        "effective_from": moment(price.effective_from),
        "from_minute": price.from_minute,
        "until_minute": price.until_minute,
        "weekdays": price.weekdays,
        "excepted_dates": price.excepted_dates.split(),
        "zone": price.zone,
        "long_context_above": above,
        "is_long_context": above is not None and input_tokens > above,
    }
