"""Prices typed by a person: always a new row, beside those that calls were sold at."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal, InvalidOperation

from sqlalchemy import select

from app.catalog.price_source import nanos
from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import FIGURES, ModelPrice
from app.models.catalog.price_ahead import counted, usual_price
from app.models.catalog.price_schedule import ORDINARY, Schedule, price_tier
from app.models.catalog.rates import INPUT_BUCKETS
from app.models.identity.user import User
from app.models.metering.refusal import PricingError
from app.models.operations.audit_log import AdminChange

NEEDED = ("uncached_input", "output")


def add(
    name: str,
    dollars: Mapping[str, str],
    begins: datetime | None = None,
    *,
    one_tier: bool = False,
    served_at: str = ORDINARY,
) -> ModelPrice:
    """An approved price for all hours from then on, or from now. PricingError where something is wrong or missing.

    What `dollars` does not name (by bucket, `long_` ones too) is as in the price that holds then. `served_at` is the
    service tier, by the word that its vendor reports.
    """
    now = utcnow()
    if begins is not None and begins < now:
        raise PricingError("A price can't start in the past: earlier calls keep theirs.")
    model = AIModel.named(name)
    if model is None:
        raise PricingError(f"There is no model called {name!r}.")
    tier = price_tier(served_at)
    usual = usual_price(counted(model), begins or now, tier)
    figures = complete(figures_of(usual, one_tier=one_tier), dollars)
    price = ModelPrice(model_id=model.id, source="admin", service_tier=tier, **asdict(Schedule()), **figures)
    price.effective_from = begins or now
    price.approve(at=now)
    db.session.add(price)
    db.session.flush()
    note(price, name)
    return price


def figures_of(usual: ModelPrice | None, *, one_tier: bool) -> dict[str, int | None]:
    """What a model costs usually, outside of peaks; nothing where it has no price yet."""
    figures = {column: getattr(usual, column) for column in FIGURES} if usual else {}
    if one_tier:
        figures |= {column: None for column in figures if column.startswith("long_")}
    return figures


def complete(figures: dict[str, int | None], dollars: Mapping[str, str]) -> dict[str, int | None]:
    """The figures with those that were typed; cached input that has no price yet costs what input does."""
    typed = {f"{bucket}_nanos": nanos_typed(text) for bucket, text in dollars.items()}
    has_tier = figures.get("long_context_above")
    names_tier = any(column.startswith("long_") for column in typed)
    if names_tier and not has_tier:
        raise PricingError("There is no long-context tier yet: add that price in the admin.")
    if has_tier and not names_tier and {f"{bucket}_nanos" for bucket in NEEDED} & set(typed):
        above = f"It has other prices above {has_tier:,} input tokens"
        raise PricingError(f"{above}: name them with --long-input and --long-output, or --one-tier.")
    figures |= typed
    for bucket in NEEDED:
        if figures.get(f"{bucket}_nanos") is None:
            raise PricingError("A first price needs --input and --output.")
    cached = [f"{bucket}_nanos" for bucket in INPUT_BUCKETS]
    return dict.fromkeys(cached, figures["uncached_input_nanos"]) | figures


def nanos_typed(text: str) -> int:
    try:
        return nanos(Decimal(text))
    except InvalidOperation:
        raise PricingError(f"{text!r} is no price. Write dollars like 2.50.") from None


def note(price: ModelPrice, name: str) -> None:
    """A line in the record of changes, in the name of the installation's first owner where there is one."""
    owners = select(User.id).where(User.admin_role == "owner").order_by(User.id).limit(1)
    owner_id = db.session.scalar(owners)
    if owner_id is not None:
        figures = f"{price.uncached_input_nanos} / {price.output_nanos} nanos per million tokens"
        changes = {
            "price": [None, f"{name} {price.tier} {figures}".replace("  ", " ")],
            "by": [None, "command line"],
        }
        AdminChange.note(owner_id, "add", price, changes=changes)
