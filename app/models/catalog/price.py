"""What a model costs from a day on. billing-rules.md 3."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, delete, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.types import Nanos
from app.extensions import db
from app.models.base import Model, not_negative, partial_index, refers_to, utcnow
from app.models.catalog.price_schedule import EVERY_DAY, ORDINARY, WHOLE_DAY, Schedule
from app.models.catalog.rates import Rates
from app.providers.base import TOKEN_BUCKETS, Prompt, TokenUsage

ORDINARY_ANSWER_TOKENS = 400
APPROVED = text("approved_at IS NOT NULL")


class Approvable:
    """A price that counts once it is approved. No two that count are the same in each column of `PLACE`."""

    PLACE: ClassVar[tuple[str, ...]]

    def approve(self, by_id: int | None = None, at: datetime | None = None) -> None:
        """Let it count, from its day on or from now. An announcement that it corrects, and nobody was sold at, goes.

        Rows that belong together are approved at one moment: a later row of all hours would hide the others.
        """
        price: Any = self
        now, kind = at or utcnow(), type(price)
        price.effective_from = max(price.effective_from, now)
        same = [getattr(kind, name) == getattr(price, name) for name in self.PLACE]
        db.session.execute(delete(kind).where(kind.approved_at.is_not(None), *same))
        price.approved_at, price.approved_by_id = now, by_id


class ModelPrice(Approvable, Model):
    """A model's price from a day on. A row counts once it is approved; a sold-at price never changes.

    Where the provider charges by the hour or the day, a row holds from `from_minute` to `until_minute` of its
    `weekdays`, but not on its `excepted_dates`, all of them in its `zone`: see `price_schedule`. `service_tier` is the
    tier that it is for, as its vendor reports it; empty: the ordinary one. `image_input_nanos` and `image_output_nanos`
    are for a million tokens of images, of a model that makes them.
    """

    PLACE = "model_id", "effective_from", "from_minute", "weekdays", "service_tier"

    __tablename__ = "model_prices"
    __table_args__ = (
        partial_index("uq_model_prices_approved", *PLACE, unique=True, where=APPROVED),
        *not_negative(*(f"{bucket}_nanos" for bucket in TOKEN_BUCKETS)),
        *not_negative(*(f"long_{bucket}_nanos" for bucket in TOKEN_BUCKETS)),
        *not_negative("image_nanos", "search_nanos", "long_context_above"),
        *not_negative("image_input_nanos", "image_output_nanos"),
        CheckConstraint("0 <= from_minute AND from_minute < until_minute AND until_minute <= 1440", name="hours"),
    )

    model_id: Mapped[int] = refers_to("models.id", index=True)
    effective_from: Mapped[datetime]
    from_minute: Mapped[int] = mapped_column(default=0)
    until_minute: Mapped[int] = mapped_column(default=WHOLE_DAY)
    weekdays: Mapped[str] = mapped_column(default=EVERY_DAY, server_default=EVERY_DAY)
    excepted_dates: Mapped[str] = mapped_column(default="", server_default="")
    zone: Mapped[str] = mapped_column(default="UTC", server_default="UTC")
    service_tier: Mapped[str] = mapped_column(default=ORDINARY, server_default=ORDINARY)
    approved_at: Mapped[datetime | None]
    approved_by_id: Mapped[int | None] = refers_to("users.id")
    source: Mapped[str] = mapped_column(default="admin")

    uncached_input_nanos: Mapped[Nanos]
    cache_read_nanos: Mapped[Nanos]
    cache_write_5m_nanos: Mapped[Nanos]
    cache_write_1h_nanos: Mapped[Nanos]
    output_nanos: Mapped[Nanos]
    long_context_above: Mapped[int | None]
    long_uncached_input_nanos: Mapped[Nanos | None]
    long_cache_read_nanos: Mapped[Nanos | None]
    long_cache_write_5m_nanos: Mapped[Nanos | None]
    long_cache_write_1h_nanos: Mapped[Nanos | None]
    long_output_nanos: Mapped[Nanos | None]
    image_nanos: Mapped[Nanos | None]
    search_nanos: Mapped[Nanos | None]
    image_input_nanos: Mapped[Nanos | None]
    image_output_nanos: Mapped[Nanos | None]

    model = relationship("AIModel", back_populates="prices")

    @property
    def tier(self) -> str:
        return self.service_tier or ORDINARY

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.from_minute, self.until_minute, self.weekdays, self.excepted_dates, self.zone)

    @property
    def rates(self) -> Rates:
        tokens = {bucket: getattr(self, f"{bucket}_nanos") for bucket in TOKEN_BUCKETS}
        long = {bucket: getattr(self, f"long_{bucket}_nanos") for bucket in TOKEN_BUCKETS}
        return Rates(
            tokens=tokens,
            long={bucket: tokens[bucket] if price is None else price for bucket, price in long.items()},
            long_context_above=self.long_context_above,
            pieces={"images": self.image_nanos, "searches": self.search_nanos},
        )

    def expected_cost_of(self, prompt: Prompt) -> int:
        """What this prompt will come to with an answer of ordinary length, in nanos; never above the ceiling."""
        output = min(prompt.max_output_tokens, ORDINARY_ANSWER_TOKENS)
        ordinary = TokenUsage(uncached_input=prompt.tokens, output=output)
        return min(self.ceiling_of(prompt), self.rates.cost_of(ordinary))

    def ceiling_of(self, prompt: Prompt) -> int:
        """The most that this prompt can cost, in nanos."""
        return self.rates.most_for(prompt.input_token_bound, prompt.max_output_tokens)


FIGURES = [
    column.key
    for column in ModelPrice.__table__.columns
    if column.key.endswith("_nanos") or column.key == "long_context_above"
]
"""What a price says that calls cost."""
