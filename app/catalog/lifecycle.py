"""Last days of models: the catalogue's against the list's. It proposes; a person approves."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from app.catalog.price_source import listed_models
from app.extensions import db
from app.models.catalog.ai_model import AIModel


@dataclass(frozen=True, slots=True)
class Ending:
    """A model whose vendor names another last day than the list; a person may have set the one of the list."""

    model: AIModel
    sold_until: datetime
    successor: str | None

    @property
    def summary(self) -> str:
        old = f"{self.model.sold_until:%Y-%m-%d}" if self.model.sold_until else "none"
        then = f", then {self.successor}" if self.successor else ""
        return f"{'ends':<10} {self.model.name}: last day {old} -> {self.sold_until:%Y-%m-%d}{then}"

    def approve(self) -> None:
        self.model.sold_until, self.model.successor = self.sold_until, self.successor


def endings(names: tuple[str, ...] = ()) -> list[Ending]:
    """Every model whose end is on the catalogue and not, or not so, on the list."""
    stated = {listed["name"]: listed for listed in listed_models() if "sold_until" in listed}
    query = select(AIModel).where(AIModel.name.in_(names or stated)).order_by(AIModel.position, AIModel.id)
    models = [model for model in db.session.scalars(query) if model.name in stated]
    return [
        Ending(model, stated[model.name]["sold_until"], stated[model.name]["successor"])
        for model in models
        if model.sold_until != stated[model.name]["sold_until"]
    ]


def approve(proposed: list[Ending], names: tuple[str, ...]) -> list[Ending]:
    """Take over the vendors' days; where a person set another, only by the model's name."""
    approved = [ending for ending in proposed if names or ending.model.sold_until is None]
    for ending in approved:
        ending.approve()
    return approved
