"""What we sell, plans and credit packs, and what a purchase is worth. billing-rules.md 2 and 7."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Self, TypeVar

from sqlalchemy import JSON, CheckConstraint, select, text
from sqlalchemy.orm import Mapped, mapped_column, validates

from app.db.types import BigId, Nanos
from app.extensions import db
from app.models.base import Model, has_text, not_negative, one_of, partial_index, share, utcnow
from app.models.catalog.currency import step
from app.models.catalog.pack_tier import MOST_PACKS, PackTier
from app.models.catalog.quote import Quote
from app.models.catalog.worth import (
    BPS,
    amount_bounds,
    credits_per_unit,
    currency,
    unit_nanos,
    without_tax,
    worth_of,
)
from app.models.metering.balance import LONGEST_WINDOW
from app.models.metering.refusal import PricingError

LOCKED_TERMS = ("price_cents", "currency", "interval")


class Listed:
    """What plans and packs have in common: a place in the list, a currency, a margin, and what Stripe knows of them."""

    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(default="active")
    position: Mapped[int] = mapped_column(default=0)
    currency: Mapped[str] = mapped_column(default=currency)
    margin_bps: Mapped[int] = mapped_column(default=5000)
    terms_locked_at: Mapped[datetime | None]
    replaces_id: Mapped[int | None] = mapped_column(BigId)
    stripe_product_id: Mapped[str | None] = mapped_column(unique=True)
    stripe_price_id: Mapped[str | None] = mapped_column(unique=True)
    former_price_ids: Mapped[list[str]] = mapped_column(default=list)
    published_digest: Mapped[str] = mapped_column(default="")

    @classmethod
    def on_offer(cls) -> list[Self]:
        """What can be chosen now, in the order of the pricing page."""
        listed: Any = cls
        offered = select(listed).where(listed.status == "active")
        ordered = offered.order_by(listed.position, listed.price_cents, listed.id)
        return list(db.session.scalars(ordered))

    def lock_terms(self) -> None:
        """From the first sale on, price, currency and interval stay as they were bought."""
        self.terms_locked_at = self.terms_locked_at or utcnow()


class Plan(Listed, Model):
    """A way to be charged: a price for a period, an allowance, and limits."""

    __tablename__ = "plans"
    __table_args__ = (
        one_of("status", "active", "legacy", "inactive"),
        one_of("interval", "month", "year"),
        *not_negative("price_cents", "surcharge_cents", "trial_days", "sale_price_cents"),
        CheckConstraint("surcharge_cents <= price_cents", name="surcharge_within_price"),
        CheckConstraint("margin_bps >= 0 AND margin_bps < 10000", name="margin_in_range"),
        *not_negative("allowance_override_nanos", "daily_limit_nanos", "chats_per_month"),
        *not_negative("documents", "images_per_month", "window_limit_nanos"),
        CheckConstraint(f"window_hours >= 1 AND window_hours <= {LONGEST_WINDOW}", name="window_hours_in_range"),
        CheckConstraint("(window_hours IS NULL) = (window_limit_nanos IS NULL)", name="window_whole"),
        CheckConstraint("parallel_calls >= 1", name="parallel_calls_positive"),
        CheckConstraint("NOT is_default OR (status = 'active' AND price_cents = 0)", name="default_is_free"),
        partial_index("uq_plans_one_default", "is_default", unique=True, where=text("is_default")),
    )

    is_default: Mapped[bool] = mapped_column(default=False)
    is_popular: Mapped[bool] = mapped_column(default=False)

    price_cents: Mapped[int] = mapped_column(default=0)
    interval: Mapped[str] = mapped_column(default="month")
    surcharge_cents: Mapped[int] = mapped_column(default=0)
    trial_days: Mapped[int] = mapped_column(default=0)
    sale_price_cents: Mapped[int | None]
    sale_ends_at: Mapped[datetime | None]

    allowance_override_nanos: Mapped[Nanos | None]
    daily_limit_nanos: Mapped[Nanos | None]
    window_hours: Mapped[int | None]
    window_limit_nanos: Mapped[Nanos | None]
    chats_per_month: Mapped[int | None]
    documents: Mapped[int | None]
    images_per_month: Mapped[int | None]
    parallel_calls: Mapped[int | None]
    models: Mapped[list[str]] = mapped_column(default=list)
    has_api: Mapped[bool] = mapped_column(default=True)
    allows_packs: Mapped[bool] = mapped_column(default=True)
    has_priority_support: Mapped[bool] = mapped_column(default=False)
    has_custom_branding: Mapped[bool] = mapped_column(default=False)
    bullets: Mapped[list[str]] = mapped_column(default=list)

    stripe_sale_price_id: Mapped[str | None]

    @classmethod
    def default(cls) -> "Plan":
        return db.session.scalars(select(cls).where(cls.is_default)).one()

    @classmethod
    def with_stripe_price(cls, price_id: str) -> "Plan | None":
        """The plan of a price at Stripe, of one that it had before too."""
        is_current = (cls.stripe_price_id == price_id) | (cls.stripe_sale_price_id == price_id)
        return db.session.scalar(select(cls).where(is_current | has_text(cls.former_price_ids, price_id)))

    @property
    def is_on_sale(self) -> bool:
        """Whether new subscribers pay its sale price now; those who have it stay at what they pay."""
        return self.sale_price_cents is not None and self.sale_ends_at is not None and utcnow() < self.sale_ends_at

    @property
    def asked_cents(self) -> int:
        """What a period costs who subscribes now. What it is worth never depends on a sale."""
        return self.sale_price_cents if self.is_on_sale and self.sale_price_cents is not None else self.price_cents

    @property
    def asked_price_id(self) -> str | None:
        return self.stripe_sale_price_id if self.is_on_sale else self.stripe_price_id

    def cents_of(self, price_id: str) -> int:
        """What a period costs at one of its prices at Stripe."""
        is_sale = price_id == self.stripe_sale_price_id and self.sale_price_cents is not None
        return self.sale_price_cents if is_sale and self.sale_price_cents is not None else self.price_cents

    @property
    def monthly_cents(self) -> int:
        """What it costs a month, whatever the interval, in whole cents."""
        return self.price_cents // 12 if self.interval == "year" else self.price_cents

    @property
    def worth_nanos(self) -> int:
        """What one paid period is worth at today's columns."""
        return worth_of(self.price_cents, self.surcharge_cents, self.margin_bps)

    @property
    def allowance_nanos(self) -> int:
        """The allowance of one month: set outright by the admin, else computed; a year's is shared by twelve."""
        if self.allowance_override_nanos is not None:
            return self.allowance_override_nanos
        return self.worth_nanos if self.interval == "month" else share(self.worth_nanos, 1, 12)

    def allowance_without_tax(self, paid: int, included: int) -> int:
        """The month's allowance where so much of what was paid was tax within the price."""
        if self.allowance_override_nanos is not None or not 0 < included < paid:
            return self.allowance_nanos
        net = without_tax(self.price_cents, paid, included)
        worth = worth_of(net, min(self.surcharge_cents, net), self.margin_bps)
        return worth if self.interval == "month" else share(worth, 1, 12)

    @property
    def period_nanos(self) -> int:
        """The allowances of one paid period together."""
        return self.allowance_nanos * (12 if self.interval == "year" else 1)

    @property
    def trial_nanos(self) -> int:
        """What its trial gives: the month's allowance in proportion to thirty days."""
        return share(self.allowance_nanos, self.trial_days, 30)

    @property
    def credits_per_dollar(self) -> Decimal:
        """Credits of a paid period for each unit of its currency; 0 where it costs nothing."""
        return credits_per_unit(self.period_nanos, self.price_cents)

    @property
    def is_free(self) -> bool:
        return self.price_cents == 0

    @property
    def can_be_chosen(self) -> bool:
        return self.status == "active"

    def is_version_of(self, former: "Plan") -> bool:
        """Whether it is that plan, or took its place, maybe with others in between."""
        plan: Plan | None = self
        while plan is not None and plan.id != former.id:
            plan = db.session.get(Plan, plan.replaces_id) if plan.replaces_id else None
        return plan is not None

    def new_version(self) -> "Plan":
        """A copy that can be edited and chosen; this one goes on for those who have it."""
        return copy_as_new_version(self)


