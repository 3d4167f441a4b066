"""The list against newer data: prices, windows, limits, last days, and models that are new. It tells and proposes.

Newer data are genai-prices' own file, and, for a second opinion, one in the form of litellm's; each at an address of
the founder's choice, a file or a URL. Without an address there is nothing to compare with.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from genai_prices.types import _providers_from_raw
from sqlalchemy import select

from app.catalog import price_import
from app.catalog.price_source import listing_of_provider, nanos
from app.catalog.proposals import Notice, propose
from app.catalog.vendor_prices import figures_of, vendor
from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.models.catalog.catalog_proposal import NEW_MODEL
from app.models.catalog.price_ahead import counted, usual_price
from app.models.metering.refusal import PricingError

log = logging.getLogger(__name__)
PATIENCE = 30.0
LONGEST = 100_000_000
ORDINARY_WINDOW = 128_000
SECOND_PRICES = {
    "input_cost_per_token": "uncached_input_nanos",
    "cache_read_input_token_cost": "cache_read_nanos",
    "output_cost_per_token": "output_nanos",
}
LIMITS = "max_input_tokens", "max_output_tokens"


class NoData(Exception):
    """The address gives no data that can be read: the message says why."""


def read(address: str) -> Any:
    """The JSON of a file or a URL. NoData where there is none."""
    try:
        if address.startswith(("https://", "http://")):
            answer = httpx2.get(address, timeout=PATIENCE, follow_redirects=True).raise_for_status()
            return json.loads(answer.content[:LONGEST])
        return json.loads(Path(address).read_bytes()[:LONGEST])
    except (OSError, ValueError, httpx2.HTTPError) as error:
        raise NoData(f"{address} cannot be read: {error}") from error


def watch(at: datetime, data: str | None, second: str | None, *, is_strict: bool = False) -> list[Notice]:
    """What these addresses say otherwise; all of it becomes proposals: prices on the price list, the rest here.

    One that can't be read is a line of the log, and no reason to leave out the other; NoData where that `is_strict`.
    """
    differing: list[Notice] = []
    were_read: list[str] = []
    for address, source, find in (
        (data, source_of(data or ""), notices),
        (second, second or "", second_notices),
    ):
        try:
            differing += find(address, at) if address else []
            were_read += [source] if address else []
        except NoData as fault:
            if is_strict:
                raise
            log.warning("price data not read", extra={"reason": str(fault)})
    if data and source_of(data) in were_read:
        names = tuple(model.name for model in sold())
        with newer_data(data):
            price_import.propose(price_import.compare(at, names), names)
    propose(differing, were_read)
    return differing


@contextmanager
def newer_data(address: str) -> Iterator[None]:
    """genai-prices' data of that address in the place of those that came with the package."""
    try:
        providers = _providers_from_raw(read(address))
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise NoData(f"{address} is not in the form of genai-prices: {error}") from error
    set_custom_snapshot(DataSnapshot(providers, from_auto_update=False))
    try:
        yield
    finally:
        set_custom_snapshot(None)


def notices(address: str, at: datetime) -> list[Notice]:
    """What newer data of genai-prices say otherwise than the list, and which models are new in them."""
    models = sold()
    before = {provider: ids_of(provider) for provider in sorted({model.provider.name for model in models})}
    with newer_data(address):
        source = source_of(address)
        findings = price_import.compare(at, tuple(model.name for model in models))
        prices = [notice for finding in findings for notice in of_finding(finding, source)]
        windows = [notice for model in models for notice in of_window(model, source)]
        return [*prices, *windows, *of_new(before, source, at)]


def source_of(data: str) -> str:
    return f"genai-prices, {data}"


def sold() -> list[AIModel]:
    models = db.session.scalars(select(AIModel).where(AIModel.is_for_sale).order_by(AIModel.position, AIModel.id))
    return list(models)


def ids_of(provider: str) -> set[str]:
    """The models of a vendor that write text for a price by tokens, as the data have them."""
    entry = vendor(provider)
    return {model.id for model in entry.models if is_priced(model)} if entry else set()


def is_priced(model: Any) -> bool:
    price = model.get_prices(datetime.now(UTC))
    return not model.deprecated and bool(price.input_mtok) and bool(price.output_mtok)


