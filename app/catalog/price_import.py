"""The price list against genai-prices: what is new, changed, announced or gone. It proposes; a person approves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from app.catalog.price_source import WHOLE_DAY, Quote, listed_models, quotes, vendor
from app.extensions import db
from app.models.catalog.price import AIModel, ModelPrice
from app.models.metering.refusal import PricingError

SOURCE = "genai-prices"


@dataclass(frozen=True, slots=True)
class Finding:
    """Where list and source differ for a model, from a moment on, in some minutes of the day.

    kind: new (the list has no price), changed, future (announced), disagrees (a person's own price differs),
    gone (the source has no price any more). `old` is what the list says for that time, `new` what the source says.
    """

    kind: str
    model: AIModel
    old: ModelPrice | None
    new: Quote | None

    @property
    def summary(self) -> str:
        """The finding for a person: a heading, and under it each figure that differs, old beside new."""
        if self.new is None:
            return f"gone       {self.model.name}: genai-prices has no price for it any more"
        hours = (self.new.from_minute, self.new.until_minute)
        between = "" if hours == (0, WHOLE_DAY) else f", {clock(hours[0])} to {clock(hours[1])} UTC"
        heading = f"{self.kind:<10} {self.model.name} from {self.new.effective_from:%Y-%m-%d %H:%M}{between}"
        listed = figures_of(self.old) if self.old else dict.fromkeys(FIGURES)
        lines = (
            f"           {column.removesuffix('_nanos'):<20} {shown(column, listed[column])} -> {shown(column, figure)}"
            for column, figure in self.new.figures.items()
            if figure != listed[column]
        )
        return "\n".join([heading, *lines])


def shown(column: str, figure: int | None) -> str:
    """A price in dollars, for a million tokens or one search; a threshold in tokens."""
    if figure is None:
        return "none"
    return f"${Decimal(figure).scaleb(-9):f}" if column.endswith("_nanos") else f"{figure:,}"


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def compare(at: datetime, names: tuple[str, ...] = ()) -> list[Finding]:
    """Every difference between the approved list and the source, from that moment on; writes nothing."""
    query = select(AIModel).order_by(AIModel.position, AIModel.id)
    models = db.session.scalars(query.where(AIModel.name.in_(names)) if names else query)
    return [finding for model in models if is_sourced(model) for finding in compare_model(model, at)]


def is_sourced(model: AIModel) -> bool:
    """Whether the source knows the model's provider at all."""
    return vendor(model.provider.name) is not None


def compare_model(model: AIModel, at: datetime) -> Iterator[Finding]:
    try:
        stated = quotes(listing_of(model))
    except PricingError:
        if any(price.approved_at and price.source == SOURCE for price in model.prices):
            yield Finding("gone", model, holding(model, at, minute_of(at)), None)
        return
    begun = max(quote.effective_from for quote in stated if quote.effective_from <= at)
    for quote in stated:
        if quote.effective_from >= begun:
            yield from compare_quote(model, quote, at)


def compare_quote(model: AIModel, quote: Quote, at: datetime) -> Iterator[Finding]:
    """The source's price of today begins now, where it is not on the list; an announced one on its day."""
    begins = max(at, quote.effective_from)
    edges = {minute for price in model.prices for minute in (price.from_minute, price.until_minute)}
    minutes = {quote.from_minute, *(m for m in edges if quote.from_minute < m < quote.until_minute)}
    listed = [holding(model, begins, minute) for minute in sorted(minutes)]
    differing = [price for price in listed if price is None or figures_of(price) != quote.figures]
    if differing:
        new = Quote(begins, quote.from_minute, quote.until_minute, quote.figures)
        yield Finding(kind_of(differing[0], new, at), model, differing[0], new)


def kind_of(old: ModelPrice | None, new: Quote, at: datetime) -> str:
    if old is None:
        return "new"
    if old.source != SOURCE:
        return "disagrees"
    return "future" if new.effective_from > at else "changed"


def propose(findings: list[Finding], names: tuple[str, ...] = ()) -> list[Finding]:
    """Write an unapproved row for each finding that has none yet, and withdraw those that no longer hold.

    Returns the findings that were written.
    """
    waiting = pending(names)
    kept: list[ModelPrice] = []
    written: list[Finding] = []
    for finding in findings:
        same = [price for price in waiting if finding.new and is_proposed(price, finding)]
        kept += same
        if finding.new and not same:
            finding.model.prices.append(ModelPrice(**finding.new.columns, source=SOURCE))
            written.append(finding)
    for price in waiting:
        if price not in kept:
            db.session.delete(price)
    db.session.flush()
    return written


def is_proposed(price: ModelPrice, finding: Finding) -> bool:
    """Whether a waiting row says what was found. One that begins at once may have been written earlier."""
    quote = finding.new
    if quote is None or price.model_id != finding.model.id or figures_of(price) != quote.figures:
        return False
    begins = price.effective_from == quote.effective_from or finding.kind != "future"
    return begins and (price.from_minute, price.until_minute) == (quote.from_minute, quote.until_minute)


def pending(names: tuple[str, ...] = ()) -> list[ModelPrice]:
    """The proposals that wait for a person."""
    query = (
        select(ModelPrice).join(AIModel).where(ModelPrice.approved_at.is_(None), ModelPrice.source == SOURCE)
    )
    query = query.where(AIModel.name.in_(names)) if names else query
    return list(db.session.scalars(query.order_by(ModelPrice.id)))


def approve(findings: list[Finding], names: tuple[str, ...]) -> list[ModelPrice]:
    """Approve what waits; where a person's own price differs, only by the model's name."""
    contested = set() if names else {finding.model.id for finding in findings if finding.kind == "disagrees"}
    approved = [price for price in pending(names) if price.model_id not in contested]
    for price in approved:
        price.approve()
    return approved


def listing_of(model: AIModel) -> dict[str, Any]:
    """How the catalogue lists the model; one that an admin added is looked up under its own name."""
    listed = {entry["name"]: entry for entry in listed_models()}
    return listed.get(model.name, {"provider": model.provider.name, "name": model.name})


def holding(model: AIModel, at: datetime, minute: int) -> ModelPrice | None:
    """The approved row that is in force at that minute of the day of that moment."""
    rows = [price for price in model.prices if price.approved_at and price.effective_from <= at]
    covering = [price for price in rows if price.from_minute <= minute < price.until_minute]
    return max(covering, key=lambda p: (p.effective_from, p.from_minute - p.until_minute), default=None)


def minute_of(at: datetime) -> int:
    return at.hour * 60 + at.minute


def figures_of(price: ModelPrice) -> dict[str, int | None]:
    """The columns that the source can state; a price per image is always a person's."""
    return {column: getattr(price, column) for column in FIGURES}


FIGURES = (
    "uncached_input_nanos", "cache_read_nanos", "cache_write_5m_nanos", "cache_write_1h_nanos", "output_nanos",
    "long_context_above", "long_uncached_input_nanos", "long_cache_read_nanos", "long_cache_write_5m_nanos",
    "long_cache_write_1h_nanos", "long_output_nanos", "search_nanos",
)  # fmt: skip
