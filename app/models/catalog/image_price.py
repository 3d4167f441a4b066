"""What an image costs: a fixed price for each model, quality and size. billing-rules.md 3."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import CheckConstraint, select
from sqlalchemy.orm import Mapped, relationship

from app.db.types import Nanos
from app.extensions import db
from app.models.base import Model, partial_index, refers_to, utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import APPROVED, Approvable, ModelPrice
from app.models.catalog.price_schedule import in_force
from app.models.catalog.rates import ImageRates
from app.models.metering.refusal import InvalidRequest, Refusal
from app.providers.base import ImagePrompt

MOST_IMAGES = 4


class ImagePrice(Approvable, Model):
    """The price of one image from a day on. A row counts once it is approved; one that was sold at never changes.

    `quality` and `size` are the vendor's own words, and sent as they are.
    """

    PLACE = "model_id", "quality", "size", "effective_from"

    __tablename__ = "image_prices"
    __table_args__ = (
        CheckConstraint("price_nanos > 0", name="price_nanos_positive"),
        partial_index("uq_image_prices_approved", *PLACE, unique=True, where=APPROVED),
    )

    model_id: Mapped[int] = refers_to("models.id")
    quality: Mapped[str]
    size: Mapped[str]
    price_nanos: Mapped[Nanos]
    effective_from: Mapped[datetime]
    approved_at: Mapped[datetime | None]
    approved_by_id: Mapped[int | None] = refers_to("users.id")

    model = relationship("AIModel")

    def rates_with(self, vendor: ModelPrice) -> ImageRates:
        """This price, beside what the vendor's tokens cost us."""
        return ImageRates(self.price_nanos, vendor.rates, vendor.image_input_nanos, vendor.image_output_nanos)

    @classmethod
    def holding(cls, at: datetime) -> "list[ImagePrice]":
        """The approved prices in force, in the order in which they were added, by model."""
        counted = cls.approved_at.is_not(None), cls.effective_from <= at
        rows = db.session.scalars(select(cls).where(*counted).order_by(cls.effective_from, cls.id))
        latest = {(row.model_id, row.quality, row.size): row for row in rows}
        return list(latest.values())


@dataclass(frozen=True, slots=True)
class ImageOffer:
    """An image that can be made now: its price, and what its vendor's tokens cost us."""

    model: AIModel
    price: ImagePrice
    vendor: ModelPrice

    @property
    def id(self) -> int:
        """Of the vendor's price row, which is the call's."""
        return self.vendor.id

    @property
    def tier(self) -> str:
        return self.vendor.tier

    @property
    def rates(self) -> ImageRates:
        return self.price.rates_with(self.vendor)

    def ceiling_of(self, prompt: ImagePrompt) -> int:
        """What so many images cost: estimate, reservation and ceiling."""
        return self.rates.most_for(0, prompt.max_output_tokens)


def image_offers(at: datetime) -> list[ImageOffer]:
    """Every image that can be made now, in the order of the models."""
    sold = select(AIModel).where(AIModel.makes_images, AIModel.is_for_sale)
    models = [
        model
        for model in db.session.scalars(sold.order_by(AIModel.position, AIModel.id))
        if model.provider.is_usable and not model.is_retired(at)
    ]
    prices = ImagePrice.holding(at)
    return [offer for model in models for offer in offers_of(model, prices, at)]


def offers_of(model: AIModel, prices: Iterable[ImagePrice], at: datetime) -> list[ImageOffer]:
    """Those of one model; none where nobody knows what it costs us."""
    own = [price for price in prices if price.model_id == model.id]
    counted = [price for price in model.prices if price.approved_at] if own else []
    vendor = in_force(counted, at, model.provider.tier)
    return [ImageOffer(model, price, vendor) for price in own] if vendor else []


def image_offer(model: str, quality: str, size: str, *, allowed: Sequence[str]) -> ImageOffer:
    """What was asked for, the usual where nothing was. Refusal where the model is not for sale, InvalidRequest names
    the field that it does not know."""
    offers = image_offers(utcnow())
    if not model:
        offers = [offer for offer in offers if not allowed or offer.model.name in allowed]
        model = offers[0].model.name if offers else ""
    own = [offer for offer in offers if offer.model.name == model]
    if not own:
        raise not_offered(model)
    qualities = list(dict.fromkeys(offer.price.quality for offer in own))
    quality = quality or ("medium" if "medium" in qualities else qualities[0])
    check_known("quality", quality, qualities, model)
    of_quality = [offer for offer in own if offer.price.quality == quality]
    sizes = [offer.price.size for offer in of_quality]
    check_known("size", size or sizes[0], sizes, model)
    return of_quality[sizes.index(size) if size else 0]


def not_offered(model: str) -> Refusal | InvalidRequest:
    if not model:
        return Refusal("model_not_for_sale")
    known = AIModel.named(model)
    if known is None:
        return Refusal("model_not_found", context={"name": model})
    if not known.makes_images:
        return InvalidRequest({"model": ["makes no images. Choose one that does."]})
    return Refusal("model_not_for_sale", context={"name": model})


def check_known(field: str, value: str, known: Sequence[str], model: str) -> None:
    if value not in known:
        raise InvalidRequest({field: [f"isn't one of {model}'s: {', '.join(known)}."]})
