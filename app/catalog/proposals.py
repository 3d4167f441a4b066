"""Turns findings of the price watch into proposals, which only an admin accepts or dismisses."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from app.catalog.price_entry import figures_of
from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.catalog_proposal import NEW_MODEL, CatalogProposal
from app.models.catalog.price import ModelPrice
from app.models.catalog.price_ahead import counted, usual_price
from app.models.catalog.price_schedule import Schedule
from app.models.catalog.provider_account import ProviderAccount
from app.models.metering.refusal import PricingError
from app.models.operations.audit_log import AdminChange

log = logging.getLogger(__name__)
SOURCE = "price watch"
ORDINARY_OUTPUT = 16_384


@dataclass(frozen=True, slots=True)
class Notice:
    """What differs for a model, with both figures: ours and theirs, as text.

    `columns` of `field` are what would be written; without a field nothing is proposed of it here.
    """

    model: str
    what: str
    ours: str
    theirs: str
    source: str
    provider: str
    field: str = ""
    columns: Mapping[str, Any] | None = None

    @property
    def proposed(self) -> dict[str, Any]:
        """As the columns of a proposal."""
        return {name: value for name, value in asdict(self).items() if name != "what"}

    @property
    def text(self) -> str:
        return f"{self.model}: {self.what} {self.ours} -> {self.theirs} ({self.source})"


def propose(differing: Iterable[Notice], sources: Iterable[str]) -> None:
    """A proposal for each difference that has none yet; what `sources`, which were read, say no more is withdrawn."""
    notices = {(one.model, one.field, one.source): one for one in differing if one.field}
    for row in CatalogProposal.waiting():
        notice = notices.get((row.model, row.field, row.source))
        if notice is not None and (row.ours, row.theirs) == (notice.ours, notice.theirs):
            del notices[(row.model, row.field, row.source)]
        elif notice is not None or row.source in set(sources):
            db.session.delete(row)
    db.session.flush()
    for key, notice in notices.items():
        model, field, source = key
        same = {"model": model, "field": field, "source": source, "theirs": notice.theirs, "state": "dismissed"}
        if db.session.scalar(select(CatalogProposal.id).filter_by(**same).limit(1)) is None:
            db.session.add(CatalogProposal(**notice.proposed))


def decide(proposal: CatalogProposal, state: str, by_id: int) -> None:
    """Accept it, which writes what it says and a line in the record of changes, or dismiss it; once.

    PricingError where it cannot be written.
    """
    if proposal.state != "waiting":
        raise PricingError("This was decided before.")
    if state == "accepted":
        accept(proposal, by_id)
    proposal.state, proposal.decided_at, proposal.decided_by_id = state, utcnow(), by_id


def accept(proposal: CatalogProposal, by_id: int) -> None:
    if proposal.field == NEW_MODEL:
        row: AIModel | ModelPrice = draft_of(proposal)
        changes: dict[str, list[str | None]] = {"name": [None, proposal.model]}
    else:
        model = AIModel.named(proposal.model)
        if model is None:
            raise PricingError(f"There is no model called {proposal.model} anymore.")
        is_price = proposal.field.endswith("_nanos")
        row = price_with(model, proposal, by_id) if is_price else model_with(model, proposal)
        changes = {proposal.field: [proposal.ours, proposal.theirs]}
    changes["source"] = [None, proposal.source]
    AdminChange.note(by_id, "accept", row, changes=changes)


def model_with(model: AIModel, proposal: CatalogProposal) -> AIModel:
    """The model with another window, limit or last day, or off sale."""
    for name, value in proposal.columns.items():
        setattr(model, name, value if name != "sold_until" else last_day(value))
    return model


def last_day(day: str | None) -> datetime:
    """Midnight UTC of a day; now, of a model that its vendor has retired."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC) if day else utcnow()


def price_with(model: AIModel, proposal: CatalogProposal, by_id: int) -> ModelPrice:
    """A price from now on, approved, as the usual one but for what is proposed."""
    prices, now = counted(model), utcnow()
    if any(not price.schedule.is_always for price in prices):
        raise PricingError(f"{model.name} has prices by the hour: change them in the price list.")
    figures = figures_of(usual_price(prices, now), one_tier=False) | proposal.columns
    price = ModelPrice(model_id=model.id, source=SOURCE, effective_from=now, **asdict(Schedule()), **figures)
    price.approve(by_id, now)
    db.session.add(price)
    return price


def draft_of(proposal: CatalogProposal) -> AIModel:
    """The new model, not for sale, with a price that waits to be approved."""
    provider = db.session.scalar(select(ProviderAccount).where(ProviderAccount.name == proposal.provider))
    if provider is None or AIModel.named(proposal.model):
        raise PricingError(f"{proposal.model} can't be added: its provider is gone, or it already exists.")
    columns = dict(proposal.columns)
    prices, window = columns.pop("prices"), columns["context_window"]
    model = AIModel(name=proposal.model, provider=provider, is_for_sale=False, **columns)
    model.max_output_tokens = min(ORDINARY_OUTPUT, window)
    model.prices = [ModelPrice(source=SOURCE, effective_from=utcnow(), **prices)] if prices else []
    return model