class CreditPack(Listed, Model):
    """Credits for a price, once. `is_any_amount`: for any amount within the settings' bounds, at its margin."""

    __tablename__ = "packs"
    __table_args__ = (
        one_of("status", "active", "legacy", "inactive"),
        CheckConstraint("price_cents > 0", name="price_positive"),
        CheckConstraint("margin_bps >= 0 AND margin_bps < 10000", name="margin_in_range"),
    )

    price_cents: Mapped[int]
    is_any_amount: Mapped[bool] = mapped_column(default=False)
    volume: Mapped[list[list[int]]] = mapped_column(JSON, default=list)
    """Its tiers: from how many on, and the margin then."""

    @validates("volume")
    def in_order(self, _name: str, pairs: Iterable[Iterable[int]]) -> list[list[int]]:
        tiers = sorted(map(list, pairs))
        quantities = {quantity for quantity, _ in tiers}
        are_in_range = all(quantity >= 2 and 0 <= margin < BPS for quantity, margin in tiers)
        if len(quantities) < len(tiers) or not are_in_range:
            raise PricingError("A volume tier starts at 2 or more, each once, at a margin from 0% to below 100%.")
        return tiers

    @property
    def tiers(self) -> list[PackTier]:
        return [PackTier(*pair) for pair in self.volume or ()]

    @property
    def asked_cents(self) -> int:
        return self.price_cents

    @property
    def worth_nanos(self) -> int:
        return worth_of(self.price_cents, 0, self.margin_bps)

    def margin_for(self, quantity: int) -> int:
        """The margin of a whole purchase of so many: that of the highest tier that it reaches."""
        reached = [tier.margin_bps for tier in self.tiers if tier.from_quantity <= quantity]
        return reached[-1] if reached else self.margin_bps

    def quote(self, quantity: int = 1, amount_cents: int | None = None) -> Quote:
        """What so many of it, or an amount of it, cost and are worth now."""
        cents = self.price_cents * quantity if amount_cents is None else amount_cents
        return Quote(self, quantity, cents, worth_of(cents, 0, self.margin_for(quantity)))

    def quote_worth(self, nanos: int) -> Quote:
        """The smallest purchase that is worth so much: of any amount within the bounds, or of whole packs."""
        if self.is_any_amount:
            lowest, highest = amount_bounds()
            return self.quote(amount_cents=min(max(self.cents_for(nanos), lowest), highest))
        sizes = (self.quote(quantity) for quantity in range(1, MOST_PACKS + 1))
        return next((quote for quote in sizes if quote.worth_nanos >= nanos), self.quote(MOST_PACKS))

    def cents_for(self, nanos: int) -> int:
        """The least amount, of those that can be charged, that is worth so much at its margin."""
        unit, nanos = step(self.currency), max(0, nanos)
        cents = nanos * BPS // (unit_nanos() * (BPS - self.margin_bps)) // unit * unit
        return cents if worth_of(cents, 0, self.margin_bps) >= nanos else cents + unit

    @property
    def credits_per_dollar(self) -> Decimal:
        return credits_per_unit(self.worth_nanos, self.price_cents)

    def new_version(self) -> "CreditPack":
        return copy_as_new_version(self)


Sold = TypeVar("Sold", Plan, CreditPack)

AT_STRIPE = {
    "stripe_product_id",
    "stripe_price_id",
    "stripe_sale_price_id",
    "former_price_ids",
    "published_digest",
}
NOT_COPIED = AT_STRIPE | {
    "id",
    "created_at",
    "terms_locked_at",
    "is_default",
    "sale_price_cents",
    "sale_ends_at",
}


def copy_as_new_version(sold: Sold) -> Sold:
    """Copy what is sold into a new active row, and make the old one legacy; what is inactive stays so."""
    copy = copy_as_draft(sold, {})
    copy.status = "active"
    if sold.status == "active":
        sold.status = "legacy"
    return copy


def copy_as_draft(sold: Sold, changes: Mapping[str, Any]) -> Sold:
    """Copy what is sold, with these columns changed, into a row that nobody can choose yet. The old one stays."""
    columns = [column.key for column in sold.__table__.columns if column.key not in NOT_COPIED]
    copy = type(sold)(**{name: getattr(sold, name) for name in columns} | dict(changes))
    copy.status, copy.replaces_id = "inactive", sold.id
    db.session.add(copy)
    return copy
