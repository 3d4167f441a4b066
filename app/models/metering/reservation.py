"""Reserve before a call, settle after it: the two steps that every model call goes through. MONEY.md 5."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Table, and_, bindparam, insert, select, update

from app.extensions import db
from app.models.identity.account import Account
from app.models.metering.gate_checks import check_absorbed, check_chats, check_funds, check_model, check_pace, check_standing, fit
from app.models.metering.balance import Payment
from app.models.base import utcnow
from app.models.identity.actor import Caller
from app.models.chat.chat import Chat
from app.models.metering.member_limit import check_member, hold_for_member, settle_for_member
from app.models.catalog.price import TOKEN_BUCKETS, AIModel, ModelPrice, Rates
from app.models.billing.allowance import is_due, refill_if_due
from app.models.metering.refusal import PricingError
from app.models.catalog.setting import Setting
from app.models.metering.account_state import Standing
from app.models.metering.usage import Usage
from app.db.compiled_statement import Prepared
from app.providers.base import Prompt, TokenUsage

log = logging.getLogger(__name__)
USAGES: Table = Usage.__table__  # type: ignore[assignment]
PAID_OUTCOMES = {"done", "stopped"}
BUCKETS = (*TOKEN_BUCKETS, "images", "searches")


@dataclass(frozen=True, slots=True)
class Reservation:
    """A call that may run: its usage row, the prompt as it may be sent, and the most it will be charged."""

    usage_id: int
    account_id: int
    user_id: int
    prompt: Prompt
    rates: Rates
    ceiling: int
    day: date
    available: int
    overdraft: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a settled call came to, in nanos; `available` is the balance after it."""

    usage_id: int
    paid: int
    absorbed: int
    usage: TokenUsage
    available: int
    needs_recharge: bool = False
    needs_alert: bool = False


def standing_now(account_id: int, at: datetime) -> Standing:
    """The held standing, with the month's refill given where it is due."""
    standing = Standing.held(account_id)
    if not is_due(standing, at):
        return standing
    refill_if_due(Account.locked(account_id), at)
    db.session.flush()
    return Standing.held(account_id)


def standing_shown(account_id: int, at: datetime, read: Standing | None = None) -> Standing:
    """The standing for a page, where it was not `read` already: held only where the month's refill is due."""
    standing = read or Standing.of(account_id)
    return standing_now(account_id, at) if is_due(standing, at) else standing


def admit(caller: Caller, model: str | None = None) -> Standing:
    """Whether the caller could begin a chat now, reserving nothing. Raises Refusal; holds the account."""
    now = utcnow()
    standing = standing_now(caller.account_id, now)
    check_standing(standing, caller)
    if model is not None:
        AIModel.to_sell(model, now)
        check_model(standing, model)
    check_pace(standing)
    if standing.chats_per_month is not None:
        check_chats(standing, now, Chat.started_since(standing.account_id, standing.period_start))
    check_member(standing, caller.user_id, now)
    check_absorbed(standing, now)
    check_funds(standing, now)
    return standing


def reserve(caller: Caller, prompt: Prompt, price: ModelPrice, **facts: Any) -> Reservation:
    """Check the caller and hold the most that the prompt can cost, in one atomic step. Raises Refusal.

    `price` is the one in force, from `AIModel.to_sell`. `facts` go onto the usage row: operation, chat_id, ...
    The reservation's prompt may ask for less output than was asked, where the balance affords no more.
    """
    now = utcnow()
    standing = standing_now(caller.account_id, now)
    check_standing(standing, caller)
    check_model(standing, prompt.model)
    check_pace(standing)
    check_member(standing, caller.user_id, now)
    check_absorbed(standing, now)
    check_funds(standing, now)
    prompt = fit(standing, prompt, price.rates, now)
    return hold(standing, caller, prompt, price, now, facts)


