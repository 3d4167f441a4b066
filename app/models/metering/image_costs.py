"""What images cost us beside their fixed price; the difference is ours, either way."""

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Select, case, func, select

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.image_price import ImagePrice
from app.models.metering.usage import Usage

LAST_IMAGES = 50
COUNTED = Usage.image_price_id.is_not(None), Usage.state == "settled", Usage.provider_nanos.is_not(None)


class MeanCost(NamedTuple):
    """What the last images of a price row cost us: how many they were, and all of them together in nanos."""

    images: int
    nanos: int

    @property
    def each(self) -> int:
        return self.nanos // self.images

    def passes(self, price_nanos: int) -> bool:
        return self.nanos > price_nanos * self.images


class ImageTotals(NamedTuple):
    """Delivered images: how many, what they were charged, and what those cost us of which the vendor said it."""

    images: int
    charged: int
    reported: int
    provider: int

    @property
    def difference(self) -> int:
        """What is left of the price, or is missing, where the cost is known."""
        return self.reported - self.provider


def mean_costs() -> dict[int, MeanCost]:
    """The mean cost of the last images of each price row, by its id; nothing of rows whose vendor reports none."""
    until = func.sum(Usage.images).over(partition_by=Usage.image_price_id, order_by=Usage.id.desc())
    calls = select(Usage.image_price_id, Usage.images, Usage.provider_nanos, until.label("until")).where(*COUNTED)
    last = calls.subquery("last")
    sums = func.sum(last.c.images), func.sum(last.c.provider_nanos)
    recent: Select[Any] = select(last.c.image_price_id, *sums).where(last.c.until - last.c.images < LAST_IMAGES)
    rows = db.session.execute(recent.group_by(last.c.image_price_id))
    return {row[0]: MeanCost(int(row[1]), int(row[2])) for row in rows}


def loss_making() -> Iterator[tuple[ImagePrice, MeanCost]]:
    """The prices in force that their last images have cost more than."""
    costs = mean_costs()
    for price in ImagePrice.holding(utcnow()) if costs else ():
        cost = costs.get(price.id)
        if cost is not None and cost.passes(price.price_nanos):
            yield price, cost


def totals(first: date, last: date) -> ImageTotals:
    """Of the calls that began on these days."""
    is_known = Usage.provider_nanos.is_not(None)
    known = func.sum(case((is_known, Usage.cost_nanos), else_=0)), func.sum(Usage.provider_nanos)
    delivered = Usage.image_price_id.is_not(None), Usage.state == "settled"
    sums = select(func.sum(Usage.images), func.sum(Usage.cost_nanos), *known)
    row = db.session.execute(sums.where(*delivered, Usage.day >= first, Usage.day <= last)).one()
    return ImageTotals(*(int(figure or 0) for figure in row))
