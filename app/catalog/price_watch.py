"""The list against newer data: prices, windows, limits, last days, and models that are new. It tells and proposes.

Newer data are genai-prices' own file, and, for a second opinion, one in the form of litellm's; each at an address of
the founder's choice, a file or a URL. Without an address there is nothing to compare with.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from genai_prices.types import _providers_from_raw
from sqlalchemy import select

from app.catalog import price_import
from app.catalog.price_source import listing_of_provider, nanos, vendor
from app.extensions import db
from app.models.catalog.price import AIModel
from app.models.catalog.price_ahead import counted, usual_price

log = logging.getLogger(__name__)
PATIENCE = 30.0
LONGEST = 100_000_000
SECOND_PRICES = {
    "input_cost_per_token": "uncached_input_nanos",
    "cache_read_input_token_cost": "cache_read_nanos",
    "output_cost_per_token": "output_nanos",
}
LIMITS = {"max_input_tokens": "max_input_tokens", "max_output_tokens": "max_output_tokens"}


class NoData(Exception):
    """The address gives no data that can be read: the message says why."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What differs for a model, with both figures: ours and theirs, as text."""

    model: str
    what: str
    ours: str
    theirs: str
    source: str

    @property
    def text(self) -> str:
        return f"{self.model}: {self.what} {self.ours} -> {self.theirs} ({self.source})"


def read(address: str) -> Any:
    """The JSON of a file or a URL. NoData where there is none."""
    try:
        if address.startswith(("https://", "http://")):
            answer = httpx2.get(address, timeout=PATIENCE, follow_redirects=True).raise_for_status()
            return json.loads(answer.content[:LONGEST])
        return json.loads(Path(address).read_bytes()[:LONGEST])
    except (OSError, ValueError, httpx2.HTTPError) as error:
        raise NoData(f"{address} cannot be read: {error}") from error


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
        source = f"genai-prices, {address}"
        findings = price_import.compare(at, tuple(model.name for model in models))
        prices = [notice for finding in findings for notice in of_finding(finding, source)]
        windows = [notice for model in models for notice in of_window(model, source)]
        return [*prices, *windows, *of_new(before, source)]


def watch(at: datetime) -> list[Notice]:
    """What the addresses of the environment say otherwise; other prices of genai-prices become proposals.

    One that can't be read is a line of the log, and no reason to leave out the other.
    """
    data, second = os.environ.get("PRICE_DATA"), os.environ.get("PRICE_DATA_SECOND")
    differing: list[Notice] = []
    for address, read_notices in ((data, notices), (second, second_notices)):
        try:
            differing += read_notices(address, at) if address else []
        except NoData as fault:
            log.warning("price data not read", extra={"reason": str(fault)})
    if data and any(notice.source.startswith("genai-prices") for notice in differing):
        propose_from(data, at)
    return differing


def propose_from(address: str, at: datetime) -> None:
    """Prices of newer data as proposals, for an admin to approve."""
    names = tuple(model.name for model in sold())
    with newer_data(address):
        price_import.propose(price_import.compare(at, names), names)


def sold() -> list[AIModel]:
    models = db.session.scalars(
        select(AIModel).where(AIModel.is_for_sale).order_by(AIModel.position, AIModel.id)
    )
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
        yield Notice(finding.model.name, "price", "on the list", "none any more", source)
        return
    ours = price_import.figures_of(finding.old) if finding.old else {}
    for column, theirs in finding.new.figures.items():
        if ours.get(column) != theirs:
            what = f"{column.removesuffix('_nanos')} from {finding.new.effective_from:%Y-%m-%d}"
            before, after = (price_import.shown(column, figure) for figure in (ours.get(column), theirs))
            yield Notice(finding.model.name, what, before, after, source)


def of_window(model: AIModel, source: str) -> Iterator[Notice]:
    entry = vendor(model.provider.name)
    stated = next((one for one in entry.models if one.id == model.name), None) if entry else None
    if stated is None:
        return
    if stated.context_window and stated.context_window != model.context_window:
        before, after = f"{model.context_window:,}", f"{stated.context_window:,}"
        yield Notice(model.name, "context window", before, after, source)
    if stated.deprecated and model.sold_until is None:
        yield Notice(model.name, "last day", "none", "retired by its vendor", source)


def of_new(before: dict[str, set[str]], source: str) -> Iterator[Notice]:
    for provider, known in before.items():
        for name in sorted(ids_of(provider) - known):
            yield Notice(name, f"model of {provider}", "not there", "new", source)


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
        if stated is not None and (figure := per_million(stated)) != ours:
            before, after = (price_import.shown(column, one) for one in (ours, figure))
            yield Notice(model.name, column.removesuffix("_nanos"), before, after, source)
    for theirs, column in LIMITS.items():
        ours, stated = getattr(model, column) or model.context_window, row.get(theirs)
        if isinstance(stated, int) and stated != ours:
            yield Notice(model.name, column.replace("_", " "), f"{ours:,}", f"{stated:,}", source)
    ends = f"{model.sold_until:%Y-%m-%d}" if model.sold_until else "none"
    if (stated := row.get("deprecation_date")) and stated != ends:
        yield Notice(model.name, "last day", ends, str(stated), source)


def per_million(dollars_a_token: Any) -> int:
    return nanos((Decimal(str(dollars_a_token)) * 10**6).normalize())