def hold(
    standing: Standing,
    caller: Caller,
    prompt: Prompt,
    price: ModelPrice,
    now: datetime,
    facts: dict[str, Any],
) -> Reservation:
    """Write the reservation: the account's figures and the usage row."""
    rates = price.rates
    ceiling = rates.most_for(prompt.input_token_bound, prompt.max_output_tokens)
    moved = standing.move(now, reserved=ceiling, running_calls=1)
    row = {
        "account_id": caller.account_id,
        "user_id": caller.user_id,
        "api_key_id": caller.api_key_id,
        "model": prompt.model,
        "price_id": price.id,
        "day": now.date(),
        "created_at": now,
        "reserved_nanos": ceiling,
        "max_output_tokens": prompt.max_output_tokens,
        "uncached_input": prompt.tokens,
    }
    [usage_id] = RESERVE.one(db.session.connection(), NO_FACTS | row | facts)
    available = moved.balance(now).available
    hold_for_member(standing, caller.user_id, now.date(), ceiling)
    return Reservation(
        usage_id,
        caller.account_id,
        caller.user_id,
        prompt,
        rates,
        ceiling,
        now.date(),
        available,
        Setting.get("overdraft"),
    )


def settle(reservation: Reservation, usage: TokenUsage, outcome: str) -> Receipt | None:
    """Replace the reservation by what the call came to, once. None where it was settled or released before."""
    now = utcnow()
    standing = standing_now(reservation.account_id, now)
    usage, cost = priced(reservation.rates, usage)
    is_paid = outcome in PAID_OUTCOMES and usage.output > 0
    ceiling = reservation.ceiling if is_paid else 0
    payment = standing.balance(now).pay(cost, ceiling, reservation.overdraft)
    state = "settled" if is_paid else "released"
    if not close(reservation, usage, payment, state=state, outcome=outcome, settled_at=now):
        return None
    moved = standing.move(
        now,
        allowance=-payment.allowance,
        credits=-payment.credits,
        reserved=-reservation.ceiling,
        running_calls=-1,
        day_used=payment.allowance if reservation.day == now.date() else 0,
        day_absorbed=payment.absorbed,
    )
    paid = payment.allowance + payment.credits
    settle_for_member(standing, reservation.user_id, reservation.day, paid - reservation.ceiling)
    rings = {
        "needs_recharge": moved.needs_recharge,
        "needs_alert": not moved.alerts(now) <= standing.alerts(now),
    }
    return Receipt(reservation.usage_id, paid, payment.absorbed, usage, moved.balance(now).available, **rings)


def close(reservation: Reservation, usage: TokenUsage, payment: Payment, **facts: Any) -> bool:
    """Write the receipt onto a running usage row; False where it is not running any more."""
    figures = {bucket: getattr(usage, bucket) for bucket in BUCKETS}
    paid = {
        "cost_nanos": payment.allowance + payment.credits + payment.absorbed,
        "allowance_paid_nanos": payment.allowance,
        "credits_paid_nanos": payment.credits,
        "absorbed_nanos": payment.absorbed,
    }
    place = {"account": reservation.account_id, "usage": reservation.usage_id}
    row = {**place, "source": usage.source, "raw": dict(usage.raw), **figures, **paid, **facts}
    return CLOSE.run(db.session.connection(), row) == 1


def priced(rates: Rates, usage: TokenUsage) -> tuple[TokenUsage, int]:
    """The usage and its cost; pieces that have no price cannot be charged and are left out, with a warning."""
    try:
        return usage, rates.cost_of(usage)
    except PricingError as error:
        log.warning("unpriced pieces: %s", error)
        without = replace(usage, images=0, searches=0)
        return without, rates.cost_of(without)


def reservation_of(usage: Usage) -> Reservation:
    """The reservation of a running usage row, for the sweeper; its prompt is gone with the process."""
    prompt = Prompt(usage.model, (), usage.max_output_tokens)
    return Reservation(
        usage.id,
        usage.account_id,
        usage.user_id,
        prompt,
        usage.price.rates,
        usage.reserved_nanos,
        usage.day,
        available=0,
        overdraft=Setting.get("overdraft"),
    )


def with_idempotency_key(account_id: int, key: str) -> Usage | None:
    """The call that this key began within a day; an older one gives the key free."""
    found = db.session.scalar(select(Usage).filter_by(account_id=account_id, idempotency_key=key))
    if found is not None and found.is_stale:
        found.idempotency_key = None
        db.session.flush()
        return None
    return found


NO_FACTS = {"chat_id": None, "operation": "chat", "idempotency_key": None, "request_hash": None}
RESERVE = Prepared(insert(USAGES).values(state="running", raw={}).returning(USAGES.c.id))
CALL = and_(USAGES.c.account_id == bindparam("account"), USAGES.c.id == bindparam("usage"))
CLOSE = Prepared(update(USAGES).where(CALL, USAGES.c.state == "running"))
