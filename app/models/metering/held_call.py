"""Credits held for a call that runs elsewhere: the same gate, reservation, lease and settle. billing-rules.md 5.

A call of a model that is for sale is priced by its row that was in force; any other has a ceiling in credits, and
costs what its caller says, as so many nano-dollars.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import ModelPrice
from app.models.catalog.provider_account import ProviderAccount
from app.models.identity.actor import Actor
from app.models.metering.account_state import AccountState
from app.models.metering.refusal import Conflict
from app.models.metering.reservation import Receipt, Reservation, reservation_of, reserve_with, settle
from app.models.metering.usage import Usage
from app.providers.base import TOKEN_BUCKETS, AmountPrompt, TokenUsage, WirePrompt

OPERATION = "held"
IS_HELD = or_(Usage.operation == OPERATION, Usage.operation.startswith(f"{OPERATION}:"))
LEASE = timedelta(minutes=2)
"""From one renewal to the next."""

ELSEWHERE = "elsewhere"
ONE_NANO_EACH = 1_000_000
"""The price of a million units that cost a nano-dollar each: an amount is a quantity of output."""

BEGINNING = datetime.fromisoformat("2020-01-01T00:00:00+00:00")


def hold_model(actor: Actor, prompt: WirePrompt, operation: str | None) -> Reservation:
    """Hold the most that a call of a model for sale can cost; its answer may be shortened to what is affordable."""
    _model, price = AIModel.to_sell(prompt.model, utcnow())
    reservation, _ids = reserve_with(None, actor, prompt, price, operation=name_of(operation), uncached_input=0)
    return reservation


def hold_amount(actor: Actor, operation: str, nanos: int) -> Reservation:
    """Hold an amount, whole: Refusal where balance or limits afford less."""
    prompt = AmountPrompt(ELSEWHERE, (), nanos)
    columns: dict[str, Any] = {"operation": name_of(operation), "max_output_tokens": 1, "uncached_input": 0}
    reservation, _ids = reserve_with(None, actor, prompt, price_elsewhere(), **columns)
    return reservation


def name_of(operation: str | None) -> str:
    return f"{OPERATION}:{operation}" if operation else OPERATION


def price_elsewhere() -> ModelPrice:
    """The price of an amount; made at its first use."""
    query = select(ModelPrice).join(AIModel).where(AIModel.name == ELSEWHERE)
    price = db.session.scalar(query)
    if price is None:
        try:
            with db.session.begin_nested():
                db.session.add(made_price())
        except IntegrityError:
            pass  # another process made it meanwhile
        price = db.session.scalars(query).one()
    return price


def made_price() -> ModelPrice:
    provider = ProviderAccount(name="Elsewhere", kind="demo", is_enabled=False)
    sizes = {"context_window": 10**9, "max_output_tokens": 10**9}
    title = "A call made elsewhere"
    model = AIModel(name=ELSEWHERE, title=title, provider=provider, is_for_sale=False, **sizes)
    figures = {f"{bucket}_nanos": 0 for bucket in TOKEN_BUCKETS} | {"output_nanos": ONE_NANO_EACH}
    return ModelPrice(model=model, effective_from=BEGINNING, approved_at=BEGINNING, **figures)


def held(call_id: str, actor: Actor) -> Usage | None:
    """The account's held call of that id, with the account held from here on."""
    AccountState.lock(actor.account_id)
    usage = Usage.find(call_id, account_id=actor.account_id)
    is_held = usage is not None and usage.operation.partition(":")[0] == OPERATION
    return usage if is_held else None


def expires_at(usage: Usage) -> datetime:
    """When the sweeper gives the credits back, unless the call is renewed."""
    return (usage.renewed_at or usage.created_at) + LEASE


def settle_held(usage: Usage, spent: TokenUsage) -> Receipt | None:
    """Charge it, once. None where it was settled before; Conflict where its credits were given back."""
    if usage.state == "running":
        return settle(reservation_of(usage), spent, "done")
    if usage.outcome != "done":
        raise ended(usage)
    return None


def release_held(usage: Usage) -> None:
    """Give the credits back; nothing is charged. Conflict where it was settled."""
    if usage.state == "running":
        settle(reservation_of(usage), TokenUsage(), "interrupted")
    elif usage.outcome == "done":
        raise ended(usage)


def renew_held(usage: Usage) -> None:
    if usage.state != "running":
        raise ended(usage)
    usage.renewed_at = utcnow()


def ended(usage: Usage) -> Conflict:
    how = "settled" if usage.outcome == "done" else "released"
    return Conflict("reservation_ended", context={"how": how})
