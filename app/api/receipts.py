"""The receipt of a call: buckets, prices, the provider's report and who paid; anyone can compute it again."""

from typing import Any

from sqlalchemy import select

from app.api.blueprint import answer_of
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
from app.models.catalog.price import ModelPrice
from app.models.chat.chat import Message
from app.models.metering.cost_explanation import explain
from app.models.metering.usage import OUTCOMES, PER, Usage
from app.web.formatting import explanation_text

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
IMAGE_PRICE = shape("FixedImagePrice", id=TEXT, quality=TEXT, size=TEXT, effective_from=MOMENT, **amounts("price"))
EXPLANATION = shape(
    "Explanation",
    part={"enum": ["earlier", "input", "output"]},
    percent=COUNT,
    tokens=COUNT,
    text=TEXT,
    **amounts_or_null("new_chat_cost"),
) | {"description": "The most expensive part; `earlier` is the earlier conversation, sent again."}
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
    shortened_from=or_null(WHOLE) | {"description": "The requested output, if balance or limits covered less."},
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
    image_price=or_null(IMAGE_PRICE | {"description": "For images: the price of each delivered one."}),
    raw_usage={"type": "object"},
    formula=TEXT,
    earlier_bps=COUNT
    | {"description": "The share of the input that is earlier conversation, in basis points, counted locally."},
    explanation=or_null(EXPLANATION),
    **amounts("cost", "provider_cost", "allowance_paid", "credits_paid", "absorbed", "ceiling"),
)


def shown_receipt(call: Usage) -> dict[str, Any]:
    """`cost` is what the user pays, `provider_cost` what the call came to; `absorbed` is the difference, ours."""
    return answer_of(
        RECEIPT,
        call,
        message_id=db.session.scalar(select(Message.id).where(Message.call_id == Usage.last_of(call.id))),
        started_at=call.created_at,
        continues_call_id=call.continues_id,
        estimated=call.is_estimated,
        reported_by_gateway=call.is_via_gateway and call.source == "reported",
        output_tokens=call.output,
        buckets={bucket: getattr(call, bucket) for bucket in PER},
        raw_usage=call.raw,
        lines=call.lines(),
        price=shown_price(call.price, call.input_tokens),
        corrections=corrections_of(call),
        image_price=answer_of(IMAGE_PRICE, call.image_price) if call.image_price else None,
        formula=FORMULA,
        explanation=shown_explanation(call),
        cost_nanos=call.paid_nanos,
        provider_cost_nanos=call.cost_nanos,
        ceiling_nanos=call.reserved_nanos,
    )


def shown_explanation(call: Usage) -> dict[str, Any] | None:
    why = explain(call)
    if why is None:
        return None
    return answer_of(EXPLANATION, why, text=explanation_text(why), new_chat_cost_nanos=why.new_chat_nanos)


def corrections_of(call: Usage) -> list[dict[str, Any]]:
    """Where the price was wrong: the call at the right one, and what came back to its account."""
    return [
        answer_of(
            CORRECTION,
            correction,
            corrected_at=correction.created_at,
            reason=rerating.reason,
            lines=call.lines(rerating.rates),
            paid_before_nanos=correction.paid_nanos,
            right_cost_nanos=correction.cost_nanos,
        )
        for correction, rerating in CallCorrection.of_call(call.id)
    ]


def shown_price(price: ModelPrice, input_tokens: int) -> dict[str, Any]:
    above = price.long_context_above
    return answer_of(
        PRICE,
        price,
        service_tier=price.tier,
        excepted_dates=price.excepted_dates.split(),
        is_long_context=above is not None and input_tokens > above,
    )
