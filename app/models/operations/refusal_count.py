"""How often an account was refused, by day and code: for the overview, and to find who is stuck."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Index
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from app.db.types import BigId
from app.extensions import db
from app.models.base import ModelBase, utctoday


class RefusalCount(ModelBase):
    """One row for an account, a UTC day and a code of billing-rules.md 6."""

    __tablename__ = "refusal_counts"
    __table_args__ = (Index("ix_refusal_counts_day", "day"),)

    account_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=1)

    @classmethod
    def note(cls, account_id: int, code: str) -> int:
        """Count one refusal more; how many there are of it on this day."""
        insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
        row = insert(cls).values(account_id=account_id, day=utctoday(), code=code, count=1)
        again = {"count": cls.count + 1}
        counted = row.on_conflict_do_update(index_elements=["account_id", "day", "code"], set_=again)
        return int(db.session.scalar(counted.returning(cls.count)) or 1)