def of_finding(finding: price_import.Finding, source: str) -> Iterator[Notice]:
    if finding.new is None:
        gone = {"field": "is_for_sale", "columns": {"is_for_sale": False}}
        yield of_model(finding.model, "price", "on the list", "none anymore", source, **gone)
        return
    ours = price_import.figures_of(finding.old) if finding.old else {}
    for column, theirs in finding.new.figures.items():
        if ours.get(column) != theirs:
            what = f"{column.removesuffix('_nanos')} from {finding.new.effective_from:%Y-%m-%d}"
            before, after = (price_import.shown(column, figure) for figure in (ours.get(column), theirs))
            yield of_model(finding.model, what, before, after, source)


def of_model(model: AIModel, what: str, ours: str, theirs: str, source: str, **proposed: Any) -> Notice:
    return Notice(model.name, what, ours, theirs, source, model.provider.name, **proposed)


def of_size(model: AIModel, column: str, stated: int, source: str) -> Notice:
    """A window or limit that is another."""
    ours = getattr(model, column) or model.context_window
    figures = f"{ours:,}", f"{stated:,}"
    return of_model(model, column.replace("_", " "), *figures, source, field=column, columns={column: stated})


def of_window(model: AIModel, source: str) -> Iterator[Notice]:
    entry = vendor(model.provider.name)
    stated = next((one for one in entry.models if one.id == model.name), None) if entry else None
    if stated is None:
        return
    if stated.context_window and stated.context_window != model.context_window:
        yield of_size(model, "context_window", stated.context_window, source)
    if stated.deprecated and model.sold_until is None:
        retired = {"field": "sold_until", "columns": {"sold_until": None}}
        yield of_model(model, "last day", "none", "retired by its vendor", source, **retired)


def of_new(before: dict[str, set[str]], source: str, at: datetime) -> Iterator[Notice]:
    """Models of the vendors that are on sale, which neither the data of before nor the list have."""
    listed = set(db.session.scalars(select(AIModel.name)))
    for provider, known in before.items():
        entry = vendor(provider)
        added = ids_of(provider) - known - listed
        models = sorted((one for one in entry.models if one.id in added), key=lambda one: one.id) if entry else []
        for model in models:
            window = model.context_window or ORDINARY_WINDOW
            columns = {
                "title": model.name or model.id,
                "context_window": window,
                "prices": first_price(model, at),
            }
            what = f"model of {provider}", "not there", "new"
            yield Notice(model.id, *what, source, provider, NEW_MODEL, columns)


def first_price(model: Any, at: datetime) -> dict[str, int | None]:
    """What a new model costs; nothing where a row cannot say it."""
    try:
        return figures_of(model.get_prices(at))
    except PricingError:
        return {}


def second_notices(address: str, at: datetime) -> list[Notice]:
    """What a list of another maintainer, in litellm's form, says otherwise; models that it lacks are left out."""
    rows = read(address)
    if not isinstance(rows, dict):
        raise NoData(f"{address} is not in the form of litellm: no object of models")
    pairs = ((model, second_row(rows, model)) for model in sold())
    return [notice for model, row in pairs if row for notice in of_second(model, row, at, address)]


def second_row(rows: dict[str, Any], model: AIModel) -> dict[str, Any] | None:
    prefix = listing_of_provider(model.provider.name).get("second_prefix", "")
    row = rows.get(prefix + model.name) or rows.get(model.name)
    return row if isinstance(row, dict) else None


def of_second(model: AIModel, row: dict[str, Any], at: datetime, source: str) -> Iterator[Notice]:
    price = usual_price(counted(model), at)
    usual = row.get("off_peak_pricing") or row
    for theirs, column in SECOND_PRICES.items():
        ours = getattr(price, column) if price else None
        stated = usual.get(theirs)
        if stated is not None and (figure := nanos((Decimal(str(stated)) * 10**6).normalize())) != ours:
            before, after = (price_import.shown(column, one) for one in (ours, figure))
            proposed = {"field": column, "columns": {column: figure}}
            yield of_model(model, column.removesuffix("_nanos"), before, after, source, **proposed)
    for column in LIMITS:
        stated = row.get(column)
        if isinstance(stated, int) and stated > 0 and stated != (getattr(model, column) or model.context_window):
            yield of_size(model, column, stated, source)
    ends = f"{model.sold_until:%Y-%m-%d}" if model.sold_until else "none"
    if (stated := row.get("deprecation_date")) and stated != ends:
        day = {"field": "sold_until", "columns": {"sold_until": str(stated)}} if is_day(stated) else {}
        yield of_model(model, "last day", ends, str(stated), source, **day)


def is_day(stated: Any) -> bool:
    try:
        date.fromisoformat(str(stated))
    except ValueError:
        return False
    return True
