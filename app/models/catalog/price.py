"""The price list: providers, the models they serve, and what each model costs. billing-rules.md 3."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import CheckConstraint, and_, bindparam, delete, false, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.compiled_statement import CompiledStatement, Row
from app.db.types import Nanos
from app.extensions import db
from app.models.base import Model, at_once, not_negative, partial_index, refers_to, utcnow
from app.models.catalog.price_schedule import EVERY_DAY, ORDINARY, WHOLE_DAY, Schedule, in_force
from app.models.catalog.provider_account import ProviderAccount
from app.models.catalog.rates import Rates
from app.models.metering.refusal import InvalidRequest, Refusal
from app.providers.base import TOKEN_BUCKETS, Prompt, TokenUsage

ORDINARY_ANSWER_TOKENS = 400
WARNED = timedelta(days=30)
"""How long before its last day those who use a model are told."""

EMBEDS = "makes embeddings and writes no text. Ask it by POST /v1/embeddings."
WRITES = "makes no embeddings. Choose a model that does: GET /v1/models lists them."
APPROVED = text("approved_at IS NOT NULL")


class AIModel(Model):
    """A model that may be sold: its public id, whose it is, and what it can take.

    `image_tokens` is the most that an image of any size counts as; None: the rule of the provider's kind holds.
    `context_window` bounds input and output together, `max_input_tokens` the input alone where the vendor states one.
    From `sold_until` on it cannot be called; `successor` is the name of the model that takes its place.
    `makes_images`: it answers with images, at the prices of `ImagePrice`, and is offered where images are made only.
    `extra_input_tokens` is the most that its host adds to a prompt; None: not known yet. It is learned from reports
    above the bound, as `limit_name` is from more output than was asked for.
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
    max_input_tokens: Mapped[int | None]
    max_output_tokens: Mapped[int]
    sold_until: Mapped[datetime | None]
    successor: Mapped[str | None]
    is_reasoning: Mapped[bool] = mapped_column(default=False)
    takes_images: Mapped[bool] = mapped_column(default=False)
    makes_images: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_embedding: Mapped[bool] = mapped_column(default=False, server_default=false())
    image_tokens: Mapped[int | None]
    extra_input_tokens: Mapped[int | None]
    limit_name: Mapped[str | None]
    is_for_sale: Mapped[bool] = mapped_column(default=True)
    is_free_for_guests: Mapped[bool] = mapped_column(default=False)
    speed: Mapped[str] = mapped_column(default="medium")
    position: Mapped[int] = mapped_column(default=0)

    provider = relationship("ProviderAccount", lazy="joined", innerjoin=True)
    prices = relationship("ModelPrice", back_populates="model")

    @property
    def most_output(self) -> int:
        """The most output of a call: half of a small window is left for what is asked."""
        return min(self.max_output_tokens, max(1, self.context_window // 2))

    @classmethod
    def named(cls, name: str) -> AIModel | None:
        return db.session.scalar(select(cls).where(cls.name == name))

    @classmethod
    def for_sale(cls, at: datetime | None = None, *, is_embedding: bool = False) -> list[tuple[AIModel, ModelPrice]]:
        """The models that can be called now, each with the price in force: those that write, or those that embed."""
        now = at or utcnow()
        prices: dict[AIModel, list[ModelPrice]] = {}
        for model, price in db.session.execute(OFFERED, {"at": now}):
            is_offered = model.is_embedding == is_embedding and model.provider.is_usable
            if is_offered and not model.is_retired(now):
                prices.setdefault(model, []).append(price)
        offered = ((model, in_force(rows, now, model.provider.tier)) for model, rows in prices.items())
        return [(model, price) for model, price in offered if price]

    @classmethod
    def to_sell(cls, name: str, at: datetime, *, is_embedding: bool = False) -> tuple[AIModel, ModelPrice]:
        """The model of that name and its price at that moment, to be read. Refusal where unknown or not for sale."""
        with at_once() as connection:
            rows = NAMED.all(connection, {"name": name, "at": at})
        if not rows:
            raise Refusal("model_not_found", context={"name": name})
        return cls.offer_of(rows, name, at, is_embedding=is_embedding)

    @classmethod
    def offer_of(
        cls, rows: Sequence[Row], name: str, at: datetime, *, is_embedding: bool = False
    ) -> tuple[AIModel, ModelPrice]:
        """The same, of rows that `NAMED` or another statement read."""
        model = AIModel.apart(rows[0][:PROVIDER])
        model.provider = ProviderAccount.apart(rows[0][PROVIDER:PRICE])
        if model.makes_images:
            raise Refusal("model_not_for_sale", context={"name": model.title, "makes_images": True})
        if model.is_retired(at):
            raise model.retired(at)
        prices = [ModelPrice.apart(row[PRICE:]) for row in rows if row[PRICE] is not None]
        price = in_force(prices, at, model.provider.tier)
        if price is None or not model.is_for_sale or not model.provider.is_usable:
            raise Refusal("model_not_for_sale", context={"name": name})
        if model.is_embedding != is_embedding:
            raise InvalidRequest({"model": [EMBEDS if model.is_embedding else WRITES]})
        return model, price

    @property
    def is_ending(self) -> bool:
        """Whether its last day is known and near."""
        return self.sold_until is not None and self.sold_until - utcnow() <= WARNED

    def is_retired(self, at: datetime) -> bool:
        return self.sold_until is not None and self.sold_until <= at

    def retired(self, at: datetime) -> Refusal:
        """The refusal that names the day, and what to ask instead where that is on sale."""
        others = AIModel.for_sale(at, is_embedding=self.is_embedding)
        other = next((model for model, _ in others if model.name == self.successor), None)
        context = {"name": self.name, "sold_until": self.sold_until}
        return Refusal("model_not_for_sale", context=context, model=other.name if other else None)

    def input_limit(self, output_tokens: int) -> int:
        """The most input tokens of a call that may write so many."""
        left = self.context_window - output_tokens
        return left if self.max_input_tokens is None else min(left, self.max_input_tokens)


class ModelPrice(Model):
    """A model's price from a day on. A row counts once it is approved; a sold-at price never changes.

    Where the provider charges by the hour or the day, a row holds from `from_minute` to `until_minute` of its
    `weekdays`, but not on its `excepted_dates`, all of them in its `zone`: see `price_schedule`. `service_tier` is the
    tier that it is for, as its vendor reports it; empty: the ordinary one. `image_input_nanos` and `image_output_nanos`
    are for a million tokens of images, of a model that makes them.
    """

    __tablename__ = "model_prices"
    __table_args__ = (
        partial_index(
            "uq_model_prices_approved",
            "model_id",
            "effective_from",
            "from_minute",
            "weekdays",
            "service_tier",
            unique=True,
            where=APPROVED,
        ),
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

    def approve(self, by_id: int | None = None, at: datetime | None = None) -> None:
        """Let it count, from its day on or from now. An announcement that it corrects, and nobody was sold at, goes.

        Rows that belong together are approved at one moment: a later row of all hours would hide the others.
        """
        now = at or utcnow()
        self.effective_from = max(self.effective_from, now)
        place = "model_id", "effective_from", "from_minute", "weekdays", "service_tier"
        same = [getattr(ModelPrice, name) == getattr(self, name) for name in place]
        db.session.execute(delete(ModelPrice).where(ModelPrice.approved_at.is_not(None), *same))
        self.approved_at, self.approved_by_id = now, by_id

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


def titles_of(names: Sequence[str]) -> list[str]:
    """What people call these models; the name itself where there is none of it."""
    titles = {model.name: model.title for model in db.session.scalars(select(AIModel))}
    return [titles.get(name, name) for name in names]


FIGURES = [
    column.key
    for column in ModelPrice.__table__.columns
    if column.key.endswith("_nanos") or column.key == "long_context_above"
]
"""What a price says that calls cost."""

MODELS, PROVIDERS, PRICES = (table.__table__ for table in (AIModel, ProviderAccount, ModelPrice))
LATER = PRICES.alias("later")
IS_COUNTED = and_(ModelPrice.approved_at.is_not(None), ModelPrice.effective_from <= bindparam("at"))
IS_REPLACED = (
    select(LATER.c.id)
    .where(
        LATER.c.model_id == ModelPrice.model_id,
        LATER.c.approved_at.is_not(None),
        LATER.c.effective_from <= bindparam("at"),
        LATER.c.effective_from > ModelPrice.effective_from,
        and_(LATER.c.from_minute == 0, LATER.c.until_minute == WHOLE_DAY),
        and_(LATER.c.weekdays == EVERY_DAY, LATER.c.excepted_dates == ""),
        LATER.c.service_tier == ModelPrice.service_tier,
    )
    .exists()
)
"""Whether a row of all hours and days came after it, of the same tier."""

MAY_HOLD = and_(ModelPrice.model_id == AIModel.id, IS_COUNTED, ~IS_REPLACED)
OFFERED = (
    select(AIModel, ModelPrice)
    .join(ModelPrice, MAY_HOLD)
    .where(AIModel.is_for_sale, ~AIModel.makes_images)
    .order_by(AIModel.position, AIModel.id, ModelPrice.id)
)
PROVIDER, PRICE = len(MODELS.c), len(MODELS.c) + len(PROVIDERS.c)
NAMED = CompiledStatement(
    select(*MODELS.c, *PROVIDERS.c, *PRICES.c)
    .select_from(MODELS.join(PROVIDERS).outerjoin(PRICES, MAY_HOLD))
    .where(MODELS.c.name == bindparam("name"))
)
"""A model with each price that may hold at the moment; which one does, `in_force` says."""
