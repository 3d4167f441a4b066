"""Reserve before a call, settle after it: the two steps that every model call goes through. billing-rules.md 5."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Table, and_, bindparam, insert, select, update

from app.db.compiled_statement import CompiledStatement
from app.extensions import db
from app.models.base import utcnow
from app.models.billing.allowance import is_due, refill_if_due
from app.models.catalog.price import AIModel, ModelPrice
from app.models.catalog.rates import TOKEN_BUCKETS, Rates
from app.models.catalog.setting import Setting
from app.models.chat.chat import Chat
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.metering.account_state import AccountState
from app.models.metering.affordability import fit
from app.models.metering.balance import Payment
from app.models.metering.ending import CallEnding
from app.models.metering.gate_checks import (
    check_absorbed,
    check_account,
    check_chats,
    check_funds,
    check_model,
    check_pace,
)
from app.models.metering.member_limit import check_member, hold_for_member, member_use, settle_for_member
from app.models.metering.refusal import PricingError
from app.models.metering.usage import Usage
from app.providers.base import Prompt, TokenUsage

log = logging.getLogger(__name__)
USAGES: Table = Usage.__table__  # type: ignore[assignment]
PAID_OUTCOMES = {"done", "stopped"}
UNKNOWN = CallEnding()
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


def lock_account_state(account_id: int, at: datetime) -> AccountState:
    """The held standing, with the month's refill given where it is due."""
    account_state = AccountState.lock(account_id)
    if not is_due(account_state, at):
        return account_state
    refill_if_due(Account.locked(account_id), at)
    db.session.flush()
    return AccountState.lock(account_id)


def load_account_state(account_id: int, at: datetime, read: AccountState | None = None) -> AccountState:
    """The standing for a page, where it was not `read` already: held only where the month's refill is due."""
    account_state = read or AccountState.load(account_id)
    return lock_account_state(account_id, at) if is_due(account_state, at) else account_state


def admit(actor: Actor, model: str | None = None) -> AccountState:
    """Whether the caller could begin a chat now, reserving nothing. Raises Refusal; holds the account."""
    now = utcnow()
    account_state = lock_account_state(actor.account_id, now)
    check_account(account_state, actor)
    if model is not None:
        AIModel.to_sell(model, now)
        check_model(account_state, model)
    check_pace(account_state)
    if account_state.chats_per_month is not None:
        check_chats(
            account_state, now, Chat.started_since(account_state.account_id, account_state.period_start)
        )
    check_member(member_use(account_state, actor.user_id, now), now)
    check_absorbed(account_state, now)
    check_funds(account_state, now)
    return account_state


def reserve(actor: Actor, prompt: Prompt, price: ModelPrice, **columns: Any) -> Reservation:
    """Check the caller and hold the most that the prompt can cost, in one atomic step. Raises Refusal.

    `price` is the one in force, from `AIModel.to_sell`. `facts` go onto the usage row: operation, chat_id, ...
    The reservation's prompt may ask for less output than was asked, where the balance affords no more.
    """
    now = utcnow()
    account_state = lock_account_state(actor.account_id, now)
    check_account(account_state, actor)
    check_model(account_state, prompt.model)
    check_pace(account_state)
    member = member_use(account_state, actor.user_id, now)
    check_member(member, now)
    check_absorbed(account_state, now)
    check_funds(account_state, now)
    prompt = fit(account_state, prompt, price.rates, now, member)
    return hold(account_state, actor, prompt, price, now, columns)


