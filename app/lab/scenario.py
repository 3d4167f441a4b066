"""Another business model: what of plans, packs, prices and settings is changed, and everything as it would be then."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import select

from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.models.catalog.image_price import ImagePrice
from app.models.catalog.pack_tier import fault_of
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.price import ModelPrice
from app.models.catalog.price_schedule import in_force
from app.models.catalog.setting import Setting
from app.models.metering.refusal import InvalidRequest, PricingError
from app.models.metering.usage_rollup import DayRange

PARTS = "plans", "packs", "prices", "images", "settings"
SETTINGS = (
    "overdraft", "parallel_calls", "breaker_floor", "breaker_floor_percent", "payment_fee", "payment_fee_cents",
)  # fmt: skip
LONGEST = timedelta(days=400)
Row = TypeVar("Row", Plan, CreditPack, ModelPrice, ImagePrice)
Changes = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Scenario(DayRange):
    """Days (both included, UTC), whose calls, and the changed columns by id; a price's by the name of its model."""

    plan_ids: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()
    plans: Changes = field(default_factory=dict)
    packs: Changes = field(default_factory=dict)
    prices: Changes = field(default_factory=dict)
    images: Changes = field(default_factory=dict)
    settings: dict[str, int] = field(default_factory=dict)
    is_simulated: bool = False

    @property
    def stored(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "plan_ids": list(self.plan_ids),
            "kinds": list(self.kinds),
            **{name: getattr(self, name) for name in PARTS},
            "is_simulated": self.is_simulated,
        }

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Scenario":
        changes: Any = {name: dict(stored.get(name, {})) for name in PARTS}
        return cls(
            date.fromisoformat(stored["first"]),
            date.fromisoformat(stored["last"]),
            tuple(stored.get("plan_ids", ())),
            tuple(stored.get("kinds", ())),
            **changes,
            is_simulated=bool(stored.get("is_simulated")),
        )

    def check(self, today: date) -> None:
        """InvalidRequest where it can't be run."""
        if self.first > self.last:
            raise InvalidRequest({"last": ["must not be before the first day."]})
        if self.last - self.first > LONGEST:
            raise InvalidRequest({"first": [f"must be at most {LONGEST.days} days before the last."]})
        if self.last > today and not self.is_simulated:
            raise InvalidRequest({"last": ["must not be in the future: nothing was used then."]})
        try:
            terms_of(self)
        except PricingError as fault:
            raise InvalidRequest({"plans": [f"can't be: {fault}"]}) from fault


@dataclass(frozen=True, slots=True)
class Pair:
    """Something that is sold, as it is and as it would be."""

    was: Any
    then: Any


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything that decides about a call, as it would be; and beside it as it is."""

    plans: dict[int, Pair]
    packs: dict[int, Pair]
    rates: dict[int, Pair]
    images: dict[int, Pair]
    models: dict[str, list[ModelPrice]]
    tiers: dict[str, str]
    settings: dict[str, int]

    def image_price_at(self, model: str, at: datetime) -> Pair | None:
        """What an image of the model costs, where nobody knows which was asked for: the first that was added."""
        counted = (pair for pair in self.images.values() if pair.was.model.name == model and pair.was.approved_at)
        return next((pair for pair in counted if pair.was.effective_from <= at), None)

    def price_at(self, model: str, at: datetime) -> ModelPrice | None:
        return in_force(self.models.get(model, []), at, self.tiers.get(model, ""))


def terms_of(scenario: Scenario) -> Terms:
    """PricingError where a plan or pack can't be sold so."""
    plans = {row.id: Pair(row, changed(row, scenario.plans.get(str(row.id), {}))) for row in rows_of(Plan)}
    packs = {row.id: Pair(row, changed(row, scenario.packs.get(str(row.id), {}))) for row in rows_of(CreditPack)}
    for pair in (*plans.values(), *packs.values()):
        _ = pair.then.worth_nanos
    for pack in (pair.then for pair in packs.values() if str(pair.was.id) in scenario.packs):
        if fault := fault_of(pack):
            raise PricingError(f"{pack.name}: {fault}")
        if pack.is_any_amount and pack.tiers:
            raise PricingError(f"{pack.name} is sold for any amount, which has one margin")
    for pair in plans.values():
        if (pair.then.window_hours is None) != (pair.then.window_limit_nanos is None):
            raise PricingError(f"{pair.then.name} needs both the credits of some hours and how many hours")
    names = {row.id: row for row in db.session.scalars(select(AIModel))}
    rates, models = {}, dict[str, list[ModelPrice]]()
    for price in rows_of(ModelPrice):
        name = names[price.model_id].name
        then = changed(price, scenario.prices.get(name, {}))
        rates[price.id] = Pair(price.rates, then.rates)
        if price.approved_at:
            models.setdefault(name, []).append(then)
    tiers = {row.name: row.provider.tier for row in names.values()}
    settings = {name: scenario.settings.get(name, int(Setting.get(name))) for name in SETTINGS}
    return Terms(plans, packs, rates, images_of(scenario), models, tiers, settings)


def images_of(scenario: Scenario) -> dict[int, Pair]:
    """Each price of an image, as it is and as it would be; a change of one is of all rows of its quality and size."""
    rows = list(rows_of(ImagePrice))
    return {row.id: Pair(row, changed(row, scenario.images.get(kind_of_image(row), {}))) for row in rows}


def kind_of_image(row: ImagePrice) -> str:
    """What an image is, by what the price list tells it from others."""
    return f"{row.model.name} {row.quality} {row.size}"


def rows_of(table: type[Row]) -> Iterable[Row]:
    return db.session.scalars(select(table).order_by(table.id))


def changed(row: Row, changes: Mapping[str, Any]) -> Row:
    """A copy of the row with these columns, which no session knows."""
    columns = {column.key: getattr(row, column.key) for column in row.__table__.columns}
    if isinstance(row, CreditPack):
        columns["volume"] = row.volume
    return type(row)(**columns | dict(changes))


def as_it_is(terms: Terms) -> Terms:
    """Nothing changed, with the same fees: for the months that are made up, which have no record."""
    same = {
        name: {key: Pair(pair.was, pair.was) for key, pair in getattr(terms, name).items()}
        for name in ("plans", "packs", "rates", "images")
    }
    settings = {name: int(Setting.get(name)) for name in SETTINGS} | {
        name: terms.settings[name] for name in ("payment_fee", "payment_fee_cents")
    }
    by_id = {price.id: price for price in rows_of(ModelPrice)}
    return Terms(
        **same,
        models={name: [by_id[price.id] for price in priced] for name, priced in terms.models.items()},
        tiers=terms.tiers,
        settings=settings,
    )
