"""Where newer data differ from the list of models: both figures, until an admin decides."""

from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.base import Model, one_of, partial_index, refers_to

NEW_MODEL = "model"
WAITING = text("state = 'waiting'")


class CatalogProposal(Model):
    """`field` of `model`: `ours` and `theirs` as text, and `columns`, which are written when it is accepted.

    `field` is a column of a model or of its price; "model" where the model itself is new. One that was dismissed is
    not proposed again as long as its source says the same.
    """

    __tablename__ = "catalog_proposals"
    __table_args__ = (
        one_of("state", "waiting", "accepted", "dismissed"),
        partial_index("uq_catalog_proposals_waiting", "model", "field", "source", unique=True, where=WAITING),
    )

    model: Mapped[str]
    provider: Mapped[str]
    field: Mapped[str]
    ours: Mapped[str]
    theirs: Mapped[str]
    columns: Mapped[dict[str, Any]]
    source: Mapped[str]
    state: Mapped[str] = mapped_column(default="waiting")
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = refers_to("users.id")

    @classmethod
    def waiting(cls) -> "list[CatalogProposal]":
        rows = select(cls).where(cls.state == "waiting").order_by(cls.model, cls.field, cls.id)
        return list(db.session.scalars(rows))
