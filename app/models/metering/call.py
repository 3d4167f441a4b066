"""A call to a model as it passes through reserve and settle: admitted, reserved, ended. Values only."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

from app.models.catalog.image_price import ImageOffer
from app.models.catalog.price import ModelPrice
from app.models.catalog.price_schedule import ORDINARY
from app.models.catalog.rates import AnyRates
from app.models.identity.actor import Actor
from app.models.metering.account_state import AccountState
from app.models.metering.affordability import overdraft_of
from app.models.metering.alerts import due_alerts
from app.models.metering.balance import NO_LIMIT, Payment, only_if
from app.models.metering.call_ending import CallEnding
from app.models.metering.gate_checks import most_absorbed, most_calls
from app.models.metering.gate_decision import Bounds
from app.models.metering.usage import BUCKETS, CONSTANTS
from app.providers.base import Prompt, TokenUsage

PAID_OUTCOMES = {"done", "stopped"}
UNKNOWN = CallEnding()
COSTS = ("cost_nanos", "provider_nanos")
RECEIPT = (*BUCKETS, *COSTS, "source", "raw", "state", "outcome", "settled_at", *UNKNOWN.columns)


@dataclass(frozen=True, slots=True)
class Reservation:
    """A call that may run: its usage row, the prompt as it may be sent, and the most it will be charged.

    `own_left` is what the caller's own limits left before it. `tier` is the service tier that its rates are for,
    `price_id` the row that they are of.
    """

    usage_id: int
    account_id: int
    prompt: Prompt
    rates: AnyRates
    ceiling: int
    began: datetime
    available: int
    overdraft: int
    tier: str = ORDINARY
    own_left: int = NO_LIMIT
    price_id: int | None = None

    @property
    def day(self) -> date:
        return self.began.date()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a settled call came to, in nanos; `available` is what the caller may spend after it."""

    usage_id: int
    paid: int
    absorbed: int
    usage: TokenUsage
    available: int
    needs_recharge: bool = False
    needs_alert: bool = False


@dataclass(frozen=True)
class Admission:
    """A call that the rules admit, for the account as it was read.

    `bars` are those of the breaker, where it guards this call.
    `is_exact`: they looked at more than that, so the account must not have moved since; `own_left` is what limits
    leave that were set for the caller.
    """

    account_state: AccountState
    actor: Actor
    prompt: Prompt
    price: ModelPrice | ImageOffer
    now: datetime
    bars: tuple[int, int] = (NO_LIMIT, NO_LIMIT)
    is_exact: bool = False
    own_left: int = NO_LIMIT

    @cached_property
    def rates(self) -> AnyRates:
        return self.price.rates

    @cached_property
    def ceiling(self) -> int:
        return self.rates.most_for(self.prompt.input_token_bound, self.prompt.max_output_tokens)

    @property
    def bounds(self) -> Bounds:
        account_state = self.account_state
        calls, absorbed = most_calls(account_state), most_absorbed(account_state, self.now)
        return Bounds(calls, absorbed, self.ceiling, overdraft_of(account_state), *self.bars)

    @property
    def row(self) -> dict[str, Any]:
        """The usage row."""
        tokens = self.prompt.tokens
        return CONSTANTS | {
            "account_id": self.actor.account_id,
            "user_id": self.actor.user_id,
            "plan_id": self.account_state.plan_id,
            "api_key_id": self.actor.api_key_id,
            "model": self.prompt.model,
            "price_id": self.price.id,
            "day": self.now.date(),
            "created_at": self.now,
            "reserved_nanos": self.ceiling,
            "max_output_tokens": self.prompt.max_output_tokens,
            "shortened_from": self.prompt.shortened_from,
            "uncached_input": tokens,
            "left_out": self.prompt.left_out,
            "earlier_bps": self.prompt.earlier_bps(tokens),
        }

    def reservation(self, usage_id: int, moved: AccountState) -> Reservation:
        return Reservation(
            usage_id,
            self.actor.account_id,
            self.prompt,
            self.rates,
            self.ceiling,
            self.now,
            min(moved.balance(self.now).available, self.own_left - self.ceiling),
            overdraft_of(self.account_state),
            self.price.tier,
            self.own_left,
            self.price.id,
        )


def settled_differences(
    payment: Payment, ceiling: Any, *, is_today: Any, is_in_window: Any, is_counted: Any
) -> dict[str, Any]:
    """What a call that ends moves of its account, in figures or in columns."""
    return {
        "allowance": -payment.allowance,
        "credits": -payment.credits,
        "reserved": -ceiling,
        "running_calls": -1,
        "day_used": only_if(is_today, payment.allowance),
        "window_used": only_if(is_in_window, payment.allowance),
        "day_absorbed": only_if(is_counted, payment.absorbed),
        "hour_spent": payment.allowance + payment.credits,
        "day_spent": payment.allowance + payment.credits,
    }


@dataclass(frozen=True, slots=True)
class Ending:
    """How a reserved call ended, and what it cost us."""

    reservation: Reservation
    usage: TokenUsage
    cost: int
    outcome: str
    now: datetime
    told: CallEnding = UNKNOWN

    @property
    def is_counted(self) -> bool:
        """Whether what we absorb counts towards the bound of the day: only what the sender can cause does."""
        return self.told.is_of_sender or (self.outcome in PAID_OUTCOMES and not self.is_paid)

    @property
    def is_paid(self) -> bool:
        """An answer without output costs nothing, unless vectors were asked for."""
        reservation = self.reservation
        has_answer = reservation.prompt.is_embedding or reservation.rates.is_delivered(self.usage)
        return self.outcome in PAID_OUTCOMES and has_answer

    @property
    def most(self) -> int:
        """What may be charged."""
        return self.reservation.ceiling if self.is_paid else 0

    @property
    def is_today(self) -> bool:
        return self.reservation.day == self.now.date()

    def differences(self, payment: Payment, before: AccountState) -> dict[str, int]:
        """What it moves of its account."""
        return settled_differences(
            payment,
            self.reservation.ceiling,
            is_today=self.is_today,
            is_in_window=before.is_in_window(self.reservation.began, self.now),
            is_counted=self.is_counted,
        )

    @property
    def key(self) -> dict[str, int]:
        return {"account": self.reservation.account_id, "usage": self.reservation.usage_id}

    @property
    def row(self) -> dict[str, Any]:
        """The columns of the receipt, but for who pays."""
        return {bucket: getattr(self.usage, bucket) for bucket in BUCKETS} | {
            "cost_nanos": self.cost,
            "provider_nanos": self.reservation.rates.provider_cost_of(self.usage),
            "source": self.usage.source,
            "raw": dict(self.usage.raw),
            "state": "settled" if self.is_paid else "released",
            "outcome": self.outcome,
            "settled_at": self.now,
            **self.told.columns,
        }

    def receipt(self, before: AccountState, after: AccountState, payment: Payment | None) -> Receipt | None:
        """What is told of it; None where the call was closed before."""
        if payment is None:
            return None
        paid = payment.allowance + payment.credits
        return Receipt(
            self.reservation.usage_id,
            paid,
            payment.absorbed,
            self.usage,
            min(after.balance(self.now).available, self.reservation.own_left - paid),
            needs_recharge=after.needs_recharge,
            needs_alert=not due_alerts(after, self.now) <= due_alerts(before, self.now),
        )
