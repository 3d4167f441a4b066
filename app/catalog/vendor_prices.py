"""What genai-prices' offline data say a model costs, as rows of the list. Only what needs it loads it: it is large."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)
from genai_prices.types import ModelPrice as VendorPrice

from app.catalog.price_source import SINCE_EVER, Quote, contents, listing_of_provider, nanos
from app.models.catalog.price_schedule import WHOLE_DAY, Schedule, zone_named
from app.models.metering.refusal import PricingError

KEYS = {
    "uncached_input": ("input_mtok",),
    "cache_read": ("cache_read_mtok", "input_mtok"),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "output": ("output_mtok",),
}
"""Which of the vendor's prices holds for a bucket: the first that there is. Cached tokens are input at least."""

IMAGE_KEYS = {"image_input_nanos": "input_image_mtok", "image_output_nanos": "output_image_mtok"}
"""Of a model that makes images. Where a vendor states none, they cost what text does."""


def quotes(model: dict[str, Any]) -> list[Quote]:
    """All prices of a listed model, those of the past and the announced ones too.

    `dollars` states them outright; otherwise they are genai-prices' for exactly that id (or `priced_as`). On which
    days the prices of some hours hold it does not know: `peak` does, the model's or its provider's.
    PricingError where the source has none, or states something that one row cannot say.
    """
    if "dollars" in model:
        stated = {f"{key}_mtok": Decimal(price) for key, price in model["dollars"].items()}
        figures = figures_of(VendorPrice(**stated), is_embedding=model.get("is_embedding", False))
        return [Quote(SINCE_EVER, Schedule(), figures, "list")]
    stated_model = vendor_model(model["provider"], model.get("priced_as") or model["name"])
    starts = [SINCE_EVER, *sorted(datetime.combine(day, time(), UTC) for day in start_days(stated_model))]
    peak = model.get("peak", listing_of_provider(model["provider"]).get("peak"))
    return [quote for start in starts for quote in quotes_from(stated_model, start, peak)]


def vendor(provider: str) -> Provider | None:
    """genai-prices' entry of a provider that is called so here."""
    identifier = listing_of_provider(provider).get("priced_by", provider.lower())
    return next((entry for entry in get_snapshot().providers if entry.id == identifier), None)


def vendor_model(provider: str, name: str) -> ModelInfo:
    """genai-prices' entry of exactly that id: its matching by prefix would price a stranger as its parent."""
    entry = vendor(provider)
    for model in entry.models if entry else ():
        if model.id == name:
            return model
    raise PricingError(f"genai-prices has no model {name!r} of {provider}")


def quotes_from(model: ModelInfo, start: datetime, peak: dict[str, str] | None) -> list[Quote]:
    """The rows from one day on: the UTC day in pieces; or all hours at the usual price, and the peaks on their days."""
    pieces = list(day_of(model, start))
    if peak is None or len(pieces) == 1:
        return [Quote(start, Schedule(begin, end), figures) for begin, end, figures in pieces]
    usual = max(pieces, key=lambda piece: sum(end - begin for begin, end, it in pieces if it == piece[2]))[2]
    peaks = [
        Quote(start, peak_schedule(start, begin, end, peak), figures)
        for begin, end, figures in pieces
        if figures != usual
    ]
    return [Quote(start, Schedule(), usual), *peaks]


def peak_schedule(start: datetime, begin: int, end: int, peak: dict[str, str]) -> Schedule:
    """Minutes of the UTC day by the clock of the vendor's zone. PricingError where they pass midnight there."""
    offset = start.astimezone(zone_named(peak["zone"])).utcoffset() or timedelta()
    shift = int(offset.total_seconds()) // 60
    begun = (begin + shift) % WHOLE_DAY
    until = begun + end - begin
    if until > WHOLE_DAY:
        raise PricingError(f"the peak from minute {begin} on passes midnight in {peak['zone']}")
    return Schedule(begun, until, peak["weekdays"], contents()["calendars"][peak["calendar"]], peak["zone"])


def day_of(model: ModelInfo, day: datetime) -> Iterator[tuple[int, int, dict[str, int | None]]]:
    """The pieces of a UTC day that have one price each, in minutes."""
    begun, figures = 0, figures_of(model.get_prices(day))
    rules = [price.constraint for price in conditions(model)]
    hours = [rule for rule in rules if isinstance(rule, TimeOfDateConstraint)]
    for minute in sorted({minute_of(moment) for rule in hours for moment in (rule.start_time, rule.end_time)}):
        later = figures_of(model.get_prices(day.replace(hour=minute // 60, minute=minute % 60)))
        if later != figures:
            yield begun, minute, figures
            begun, figures = minute, later
    yield begun, WHOLE_DAY, figures


def conditions(model: ModelInfo) -> list[ConditionalPrice]:
    return [] if isinstance(model.prices, VendorPrice) else model.prices


def start_days(model: ModelInfo) -> set[Any]:
    rules = [price.constraint for price in conditions(model)]
    return {rule.start_date for rule in rules if isinstance(rule, StartDateConstraint)}


def minute_of(moment: time) -> int:
    if moment.second or moment.microsecond or moment.utcoffset():
        raise PricingError(f"a price changes at {moment}, which is no whole minute of the UTC day")
    return moment.hour * 60 + moment.minute


def figures_of(price: VendorPrice, *, is_embedding: bool = False) -> dict[str, int | None]:
    """One price as the columns of a row. PricingError where the tokens have no price, or have two thresholds.

    An embedding has no output.
    """
    read = {bucket: keys for bucket, keys in KEYS.items() if bucket != "output" or not is_embedding}
    chosen = {bucket: first_of(price, keys) for bucket, keys in read.items()}
    if is_embedding:
        chosen["output"] = Decimal(0)
    thresholds = {tier.start for one in chosen.values() if isinstance(one, TieredPrices) for tier in one.tiers}
    if len(thresholds) > 1:
        raise PricingError(f"prices change at {sorted(thresholds)} input tokens; a row knows one threshold")
    figures: dict[str, int | None] = {"long_context_above": next(iter(thresholds), None)}
    for bucket, one in chosen.items():
        figures[f"{bucket}_nanos"] = nanos(one.base if isinstance(one, TieredPrices) else one)
        figures[f"long_{bucket}_nanos"] = nanos(one.tiers[0].price) if isinstance(one, TieredPrices) else None
    searches = price.web_searches_kcount
    figures["search_nanos"] = None if searches is None else nanos(plain(searches) / 1000)
    for column, key in IMAGE_KEYS.items():
        stated = getattr(price, key)
        figures[column] = None if stated is None else nanos(plain(stated))
    return figures


def first_of(price: VendorPrice, keys: tuple[str, ...]) -> Decimal | TieredPrices:
    """The first price that is stated. A missing or zero one is refused: free is what a person decides."""
    stated = (getattr(price, key) for key in keys)
    first: Decimal | TieredPrices | None = next((one for one in stated if one is not None), None)
    if not first:
        raise PricingError(f"no price is stated for {keys[0]}")
    return first


def plain(price: Decimal | TieredPrices) -> Decimal:
    if isinstance(price, TieredPrices):
        raise PricingError("a price per piece has tiers, which a row cannot say")
    return price
