"""The models that an installation starts with; `vendor_prices` has what genai-prices says they cost.

Sizes in `models.json` are the vendors' documented figures; models that a vendor has retired are there, switched off.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from app.models.catalog.price_schedule import ORDINARY, Schedule
from app.models.metering.refusal import PricingError

LISTED = Path(__file__).with_name("models.json")
SINCE_EVER = datetime(2020, 1, 1, tzinfo=UTC)
NANOS_PER_DOLLAR = 10**9


@dataclass(frozen=True, slots=True)
class Quote:
    """A price as the source states it, from a moment on, at the times of its schedule.

    `figures` are the columns of a ModelPrice: nano-dollars per million tokens, `search_nanos` per search.
    """

    effective_from: datetime
    schedule: Schedule
    figures: dict[str, int | None]
    source: str = "genai-prices"
    tier: str = ORDINARY

    @property
    def columns(self) -> dict[str, Any]:
        return {"effective_from": self.effective_from, **asdict(self.schedule), **self.figures}


def listed_providers() -> list[dict[str, Any]]:
    return list(contents()["providers"])


def listed_models() -> list[dict[str, Any]]:
    """Each model's columns, with `provider` as a name, and where its price comes from: see `vendor_prices.quotes`."""
    return [{**model, **lifecycle_of(model)} for model in contents()["models"]]


def lifecycle_of(model: dict[str, Any]) -> dict[str, Any]:
    """Until when the vendor serves it, and what takes its place; nothing where the vendor names no day."""
    if "sold_until" not in model:
        return {}
    ends = datetime.fromisoformat(model["sold_until"]).replace(tzinfo=UTC)
    return {"sold_until": ends, "successor": model.get("successor")}


@cache
def contents() -> dict[str, Any]:
    return dict(json.loads(LISTED.read_text()))


def listing_of_provider(name: str) -> dict[str, Any]:
    """How the catalogue lists the provider; empty for one that an admin added."""
    return next((listed for listed in listed_providers() if listed["name"] == name), {})


def nanos(dollars: Decimal) -> int:
    """Nano-dollars, exactly. PricingError where the price is finer than that."""
    whole = dollars * NANOS_PER_DOLLAR
    if whole != int(whole) or whole < 0:
        raise PricingError(f"${dollars} is no whole, positive number of nano-dollars")
    return int(whole)
