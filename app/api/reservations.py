"""Credits held and settled over JSON, for calls that run elsewhere. docs/charging.md."""

import json
from collections.abc import Callable
from typing import Annotated, Any

from flask import g
from flask_login import current_user
from pydantic import Field, StrictInt

from app.api.blueprint import answer_of, api, or_404
from app.api.bodies import Body, Count, Credits, Text
from app.api.rate_limits import limited_sends
from app.api.receipts import RECEIPT, shown_receipt
from app.api.schemas import MOMENT, TEXT, WHOLE, amounts, described, or_null, shape
from app.extensions import db
from app.jobs import JobName, enqueue
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.setting import Setting
from app.models.metering.held_call import (
    ELSEWHERE,
    expires_at,
    held,
    hold_amount,
    hold_model,
    release_held,
    renew_held,
    settle_held,
)
from app.models.metering.refusal import InvalidRequest
from app.models.metering.reservation import Reservation
from app.models.metering.usage import Usage
from app.providers.base import TOKENS_PER_MESSAGE, TokenUsage, WirePrompt, estimate_tokens
from app.providers.usage import anthropic_usage, openai_usage
from app.web.access import for_scope
from app.web.gate import requires_tokens

HELD = shape(
    "HeldCredits",
    id=TEXT,
    operation=TEXT,
    model=or_null(TEXT),
    max_output_tokens=or_null(WHOLE),
    state=TEXT,
    expires_at=MOMENT,
    **amounts("ceiling"),
)
MOST_INPUT = 10**8


class Hold(Body):
    """Either a model with its input (`input_tokens`, or the `messages`), or an `operation` with `ceiling_credits`."""

    model: Annotated[Text, Field(max_length=200)] | None = None
    input_tokens: Annotated[StrictInt, Field(ge=0, le=MOST_INPUT)] | None = None
    messages: Annotated[list[dict[str, Any]], Field(max_length=10_000)] | None = None
    max_output_tokens: Count | None = None
    operation: Annotated[Text, Field(pattern=r"^[a-z0-9_.-]{1,40}\Z")] | None = None
    ceiling_credits: Credits | None = None

    def hold(self) -> Reservation:
        if self.ceiling_credits is None:
            return hold_model(current_user, self.prompt(), self.operation)
        if self.model is not None:
            raise InvalidRequest({"ceiling_credits": ["goes with an operation; a model has its own price."]})
        if self.operation is None:
            raise InvalidRequest({"operation": ["is missing."]})
        if self.ceiling_credits < 1:
            raise InvalidRequest({"ceiling_credits": ["must be more than 0."]})
        return hold_amount(current_user, self.operation, self.ceiling_credits)

    def prompt(self) -> WirePrompt:
        if self.model is None:
            raise InvalidRequest({"model": ["is missing."]})
        model, _price = AIModel.to_sell(self.model, utcnow())
        most = min(self.max_output_tokens or Setting.get("max_output_tokens"), model.max_output_tokens)
        prompt = WirePrompt(model.name, (), most, model.is_reasoning)
        if self.input_tokens is None and self.messages is None:
            raise InvalidRequest({"input_tokens": ["is missing, and so are the messages."]})
        text = json.dumps(self.messages or [], ensure_ascii=False)
        around = TOKENS_PER_MESSAGE * (len(self.messages or ()) + 1)
        bound = len(text.encode("utf-8", "replace")) + around if self.messages else self.input_tokens or 0
        counted = min(bound, estimate_tokens(text))
        return WirePrompt(model.name, (), prompt.max_output_tokens, model.is_reasoning, bound=bound, counted=counted)


class Settlement(Body):
    """`usage` as the provider reported it, for a model; `cost_credits` for an operation."""

    usage: dict[str, Any] | None = None
    cost_credits: Credits | None = None

    def spent(self, call: Usage) -> TokenUsage:
        if call.model == ELSEWHERE:
            if self.cost_credits is None:
                raise InvalidRequest({"cost_credits": ["is missing."]})
            return TokenUsage(output=self.cost_credits, source="reported", raw={"cost_nanos": self.cost_credits})
        if self.usage is None:
            raise InvalidRequest({"usage": ["is missing: a model has its own price."]})
        is_anthropic = call.price.model.provider.kind == "anthropic"
        read: Callable[[dict[str, Any]], TokenUsage] = anthropic_usage if is_anthropic else openai_usage
        usage = read(self.usage)
        if usage.source != "reported":
            raise InvalidRequest({"usage": ["is no usage that a provider of this model reports."]})
        return usage


@api.post("/reservations")
@for_scope("hold")
@limited_sends
@requires_tokens
@described("Reserve the most that a call made elsewhere can cost", HELD, status=201, body=Hold)
def hold_credits() -> tuple[dict[str, Any], int]:
    reservation = Hold.read().hold()
    db.session.commit()
    g.available_nanos = reservation.available
    return shown(db.session.get_one(Usage, reservation.usage_id)), 201


@api.post("/reservations/<call_id>/settle")
@for_scope("hold")
@described("Charge the actual cost, once; repeating returns the same receipt", RECEIPT, body=Settlement)
def settle_reservation(call_id: str) -> dict[str, Any]:
    call = my_call(call_id)
    spent = Settlement.read().spent(call) if call.state == "running" else TokenUsage()
    receipt = settle_held(call, spent)
    db.session.commit()
    if receipt and receipt.needs_recharge:
        enqueue(JobName.RECHARGE, call.account_id)
    if receipt and receipt.needs_alert:
        enqueue(JobName.TELL_ALERTS, call.account_id)
    db.session.refresh(call)
    return shown_receipt(call)


@api.post("/reservations/<call_id>/release")
@for_scope("hold")
@described("Release the credits; nothing is charged", RECEIPT)
def release_reservation(call_id: str) -> dict[str, Any]:
    call = my_call(call_id)
    release_held(call)
    db.session.commit()
    db.session.refresh(call)
    return shown_receipt(call)


@api.post("/reservations/<call_id>/renew")
@for_scope("hold")
@described("Extend the reservation; without this it ends by itself", HELD)
def renew_reservation(call_id: str) -> dict[str, Any]:
    call = my_call(call_id)
    renew_held(call)
    db.session.commit()
    return shown(call)


def my_call(call_id: str) -> Usage:
    return or_404(held(call_id, current_user))


def shown(call: Usage) -> dict[str, Any]:
    elsewhere = {"model": None, "max_output_tokens": None} if call.model == ELSEWHERE else {}
    return answer_of(HELD, call, expires_at=expires_at(call), ceiling_nanos=call.reserved_nanos, **elsewhere)
