"""The subscription, purchases and auto-recharge over JSON."""

from typing import Annotated, Any

from flask import request
from flask_login import current_user
from pydantic import Field

from app.api.blueprint import answer_of, api
from app.api.bodies import Body, Code, Count, CountOrNone, Credits, Flag, Identifier
from app.api.calls import request_key
from app.api.schemas import (
    COUNT,
    CREDITS,
    FLAG,
    MOMENT,
    TEXT,
    amounts,
    amounts_or_null,
    described,
    or_null,
    shape,
)
from app.models.base import utcnow
from app.models.billing.auto_recharge import PAUSES, AutoRecharge
from app.models.billing.subscription import Subscription
from app.models.catalog.plan import Plan
from app.models.catalog.worth import currency
from app.models.identity.account import Account
from app.models.metering.refusal import InvalidRequest
from app.payments import auto_recharge_settings, checkout, subscriptions
from app.web.access import for_scope, managers_only
from app.web.checkout_limits import by_account, wrong_codes

NAMED = shape("NamedPlan", id=TEXT, name=TEXT, price_cents=COUNT, currency=TEXT, interval=TEXT)
SUBSCRIPTION = shape(
    "Subscription",
    plan=NAMED,
    status=TEXT,
    period_start=or_null(MOMENT),
    period_end=or_null(MOMENT),
    cancel_at_period_end=FLAG,
    pending_plan=or_null(NAMED),
    trial_end=or_null(MOMENT),
    pay_url=or_null(TEXT),
    checkout_url=or_null(TEXT),
)
CHECKOUT = shape("Checkout", checkout_url=TEXT)
PREVIEW = shape(
    "ChangePreview",
    plan=NAMED,
    acts_now=FLAG,
    due_cents=COUNT,
    next_cents=COUNT,
    currency=TEXT,
    changes_at=or_null(MOMENT),
    **amounts("grows", "monthly"),
)
RECHARGE = shape(
    "AutoRecharge",
    enabled=FLAG,
    pack_id=or_null(TEXT),
    quantity=COUNT,
    threshold_credits=CREDITS,
    threshold_nanos=COUNT,
    monthly_max_cents=COUNT,
    month_total_cents=COUNT,
    currency=TEXT,
    pause_reason=or_null(TEXT),
    paused_words=or_null(TEXT),
    card=or_null(TEXT),
    setup_url=or_null(TEXT),
    **amounts_or_null("target"),
)


class PlanChoice(Body):
    plan_id: Identifier


class PlanPurchase(PlanChoice):
    code: Code | None = None


class Purchase(Body):
    pack_id: Identifier
    quantity: Count = 1
    amount_cents: Annotated[Count, Field(le=10**9)] | None = None
    code: Code | None = None
    save_card: Flag = False


class RechargeSettings(Body):
    """What is left out stays as it was."""

    enabled: Flag
    pack_id: Identifier | None = None
    quantity: Count | None = None
    threshold_credits: Credits | None = None
    target_credits: Credits | None = None
    monthly_max_cents: Annotated[CountOrNone, Field(le=10**9)] | None = None


@api.get("/subscription")
@managers_only
@described("Get the plan and its subscription", SUBSCRIPTION)
def read_subscription() -> dict[str, Any]:
    return shown(current_user.account)


@api.post("/subscription")
@for_scope("buy")
@managers_only
@by_account("5 per hour")
@wrong_codes
@described("Subscribe; a free plan starts at once", SUBSCRIPTION, status=(200, 201), body=PlanPurchase)
def start_subscription() -> tuple[dict[str, Any], int]:
    sent = PlanPurchase.read()
    plan = subscriptions.plan_on_offer(sent.plan_id)
    address = subscriptions.subscribe(current_user, subscriptions.PlanOrder(plan, sent.code, request_key()))
    return shown(current_user.account, address), 201 if address else 200


@api.patch("/subscription")
@for_scope("buy")
@managers_only
@described(
    "Change the plan: upgrades now, everything else at the period's end",
    SUBSCRIPTION,
    status=(200, 201),
    body=PlanChoice,
)
def change_subscription() -> tuple[dict[str, Any], int]:
    had_one = Subscription.live_of(current_user.account_id) is not None
    address = subscriptions.change_plan(current_user, wanted_plan(), request_key())
    return shown(current_user.account, address), 201 if address and not had_one else 200


@api.delete("/subscription")
@for_scope("buy")
@managers_only
@described("Cancel at the period's end; `?at_once=1` now", SUBSCRIPTION, query={"at_once": TEXT})
def cancel_subscription() -> dict[str, Any]:
    subscriptions.cancel(current_user, at_once=request.args.get("at_once") == "1")
    return shown(current_user.account)


