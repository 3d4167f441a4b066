"""AI models: what may be sold, until when, and at which price in force. billing-rules.md 3."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import CheckConstraint, and_, bindparam, false, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.compiled_statement import CompiledStatement, Row
from app.extensions import db
from app.models.base import Model, at_once, refers_to, utcnow
from app.models.catalog.price import ModelPrice
from app.models.catalog.price_schedule import EVERY_DAY, WHOLE_DAY, in_force
from app.models.catalog.provider_account import ProviderAccount
from app.models.metering.refusal import InvalidRequest, Refusal

WARNED = timedelta(days=30)
"""How long before its last day those who use a model are told."""

EMBEDS = "makes embeddings and writes no text. Ask it by POST /v1/embeddings."
WRITES = "makes no embeddings. Choose a model that does: GET /v1/models lists them."


class AIModel(Model):
    """A model that may be sold: its public id, whose it is, and what it can take.

    `image_tokens` is the most that an image of any size counts as; None: the rule of the provider's kind holds.
    `context_window` bounds input and output together, `max_input_tokens` the input alone where the vendor states one.
    From `sold_until` on it cannot be called; `successor` is the name of the model that takes its place, `fallback` that
    of the one that is asked where its provider fails before the first word.
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
    fallback: Mapped[str | None]
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
    def named(cls, name: str) -> "AIModel | None":
        return db.session.scalar(select(cls).where(cls.name == name))

    @classmethod
    def for_sale(cls, at: datetime | None = None, *, is_embedding: bool = False) -> "list[tuple[AIModel, ModelPrice]]":
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
    def to_sell(cls, name: str, at: datetime, *, is_embedding: bool = False) -> "tuple[AIModel, ModelPrice]":
        """The model of that name and its price at that moment, to be read. Refusal where unknown or not for sale."""
        with at_once() as connection:
            rows = NAMED.all(connection, {"name": name, "at": at})
        if not rows:
            raise Refusal("model_not_found", context={"name": name})
        return cls.offer_of(rows, name, at, is_embedding=is_embedding)

    @classmethod
    def offer_of(
        cls, rows: Sequence[Row], name: str, at: datetime, *, is_embedding: bool = False
    ) -> "tuple[AIModel, ModelPrice]":
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


def titles_of(names: Sequence[str]) -> list[str]:
    """What people call these models; the name itself where there is none of it."""
    titles = {model.name: model.title for model in db.session.scalars(select(AIModel))}
    return [titles.get(name, name) for name in names]


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
