"""The price list: providers, the models they serve, and what each model costs. billing-rules.md 3."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, and_, bindparam, delete, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.compiled_statement import CompiledStatement
from app.db.types import Nanos
from app.extensions import db
from app.models.base import Model, not_negative, one_of, refers_to, utcnow
from app.models.metering.refusal import PricingError, Refusal
from app.providers.base import Prompt, TokenUsage

TOKEN_BUCKETS = ("uncached_input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
INPUT_BUCKETS = TOKEN_BUCKETS[:-1]
PIECES = ("images", "searches")
ORDINARY_ANSWER_TOKENS = 400
APPROVED = text("approved_at IS NOT NULL")


@dataclass(frozen=True, slots=True)
class Rates:
    """What one model costs: nano-dollars per million tokens of each bucket, and per image and search.

    `long_context_above` is the number of input tokens past which `long` re-prices the whole call.
    """

    tokens: dict[str, int]
    long: dict[str, int]
    long_context_above: int | None
    pieces: dict[str, int | None]

    def cost_of(self, usage: TokenUsage) -> int:
        """The cost in nanos, rounded once, half up. PricingError where a piece was used that has no price."""
        per_million = self._tier(usage.input_tokens)
        millionths = sum(getattr(usage, bucket) * per_million[bucket] for bucket in TOKEN_BUCKETS)
        return (millionths + 500_000) // 1_000_000 + sum(
            self._piece(piece, getattr(usage, piece)) for piece in PIECES
        )

    def prices_for(self, input_tokens: int) -> dict[str, int | None]:
        """The price of each bucket and piece, in a call with so many input tokens."""
        return {**self._tier(input_tokens), **self.pieces}

    def most_for(self, input_tokens: int, output_tokens: int) -> int:
        """The most that a call with at most these tokens can cost, in nanos, rounded up."""
        return -(-self._most_millionths(input_tokens, output_tokens) // 1_000_000)

    def output_tokens_for(self, nanos: int, input_tokens: int) -> int:
        """How many output tokens `nanos` affords after the input; negative where not even the input."""
        left = nanos * 1_000_000 - self._most_millionths(input_tokens, 0)
        return left // max(1, self._dearest(("output",), input_tokens))

    def _most_millionths(self, input_tokens: int, output_tokens: int) -> int:
        dearest_input = self._dearest(INPUT_BUCKETS, input_tokens)
        dearest_output = self._dearest(("output",), input_tokens)
        return input_tokens * dearest_input + output_tokens * dearest_output

    def _dearest(self, buckets: Iterable[str], input_tokens: int) -> int:
        tiers = (self.tokens, self._tier(input_tokens))
        return max(tier[bucket] for tier in tiers for bucket in buckets)

    def _tier(self, input_tokens: int) -> dict[str, int]:
        is_long = self.long_context_above is not None and input_tokens > self.long_context_above
        return self.long if is_long else self.tokens

    def _piece(self, piece: str, count: int) -> int:
        price = self.pieces[piece]
        if count and price is None:
            raise PricingError(f"{count} {piece} were used, which have no price")
        return count * (price or 0)


class ProviderAccount(Model):
    """Where models are served: which wire format, at what address, and the variable that holds its key."""

    __tablename__ = "providers"
    __table_args__ = (one_of("kind", "openai", "anthropic", "demo"),)

    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    base_url: Mapped[str | None]
    base_url_variable: Mapped[str | None]
    key_variable: Mapped[str | None]
    is_enabled: Mapped[bool] = mapped_column(default=True)

    @property
    def api_key(self) -> str | None:
        return os.environ.get(self.key_variable) if self.key_variable else None

    @property
    def address(self) -> str | None:
        """The environment's address where a variable is named and set, else the row's."""
        return (os.environ.get(self.base_url_variable) if self.base_url_variable else None) or self.base_url

    @property
    def is_usable(self) -> bool:
        return self.is_enabled and (self.key_variable is None or bool(self.api_key))


class AIModel(Model):
    """A model that may be sold: its public id, whose it is, and what it can take.

    `image_tokens` is the most that an image of any size counts as; None: the rule of the provider's kind holds.
    """

    __tablename__ = "models"
    __table_args__ = (
        CheckConstraint("max_output_tokens > 0 AND context_window > 0", name="sizes_positive"),
        CheckConstraint("image_tokens > 0", name="image_tokens_positive"),
    )

    name: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    provider_id: Mapped[int] = refers_to("providers.id")
    upstream_name: Mapped[str | None]
    context_window: Mapped[int]
    max_output_tokens: Mapped[int]
    is_reasoning: Mapped[bool] = mapped_column(default=False)
    takes_images: Mapped[bool] = mapped_column(default=False)
    image_tokens: Mapped[int | None]
    is_for_sale: Mapped[bool] = mapped_column(default=True)
    is_free_for_guests: Mapped[bool] = mapped_column(default=False)
    speed: Mapped[str] = mapped_column(default="medium")
    position: Mapped[int] = mapped_column(default=0)

    provider = relationship("ProviderAccount", lazy="joined", innerjoin=True)
    prices = relationship("ModelPrice", back_populates="model")

    @classmethod
    def named(cls, name: str) -> AIModel | None:
        return db.session.scalar(select(cls).where(cls.name == name))

    @classmethod
    def for_sale(cls, at: datetime | None = None) -> list[tuple[AIModel, ModelPrice]]:
        """The models that can be called now, each with the price in force."""
        offered: dict[AIModel, ModelPrice] = {}
        for model, price in db.session.execute(OFFERED, moment_of(at or utcnow())):
            if price and model.provider.is_usable:
                offered.setdefault(model, price)
        return list(offered.items())

    @classmethod
    def to_sell(cls, name: str, at: datetime) -> tuple[AIModel, ModelPrice]:
        """The model of that name and its price at that moment, to be read. Refusal where unknown or not for sale."""
        row = NAMED.first(db.session.connection(), {"name": name, **moment_of(at)})
        if row is None:
            raise Refusal("model_not_found", f"There is no model called {name!r}. Choose one from the list.")
        model, price = AIModel.apart(row[:PROVIDER]), ModelPrice.apart(row[PRICE:])
        model.provider = ProviderAccount.apart(row[PROVIDER:PRICE])
        if price.id is None or not model.is_for_sale or not model.provider.is_usable:
            raise Refusal(
                "model_not_for_sale", f"{name} is not on sale here at the moment. Choose another model."
            )
        return model, price


class ModelPrice(Model):
    """A model's price from a day on. A row counts once it is approved; a sold-at price never changes.

    Where the provider charges by the hour, the rows of one day on hold for the minutes of the UTC day from
    `from_minute` to `until_minute`. Of the rows that hold at a moment the latest counts, of these the narrowest.
    """

    __tablename__ = "model_prices"
    __table_args__ = (
        Index(
            "uq_model_prices_approved",
            "model_id",
            "effective_from",
            "from_minute",
            unique=True,
            postgresql_where=APPROVED,
            sqlite_where=APPROVED,
        ),
        *not_negative(*(f"{bucket}_nanos" for bucket in TOKEN_BUCKETS)),
        *not_negative(*(f"long_{bucket}_nanos" for bucket in TOKEN_BUCKETS)),
        *not_negative("image_nanos", "search_nanos", "long_context_above"),
        CheckConstraint(
            "0 <= from_minute AND from_minute < until_minute AND until_minute <= 1440", name="hours"
        ),
    )

    model_id: Mapped[int] = refers_to("models.id", index=True)
    effective_from: Mapped[datetime]
    from_minute: Mapped[int] = mapped_column(default=0)
    until_minute: Mapped[int] = mapped_column(default=1440)
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

    model = relationship("AIModel", back_populates="prices")

    def approve(self, by_id: int | None = None) -> None:
        """Let it count, from its day on or from now. An announcement that it corrects, and nobody was sold at, goes."""
        now = utcnow()
        self.effective_from = max(self.effective_from, now)
        same = ModelPrice.effective_from == self.effective_from, ModelPrice.from_minute == self.from_minute
        announced = ModelPrice.model_id == self.model_id, ModelPrice.approved_at.is_not(None), *same
        db.session.execute(delete(ModelPrice).where(*announced))
        self.approved_at, self.approved_by_id = now, by_id

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


def titles_of(names: Sequence[str]) -> list[str]:
    """What people call these models; the name itself where there is none of it."""
    titles = {model.name: model.title for model in db.session.scalars(select(AIModel))}
    return [titles.get(name, name) for name in names]


def moment_of(at: datetime) -> dict[str, Any]:
    """The parameters of the two statements for a call that begins at that moment."""
    return {"at": at, "minute": at.hour * 60 + at.minute}


HOLDS = and_(
    ModelPrice.model_id == AIModel.id,
    ModelPrice.approved_at.is_not(None),
    ModelPrice.effective_from <= bindparam("at"),
    ModelPrice.from_minute <= bindparam("minute"),
    ModelPrice.until_minute > bindparam("minute"),
)
NEWEST_AND_NARROWEST = (ModelPrice.effective_from.desc(), ModelPrice.until_minute - ModelPrice.from_minute)
OFFERED = (
    select(AIModel, ModelPrice)
    .outerjoin(ModelPrice, HOLDS)
    .where(AIModel.is_for_sale)
    .order_by(AIModel.position, AIModel.id, *NEWEST_AND_NARROWEST)
)
"""The price in force stands first of a model's rows."""

MODELS, PROVIDERS, PRICES = (table.__table__ for table in (AIModel, ProviderAccount, ModelPrice))
PROVIDER, PRICE = len(MODELS.c), len(MODELS.c) + len(PROVIDERS.c)
NAMED = CompiledStatement(
    select(*MODELS.c, *PROVIDERS.c, *PRICES.c)
    .select_from(MODELS.join(PROVIDERS).outerjoin(PRICES, HOLDS))
    .where(MODELS.c.name == bindparam("name"))
    .order_by(*NEWEST_AND_NARROWEST)
    .limit(1)
)