@api.post("/subscription/resume")
@for_scope("buy")
@managers_only
@described("Undo a pending cancellation or change", SUBSCRIPTION)
def resume_subscription() -> dict[str, Any]:
    subscriptions.resume(current_user)
    return shown(current_user.account)


@api.post("/subscription/preview")
@for_scope("read")
@managers_only
@described("Preview a change of plan: what it costs and gives", PREVIEW, body=PlanChoice)
def preview_subscription() -> dict[str, Any]:
    change = subscriptions.preview(current_user, wanted_plan())
    return answer_of(PREVIEW, change, plan=named(change.plan))


@api.post("/checkout")
@for_scope("buy")
@managers_only
@by_account("5 per hour")
@wrong_codes
@described("Buy a pack", CHECKOUT, status=201, body=Purchase)
def start_checkout() -> tuple[dict[str, Any], int]:
    sent = Purchase.read()
    pack = checkout.pack_on_sale(sent.pack_id)
    order = checkout.PackOrder(pack, sent.quantity, sent.code, request_key(), sent.amount_cents, sent.save_card)
    return {"checkout_url": checkout.buy_pack(current_user, order)}, 201


@api.get("/auto-recharge")
@managers_only
@described("Get auto-recharge's settings and this month's total", RECHARGE)
def read_auto_recharge() -> dict[str, Any]:
    return shown_recharge(AutoRecharge.of(current_user.account_id))


@api.put("/auto-recharge")
@for_scope("buy")
@managers_only
@described(
    "Change auto-recharge; `setup_url` is set if a card must be saved first",
    RECHARGE,
    body=RechargeSettings,
)
def set_auto_recharge() -> dict[str, Any]:
    sent, before = RechargeSettings.read(), AutoRecharge.of(current_user.account_id)
    if not sent.enabled:
        auto_recharge_settings.turn_off(current_user)
        return shown_recharge(AutoRecharge.of(current_user.account_id))
    saved = auto_recharge_settings.turn_on(current_user, options_of(sent, before))
    return shown_recharge(saved.settings, saved.setup_url)


def options_of(sent: RechargeSettings, before: AutoRecharge | None) -> auto_recharge_settings.RechargeOptions:
    """What the body asks for; what it leaves out stays as it was."""
    threshold, highest = sent.threshold_credits, sent.monthly_max_cents
    missing = {"threshold_credits": threshold, "monthly_max_cents": highest}
    if before is None and None in missing.values():
        raise InvalidRequest({name: ["is missing."] for name, value in missing.items() if value is None})
    return auto_recharge_settings.RechargeOptions(
        pack_id=sent.pack_id or (str(before.pack_id) if before else ""),
        quantity=sent.quantity or (before.quantity if before else 1),
        threshold_nanos=threshold if threshold is not None else before.threshold_nanos if before else 0,
        monthly_max_cents=highest if highest is not None else before.monthly_max_cents if before else 0,
        target_nanos=target_of(sent, before),
    )


def target_of(sent: RechargeSettings, before: AutoRecharge | None) -> int | None:
    """Up to which balance; none where the body names a quantity, which takes its place."""
    if sent.target_credits is not None:
        return sent.target_credits
    return before.target_nanos if before and sent.quantity is None else None


def wanted_plan() -> Plan:
    return subscriptions.plan_on_offer(PlanChoice.read().plan_id)


def named(plan: Plan) -> dict[str, Any]:
    return answer_of(NAMED, plan)


def shown(account: Account, checkout_url: str | None = None) -> dict[str, Any]:
    subscription = Subscription.live_of(account.id)
    known: dict[str, Any] = {"plan": named(account.plan), "checkout_url": checkout_url}
    if subscription is None:
        nothing = dict.fromkeys(SUBSCRIPTION["properties"])
        return nothing | {"status": "none", "cancel_at_period_end": False} | known
    comes = subscription.pending_plan
    return answer_of(SUBSCRIPTION, subscription, pending_plan=named(comes) if comes else None, **known)


def shown_recharge(settings: AutoRecharge | None, setup_url: str | None = None) -> dict[str, Any]:
    if settings is None:
        nothing = dict.fromkeys(("pack_id", "target_nanos", "pause_reason", "paused_words", "card"))
        none = dict.fromkeys(("threshold_nanos", "monthly_max_cents", "month_total_cents"), 0)
        known = {"enabled": False, "quantity": 1, "currency": currency(), "setup_url": setup_url}
        return answer_of(RECHARGE, None, **nothing, **none, **known)
    return answer_of(
        RECHARGE,
        settings,
        enabled=settings.is_on,
        month_total_cents=settings.month_total_cents(utcnow()),
        currency=settings.pack.currency,
        pause_reason=settings.pause_reason or None,
        paused_words=PAUSES.get(settings.pause_reason),
        card=settings.card_label or None,
        setup_url=setup_url,
    )
