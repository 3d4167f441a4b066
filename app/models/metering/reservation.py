"""Reserve before a call, settle after it: the two steps that every model call goes through. billing-rules.md 5."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, insert, update

from app.db.compiled_statement import CompiledStatement
from app.extensions import db
from app.models.base import at_once, utcnow
from app.models.billing.allowance_refill import is_due, refill_if_due
from app.models.catalog.ai_model import AIModel
from app.models.catalog.image_price import ImageOffer
from app.models.catalog.price import ModelPrice
from app.models.catalog.rates import priced
from app.models.catalog.setting import Setting
from app.models.chat.chat import Chat
from app.models.identity.account import Account
from app.models.identity.actor import Actor
from app.models.metering.account_state import AccountState
from app.models.metering.affordability import fit
from app.models.metering.breaker import check_breaker
from app.models.metering.budget import ChatBudget, budgets
from app.models.metering.call import (
    PAID_OUTCOMES,
    UNKNOWN,
    Admission,
    Ending,
    Receipt,
    Reservation,
)
from app.models.metering.call_ending import CallEnding
from app.models.metering.call_statements import ExtraRows, run_reserve, run_settle
from app.models.metering.gate_checks import (
    check_absorbed,
    check_account,
    check_chats,
    check_funds,
    check_model,
    check_pace,
)
from app.models.metering.key_limit import check_key, limits_of
from app.models.metering.refusal import Attempt, Refusal
from app.models.metering.spending_limit import check_limits, least_left
from app.models.metering.usage import USAGES, Usage
from app.providers.base import AmountPrompt, Prompt, TokenUsage

__all__ = [
    "PAID_OUTCOMES",
    "Receipt",
    "Reservation",
    "admit",
    "load_account_state",
    "lock_account_state",
    "reservation_of",
    "reserve_with",
    "settle",
    "settle_with",
]
log = logging.getLogger(__name__)
AnyPrice = ModelPrice | ImageOffer
Made = tuple[Reservation, Sequence[int]]
LOOKS = 3
"""How often the account is read before it is held."""


class AccountBusy(Exception):
    """The account is not as it was decided on, although it is held: nothing was written."""

    retry_after = 1

    def __init__(self) -> None:
        super().__init__("Your account changed while we looked at it. Nothing was charged. Try again in a moment.")


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
        check_key(actor.key_limits, model)
    check_pace(account_state)
    check_limits(budgets(actor, None, now), now)
    if account_state.chats_per_month is not None:
        check_chats(account_state, now, Chat.started_since(account_state.account_id, account_state.period_start))
    check_limits(limits_of(account_state, actor, now), now)
    check_absorbed(account_state, now)
    check_breaker(account_state, actor, now)
    check_funds(account_state, now)
    return account_state


def reserve_with(
    extra: ExtraRows | None,
    actor: Actor,
    prompt: Prompt,
    price: ModelPrice | ImageOffer,
    *,
    check: Callable[[int], None] = lambda _ceiling: None,
    is_alone: bool = False,
    budget: ChatBudget | None = None,
    **columns: Any,
) -> Made:
    """Check the actor and hold the most that the prompt can cost, in one atomic step. Raises Refusal.

    `price` is the one in force, from `AIModel.to_sell`; `extra` are rows that begin with the call; `columns` go onto
    the usage row: operation, chat_id, ... Returns the reservation and the rows' ids. Its prompt may ask for less
    output than was asked, where the balance affords no more. `check` may refuse the ceiling; `budget` is that of the
    call's chat, where it has one.

    PostgreSQL: the rules decide on what was read, and one statement writes it all if they still would; if not, twice
    again, then with the account held. `is_alone`: where no transaction has begun, that statement is one.
    SQLite holds the account from the start.
    """
    if not is_alone:
        db.session.connection()
    if db.engine.dialect.name == "postgresql":
        for account_state in states(actor, is_read=is_alone):
            wanted = admitted(account_state, actor, prompt, price, budget)
            check(wanted.ceiling)
            if made := write(wanted, extra, columns):
                return made
    held = lock_account_state(actor.account_id, utcnow())
    wanted = admitted(held, actor, prompt, price, budget)
    check(wanted.ceiling)
    return write_held(wanted, extra, columns)


def states(actor: Actor, *, is_read: bool) -> Iterator[AccountState]:
    """The account as it is at each look, the first as the request read it; none where a refill may be due."""
    read = actor.account_state if is_read else None
    for _ in range(LOOKS):
        account_state = read or AccountState.load(actor.account_id)
        if is_due(account_state, utcnow()):
            return
        yield account_state
        read = None


def admitted(
    account_state: AccountState, actor: Actor, prompt: Prompt, price: AnyPrice, budget: ChatBudget | None
) -> Admission:
    """The call that the account, as it was read, may begin. Raises Refusal, which knows what was asked for."""
    try:
        return checked(account_state, actor, prompt, price, budget)
    except Refusal as refusal:
        asked = prompt.model, prompt.input_token_bound, prompt.max_output_tokens
        image_price_id = price.price.id if isinstance(price, ImageOffer) else None
        refusal.attempt = Attempt(*asked, account_state.plan_id, image_price_id)
        raise


def checked(
    account_state: AccountState, actor: Actor, prompt: Prompt, price: AnyPrice, budget: ChatBudget | None
) -> Admission:
    now = utcnow()
    check_account(account_state, actor)
    if not isinstance(prompt, AmountPrompt):
        check_model(account_state, prompt.model)
        check_key(actor.key_limits, prompt.model)
    check_pace(account_state)
    own = limits_of(account_state, actor, now)
    limits = [*budgets(actor, budget, now), *own]
    check_limits(limits, now)
    check_absorbed(account_state, now)
    bars = check_breaker(account_state, actor, now)
    check_funds(account_state, now)
    prompt = fit(account_state, prompt, price.rates, now, limits, actor.key_limits)
    return Admission(account_state, actor, prompt, price, now, bars, bool(limits), least_left(own))


def write(wanted: Admission, extra: ExtraRows | None, columns: dict[str, Any]) -> Made | None:
    """Move the account, write the call and what begins with it, by one statement. None where it may not anymore."""
    with at_once() as connection:
        written = run_reserve(wanted, extra, wanted.row | columns, connection)
    if written is None:
        return None
    usage_id, figures, ids = written
    return wanted.reservation(usage_id, replace(wanted.account_state, **figures)), ids


def write_held(wanted: Admission, extra: ExtraRows | None, columns: dict[str, Any]) -> Made:
    """The same while the account is held."""
    connection = db.session.connection()
    if connection.dialect.name == "postgresql":
        made = write(replace(wanted, is_exact=False), extra, columns)
        if made is None:
            raise AccountBusy
        return made
    moved = wanted.account_state.apply(wanted.now, reserved=wanted.ceiling, running_calls=1)
    [usage_id] = INSERT.one(connection, wanted.row | columns)
    ids = extra.write(connection, usage_id) if extra else ()
    return wanted.reservation(usage_id, moved), ids


def settle(reservation: Reservation, usage: TokenUsage, outcome: str) -> Receipt | None:
    """Replace the reservation by what the call came to, once. None where it was settled or released before.

    Only what the sender can cause counts towards the day's bound of absorbed cost.
    """
    return settle_with(None, reservation, usage, outcome)


def settle_with(
    extra: ExtraRows | None,
    reservation: Reservation,
    usage: TokenUsage,
    outcome: str,
    told: CallEnding = UNKNOWN,
    *,
    is_alone: bool = False,
) -> Receipt | None:
    """The same, with rows that end with the call. `is_alone` as in `reserve_with`."""
    before = usage.images + usage.searches
    usage, cost = priced(reservation.rates, usage)
    if left_out := before - usage.images - usage.searches:
        log.warning("unpriced pieces: %d", left_out)
    told = told.with_unpriced(left_out)
    ending = Ending(reservation, usage, cost, outcome, utcnow(), told)
    if db.engine.dialect.name == "sqlite":
        return settle_held(ending, extra)
    if not is_alone:
        db.session.connection()
    with at_once() as connection:
        settled = run_settle(ending, extra, connection)
    if settled is None:
        lock_account_state(reservation.account_id, ending.now)
        settled = run_settle(ending, extra, db.session.connection(), is_held=True)
    return ending.receipt(*settled) if settled else None


def settle_held(ending: Ending, extra: ExtraRows | None) -> Receipt | None:
    """One statement after another, while the account is held."""
    reservation, now = ending.reservation, ending.now
    account_state = lock_account_state(reservation.account_id, now)
    payment = account_state.balance(now).pay(ending.cost, ending.most, reservation.overdraft)
    if CLOSE.run(db.session.connection(), ending.key | ending.row | payment.columns) != 1:
        return None
    moved = account_state.apply(now, **ending.differences(payment, account_state))
    if extra:
        extra.write(db.session.connection(), reservation.usage_id)
    return ending.receipt(account_state, moved, payment)


def reservation_of(usage: Usage) -> Reservation:
    """The reservation of a running usage row, for the sweeper; its prompt is gone with the process."""
    prompt = Prompt(usage.model, (), usage.max_output_tokens)
    return Reservation(
        usage.id,
        usage.account_id,
        prompt,
        usage.rates,
        usage.reserved_nanos,
        usage.created_at,
        available=0,
        overdraft=Setting.get("overdraft"),
    )


INSERT = CompiledStatement(insert(USAGES).returning(USAGES.c.id))
CALL = and_(USAGES.c.account_id == bindparam("account"), USAGES.c.id == bindparam("usage"))
CLOSE = CompiledStatement(update(USAGES).where(CALL, USAGES.c.state == "running"))