def hold(
    account_state: AccountState,
    actor: Actor,
    prompt: Prompt,
    price: ModelPrice,
    now: datetime,
    columns: dict[str, Any],
) -> Reservation:
    """Write the reservation: the account's figures and the usage row."""
    rates = price.rates
    ceiling = rates.most_for(prompt.input_token_bound, prompt.max_output_tokens)
    moved = account_state.apply(now, reserved=ceiling, running_calls=1)
    row = {
        "account_id": actor.account_id,
        "user_id": actor.user_id,
        "api_key_id": actor.api_key_id,
        "model": prompt.model,
        "price_id": price.id,
        "day": now.date(),
        "created_at": now,
        "reserved_nanos": ceiling,
        "max_output_tokens": prompt.max_output_tokens,
        "uncached_input": prompt.tokens,
        "left_out": prompt.left_out,
    }
    [usage_id] = RESERVE.one(db.session.connection(), DEFAULT_COLUMNS | row | columns)
    available = moved.balance(now).available
    hold_for_member(account_state, actor.user_id, now.date(), ceiling)
    return Reservation(
        usage_id,
        actor.account_id,
        actor.user_id,
        prompt,
        rates,
        ceiling,
        now.date(),
        available,
        Setting.get("overdraft"),
    )


def settle(
    reservation: Reservation, usage: TokenUsage, outcome: str, ending: CallEnding = UNKNOWN
) -> Receipt | None:
    """Replace the reservation by what the call came to, once. None where it was settled or released before.

    Only what the sender can cause counts towards the day's bound of absorbed cost.
    """
    now = utcnow()
    account_state = lock_account_state(reservation.account_id, now)
    usage, cost = priced(reservation.rates, usage)
    is_paid = outcome in PAID_OUTCOMES and usage.output > 0
    ceiling = reservation.ceiling if is_paid else 0
    payment = account_state.balance(now).pay(cost, ceiling, reservation.overdraft)
    state = "settled" if is_paid else "released"
    if not close(reservation, usage, payment, state=state, outcome=outcome, settled_at=now, **ending.columns):
        return None
    is_of_sender = ending.is_of_sender or (outcome in PAID_OUTCOMES and not is_paid)
    moved = account_state.apply(
        now,
        allowance=-payment.allowance,
        credits=-payment.credits,
        reserved=-reservation.ceiling,
        running_calls=-1,
        day_used=payment.allowance if reservation.day == now.date() else 0,
        day_absorbed=payment.absorbed if is_of_sender else 0,
    )
    paid = payment.allowance + payment.credits
    settle_for_member(account_state, reservation.user_id, reservation.day, paid - reservation.ceiling)
    follow_ups = {
        "needs_recharge": moved.needs_recharge,
        "needs_alert": not moved.alerts(now) <= account_state.alerts(now),
    }
    return Receipt(
        reservation.usage_id, paid, payment.absorbed, usage, moved.balance(now).available, **follow_ups
    )


def close(reservation: Reservation, usage: TokenUsage, payment: Payment, **columns: Any) -> bool:
    """Write the receipt onto a running usage row; False where it is not running any more."""
    figures = {bucket: getattr(usage, bucket) for bucket in BUCKETS}
    paid = {
        "cost_nanos": payment.allowance + payment.credits + payment.absorbed,
        "allowance_paid_nanos": payment.allowance,
        "credits_paid_nanos": payment.credits,
        "absorbed_nanos": payment.absorbed,
    }
    key = {"account": reservation.account_id, "usage": reservation.usage_id}
    row = {**key, "source": usage.source, "raw": dict(usage.raw), **figures, **paid, **columns}
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
    usage = db.session.scalar(select(Usage).filter_by(account_id=account_id, idempotency_key=key))
    if usage is not None and usage.is_stale:
        usage.idempotency_key = None
        db.session.flush()
        return None
    return usage


DEFAULT_COLUMNS = {"chat_id": None, "operation": "chat", "idempotency_key": None, "request_hash": None}
RESERVE = CompiledStatement(insert(USAGES).values(state="running", raw={}).returning(USAGES.c.id))
CALL = and_(USAGES.c.account_id == bindparam("account"), USAGES.c.id == bindparam("usage"))
CLOSE = CompiledStatement(update(USAGES).where(CALL, USAGES.c.state == "running"))
