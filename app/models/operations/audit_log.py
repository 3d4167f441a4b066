"""The record of changes: who changed what in the admin, from what to what, when and why. Never edited."""

from typing import Any

from sqlalchemy import Connection, Index, event, inspect
from sqlalchemy.orm import Mapped, Mapper, mapped_column, relationship

from app.db.types import BigId
from app.extensions import db
from app.models.base import Model, refers_to

NEVER_SHOWN = {"password_hash", "totp_secret", "secret_hash", "secret", "former_secret"}


class AdminChange(Model):
    """One act of an admin. `changes` maps each field to [before, after], as text."""

    __tablename__ = "admin_changes"
    __table_args__ = (Index("ix_admin_changes_subject", "subject", "subject_id"),)

    actor_id: Mapped[int] = refers_to("users.id", index=True)
    action: Mapped[str]
    subject: Mapped[str]
    subject_id: Mapped[str]
    account_id: Mapped[int | None] = mapped_column(BigId, index=True)
    changes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    reason: Mapped[str] = mapped_column(default="")

    actor = relationship("User")

    @classmethod
    def note(cls, actor_id: int, action: str, row: Any, *, reason: str = "", **columns: Any) -> "AdminChange":
        """Write down an act on a row, in its own transaction; `changes` defaults to the row's unsaved differences."""
        change = cls(actor_id=actor_id, action=action, subject=row.__tablename__, reason=reason.strip())
        change.changes = columns.get("changes", differences(row))
        db.session.add(row)
        db.session.flush()
        change.subject_id = str(inspect(row).identity[0])
        change.account_id = columns.get("account_id", row.id if row.__tablename__ == "accounts" else None)
        db.session.add(change)
        return change


def differences(row: Any) -> dict[str, list[str | None]]:
    """The columns that were changed and not yet flushed: {name: [before, after]}."""
    state, changes = inspect(row), {}
    for column in state.mapper.column_attrs:
        history = state.attrs[column.key].history
        if not history.has_changes() or column.key in NEVER_SHOWN:
            continue
        before, after = written(history.deleted), written(history.added)
        if before != after:
            changes[column.key] = [before, after]
    return changes


def written(values: Any) -> str | None:
    return None if not values or values[0] is None else str(values[0])


@event.listens_for(AdminChange, "before_update")
@event.listens_for(AdminChange, "before_delete")
def refuse(_mapper: Mapper[AdminChange], _connection: Connection, change: AdminChange) -> None:
    raise TypeError(f"the record of changes is never edited (row {change.id})")
