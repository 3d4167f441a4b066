"""Promotional codes: what one takes off, adds or gives, and for what. billing-rules.md 10."""

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import CheckConstraint, ColumnElement, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from app.db.types import Nanos
from app.extensions import db
from app.models.base import Model, has_text, not_negative, one_of, share
from app.models.catalog.offers import all_on_offer
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.quote import Quote
from app.models.catalog.worth import BPS, can_be_charged, currency, is_above_floor, real_margin_bps

KINDS = ("discount", "bonus", "gift")
DURATIONS = ("once", "repeating", "forever")
SPELLING = re.compile(r"[A-Z0-9](?:[A-Z0-9-]{1,38})[A-Z0-9]")


def spelled(typed: str | None) -> str | None:
    """A code as it is kept: capitals, digits and dashes; None for what can be none."""
    text = (typed or "").strip()
    code = text.upper() if text.isascii() else ""
    return code if SPELLING.fullmatch(code) else None


class PromotionCode(Model):
    """A code that somebody types.

    kind: discount (pays less, same worth) | bonus (pays all, is worth more) | gift (credits without a payment).
    `percent_bps` is a discount's or a bonus's, `amount_cents` a discount's. `plan_ids` and `pack_ids` say what it is
    for; both empty: everything. `redeemed` counts what is held and used, never above `most_redemptions`.
    """

    __tablename__ = "promotion_codes"
    __table_args__ = (
        one_of("kind", *KINDS),
        one_of("duration", *DURATIONS),
        *not_negative("redeemed"),
        CheckConstraint("most_redemptions >= 1", name="most_redemptions_positive"),
        CheckConstraint("(duration = 'repeating') = (coalesce(months, 0) > 0)", name="months_of_repeating"),
        CheckConstraint(
            "(kind = 'gift' AND coalesce(gift_nanos, 0) > 0)"
            " OR (kind = 'bonus' AND coalesce(percent_bps, 0) > 0)"
            " OR (kind = 'discount' AND (coalesce(percent_bps, 0) > 0) <> (coalesce(amount_cents, 0) > 0))",
            name="gives_what_its_kind_gives",
        ),
        CheckConstraint("kind <> 'discount' OR coalesce(percent_bps, 0) <= 10000", name="discount_within_all"),
    )

    code: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    is_active: Mapped[bool] = mapped_column(default=True)
    plan_ids: Mapped[list[str]] = mapped_column(default=list)
    pack_ids: Mapped[list[str]] = mapped_column(default=list)
    percent_bps: Mapped[int | None]
    amount_cents: Mapped[int | None]
    currency: Mapped[str] = mapped_column(default=currency)
    duration: Mapped[str] = mapped_column(default="once")
    months: Mapped[int | None]
    gift_nanos: Mapped[Nanos | None]
    first_purchase_only: Mapped[bool] = mapped_column(default=False)
    once_per_account: Mapped[bool] = mapped_column(default=True)
    most_redemptions: Mapped[int | None]
    redeemed: Mapped[int] = mapped_column(default=0)
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    stripe_coupon_id: Mapped[str | None] = mapped_column(unique=True)
    former_coupon_ids: Mapped[list[str]] = mapped_column(default=list)
    stripe_promotion_code_id: Mapped[str | None] = mapped_column(unique=True)
    published_digest: Mapped[str] = mapped_column(default="")

    @classmethod
    def named(cls, typed: str | None) -> "PromotionCode | None":
        """The code as somebody typed it, whatever the case of its letters."""
        code = spelled(typed)
        return db.session.scalar(select(cls).where(cls.code == code)) if code else None

    @classmethod
    def with_coupon(cls, coupon_id: str) -> "PromotionCode | None":
        """The code that a coupon at Stripe was made for, one that it had before too."""
        is_former = has_text(cls.former_coupon_ids, coupon_id)
        return db.session.scalar(select(cls).where(or_(cls.stripe_coupon_id == coupon_id, is_former)))

    @classmethod
    def name_version(cls, sold: Plan | CreditPack, version: Plan | CreditPack) -> "Iterator[PromotionCode]":
        """Have what is for a plan or pack be for its new version too: each code, as it is changed."""
        names = "plan_ids" if isinstance(sold, Plan) else "pack_ids"
        db.session.flush()
        for code in db.session.scalars(select(cls).where(has_text(getattr(cls, names), str(sold.id)))).all():
            setattr(code, names, [*getattr(code, names), str(version.id)])
            yield code

    def is_open(self, at: datetime) -> bool:
        """Whether it can be redeemed now, as far as it says itself."""
        has_begun = self.starts_at is None or self.starts_at <= at
        is_left = self.most_redemptions is None or self.redeemed < self.most_redemptions
        return self.is_active and has_begun and (self.ends_at is None or at < self.ends_at) and is_left

    def take_one(self) -> bool:
        """Count one more redemption; False where none is left, however many ask at once."""
        is_left = or_(PromotionCode.most_redemptions.is_(None), PromotionCode.redeemed < PromotionCode.most_redemptions)
        return self.count(+1, is_left)

    def count(self, by: int, *conditions: ColumnElement[bool]) -> bool:
        """Count redemptions, where the conditions hold; whether they did."""
        counted = update(PromotionCode).where(PromotionCode.id == self.id, *conditions)
        counted = counted.values(redeemed=PromotionCode.redeemed + by)
        done = db.session.execute(counted.execution_options(synchronize_session=False))
        db.session.expire(self, ["redeemed"])
        return done.rowcount == 1  # type: ignore[attr-defined]

    @property
    def is_wanted(self) -> bool:
        """What was retired before Stripe heard of it need not be told there."""
        return self.is_active or bool(self.published_digest)

    def discount_cents(self, cents: int) -> int:
        """What it takes off a price, as Stripe computes it: rounded half up, at most all of it."""
        if self.kind != "discount":
            return 0
        return share(cents, self.percent_bps, BPS) if self.percent_bps else min(self.amount_cents or 0, cents)

    def bonus_nanos(self, worth: int) -> int:
        return share(worth, self.percent_bps or 0, BPS) if self.kind == "bonus" else 0

    def is_for(self, sold: Plan | CreditPack) -> bool:
        """Whether it names the plan or pack, or all; a gift is for none, money off for what is in its currency."""
        if self.kind == "gift" or not sold.price_cents or (self.amount_cents and self.currency != sold.currency):
            return False
        named = self.plan_ids if isinstance(sold, Plan) else self.pack_ids
        return str(sold.id) in named or not (self.plan_ids or self.pack_ids)

    def sells(self, sold: Plan | CreditPack) -> bool:
        """Whether it is for that, leaves what Stripe can charge, and the floor of the margin."""
        worth, paid, surcharge = self.sale_of(sold)
        return self.is_for(sold) and can_be_charged(paid) and is_above_floor(worth, paid, surcharge)

    def sells_quote(self, quote: Quote) -> bool:
        """The same for a purchase of a pack, as many as it is of."""
        reduced = quote.with_code(self)
        paid = reduced.price_cents
        return self.is_for(quote.pack) and can_be_charged(paid) and is_above_floor(reduced.worth_nanos, paid)

    def margin_of(self, sold: Plan | CreditPack) -> int | None:
        """The real margin of a sale with it, in basis points; None where nothing is paid."""
        return real_margin_bps(*self.sale_of(sold))

    def sale_of(self, sold: Plan | CreditPack) -> tuple[int, int, int]:
        """Worth in nanos, what is paid and the surcharge in cents, of a paid period or of one pack."""
        worth = sold.period_nanos if isinstance(sold, Plan) else sold.worth_nanos
        surcharge = sold.surcharge_cents if isinstance(sold, Plan) else 0
        paid = sold.asked_cents - self.discount_cents(sold.asked_cents)
        return worth + self.bonus_nanos(worth), paid, surcharge

    def sold_with(self) -> list[Plan | CreditPack]:
        """What it can be used for now."""
        return [sold for sold in all_on_offer() if self.sells(sold)]

    def products(self) -> list[Plan | CreditPack]:
        """What Stripe takes it off: plans that it sells, and packs, of which more than one may be what it sells."""
        return [
            sold for sold in all_on_offer() if self.sells(sold) or (self.is_for(sold) and isinstance(sold, CreditPack))
        ]

    def listing(self) -> str:
        """What Stripe is told of it, in short: where it differs from `published_digest`, it is to be told again."""
        products = sorted(sold.stripe_product_id or "" for sold in self.products())
        off = self.percent_bps, self.amount_cents, self.currency, self.duration, self.months
        terms = (self.code, off, products, self.is_active and self.kind == "discount")
        return hashlib.sha256(repr(terms).encode()).hexdigest()
