"""Things of Stripe's as they were when we fetched them: what the gateway returns and the models follow."""

from dataclasses import dataclass, field, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class CardState:
    """A saved means of payment. `fingerprint` is the same for the same card at any customer."""

    stripe_id: str
    label: str = ""
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class LineState:
    """A line of an invoice; `amount` in cents, negative for a credit, whole under a discount.

    `is_of_item`: it sells an item of a subscription, of `subscription_id` where Stripe says it. Others are one-off.
    `unit_cents` is what its price asks for one.
    """

    price_id: str | None
    amount: int
    is_proration: bool
    starts_at: datetime
    ends_at: datetime
    is_of_item: bool = True
    subscription_id: str | None = None
    quantity: int = 1
    unit_cents: int | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class InvoiceState:
    """`reason` is Stripe's billing_reason; `paid_cents` what was really paid; `total_cents` what was asked, after
    discounts and with tax, before a customer's balance. `credited_cents` is what credit notes took off it before it
    was paid. `coupon_ids` are those of its discounts, where Stripe named them."""

    stripe_id: str
    subscription_id: str | None
    reason: str
    status: str
    paid_cents: int
    total_cents: int
    currency: str
    created_at: datetime
    paid_at: datetime | None = None
    payment_intent_id: str | None = None
    number: str = ""
    page_url: str | None = None
    pdf_url: str | None = None
    lines: tuple[LineState, ...] = ()
    credited_cents: int = 0
    discount_cents: int = 0
    tax_cents: int = 0
    included_tax_cents: int = 0
    coupon_ids: tuple[str, ...] = ()

    @property
    def is_paid(self) -> bool:
        return self.status == "paid"

    @property
    def is_discounted(self) -> bool:
        return self.discount_cents > 0 or bool(self.coupon_ids)

    @property
    def period_lines(self) -> list[LineState]:
        """Those that sell a whole new period of the subscription's items; a trial's costs nothing and is none."""
        return [line for line in self.lines if self.sells(line) and not line.is_proration and line.is_of_item]

    @property
    def growth_lines(self) -> list[LineState]:
        """Those that sell the rest of a running period."""
        return [line for line in self.lines if self.sells(line) and line.is_proration]

    def sells(self, line: LineState) -> bool:
        """Whether it sells something of the subscription's; under a whole discount a rest costs nothing."""
        costs = line.amount > 0 or (line.amount == 0 and line.is_proration and self.is_discounted)
        return costs and line.subscription_id in (None, self.subscription_id)


@dataclass(frozen=True, slots=True)
class ItemState:
    """One thing that a subscription sells. What is sold here has one; others are of Stripe's dashboard."""

    stripe_id: str
    price_id: str
    period_start: datetime
    period_end: datetime
    quantity: int = 1
    unit_cents: int | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """`status` is an open word: one that is not known gives no rights. `pay_url` mends an unpaid invoice.

    `item_id`, `price_id` and the period are those of the first item, until `of` chooses another one. `next_cents`: what
    the prices of the next period ask for one, where Stripe said it.
    """

    stripe_id: str
    status: str
    customer_id: str
    item_id: str
    price_id: str
    period_start: datetime
    period_end: datetime
    cancel_at_period_end: bool = False
    cancel_at: datetime | None = None
    is_collection_paused: bool = False
    trial_start: datetime | None = None
    trial_end: datetime | None = None
    ended_at: datetime | None = None
    schedule_id: str | None = None
    next_price_ids: tuple[str, ...] = ()
    next_cents: dict[str, int] = field(default_factory=dict)
    pay_url: str | None = None
    card: CardState | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    items: tuple[ItemState, ...] = ()

    @property
    def is_ending(self) -> bool:
        """Whether it ends with its period, or before: newer subscriptions that are cancelled in Stripe's portal name
        only the moment."""
        return self.cancel_at_period_end or (self.cancel_at is not None and self.cancel_at <= self.period_end)

    @property
    def timing_notes(self) -> list[str]:
        """What was set at Stripe's dashboard about whether it is charged, and until when."""
        notes = ["collection is paused at Stripe: no invoice is paid"] if self.is_collection_paused else []
        if self.cancel_at and self.cancel_at != self.period_end:
            notes.append(f"it ends on {self.cancel_at:%Y-%m-%d} at Stripe")
        return notes

    def of(self, item: ItemState) -> "SubscriptionState":
        """The same, about that item."""
        return replace(
            self,
            item_id=item.stripe_id,
            price_id=item.price_id,
            period_start=item.period_start,
            period_end=item.period_end,
        )


@dataclass(frozen=True, slots=True)
class PaymentState:
    """A payment intent. `received_cents` counts only once `status` is succeeded."""

    stripe_id: str
    status: str
    amount_cents: int
    received_cents: int
    currency: str
    customer_id: str | None
    created_at: datetime
    card_id: str | None = None
    decline_code: str | None = None
    confirm_url: str | None = None
    receipt_url: str | None = None
    method: str = ""
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def is_paid(self) -> bool:
        return self.status == "succeeded"


def is_credit_note(stripe_id: str | None) -> bool:
    """Whether money came back by a credit note, without a refund."""
    return (stripe_id or "").startswith("cn_")


@dataclass(frozen=True, slots=True)
class RefundState:
    """A refund, or what a credit note gave back without one."""

    stripe_id: str
    amount_cents: int
    status: str
    created_at: datetime

    @property
    def is_gone(self) -> bool:
        """Whether the money did not reach the customer after all."""
        return self.status in {"failed", "canceled"}


@dataclass(frozen=True, slots=True)
class DisputeState:
    stripe_id: str
    status: str
    payment_intent_id: str | None


@dataclass(frozen=True, slots=True)
class SessionState:
    """A checkout session: where a customer pays, subscribes or saves a card."""

    stripe_id: str
    mode: str
    status: str
    payment_status: str
    url: str | None
    customer_id: str | None
    client_reference_id: str | None
    payment_intent_id: str | None
    subscription_id: str | None
    setup_intent_id: str | None
    amount_cents: int | None
    currency: str | None
    tax_cents: int = 0
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CustomerState:
    stripe_id: str
    is_deleted: bool
    default_card_id: str | None = None


@dataclass(frozen=True, slots=True)
class PreviewState:
    """What a change would cost: the invoice of now, in cents."""

    due_cents: int
    currency: str
    lines: tuple[tuple[str, int], ...]
