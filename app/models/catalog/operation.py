"""Operations: what a call to a model is for. Admins edit these rows; every metered call names one."""

from dataclasses import dataclass
from string import Template
from typing import Any

from sqlalchemy import CheckConstraint, Connection, event, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.compiled_statement import CompiledStatement
from app.extensions import db
from app.models.base import INSERTS, Model, at_once, refers_to, utcnow
from app.models.catalog.setting import SETTINGS, Setting
from app.models.metering.refusal import Refusal

BUILT_IN = {
    "chat": {"instructions", "default_model"},
    "title": {"default_model", "max_output_tokens"},
    "image": {"max_output_tokens"},
    "gateway": {"instructions", "default_model", "max_output_tokens"},
    **dict.fromkeys(("draft", "refine", "refine_selection", "repurpose", "image_prompt"), frozenset[str]()),
}
"""The operations that the app itself calls by name, each with the columns that say nothing there: a chat has its own
instructions and model, a title the cheapest model, a call by the gateway whatever its program sends."""

VERSION = "operations_version"
"""The key of a settings row that says when an operation was last changed. Settings come along with every request,
so that a process reads the operations again only after a change."""


class OperationRow(Model):
    """An operation as it is stored. `instructions` is what the model is told; `$name` stands for a field of the call.

    `default_model` is asked where nobody names another; empty: the first on sale. `minimum_plan_id` is the cheapest
    plan that has it; None: every plan.
    """

    __tablename__ = "operations"
    __table_args__ = (CheckConstraint("max_output_tokens > 0", name="max_output_tokens_positive"),)

    name: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    instructions: Mapped[str] = mapped_column(default="")
    default_model: Mapped[str | None]
    max_output_tokens: Mapped[int | None]
    is_enabled: Mapped[bool] = mapped_column(default=True)
    minimum_plan_id: Mapped[int | None] = refers_to("plans.id")

    minimum_plan = relationship("Plan")


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as calls read it; the fields are those of its row."""

    name: str
    title: str
    instructions: str
    default_model: str | None
    max_output_tokens: int | None
    is_enabled: bool
    minimum_plan_id: int | None

    @classmethod
    def all(cls) -> "dict[str, Operation]":
        """Every operation by name, as they are now."""
        key = (str(db.engine.url), Setting.stored().get(VERSION))
        if key not in _known:
            with at_once() as connection:
                operations = [cls(*row) for row in STORED.all(connection, {})]
            _known.clear()
            _known[key] = {operation.name: operation for operation in operations}
        return _known[key]

    @classmethod
    def named(cls, name: str) -> "Operation":
        """The operation of that name. Refusal where it is switched off; LookupError where there is none."""
        operation = cls.all().get(name)
        if operation is None:
            raise LookupError(f"there is no operation called {name!r}; add it in the admin")
        if not operation.is_enabled:
            raise Refusal("operation_disabled", context={"operation": operation.title})
        return operation

    def instructions_for(self, **fields: str) -> str:
        """The instructions with these fields filled in; a `$name` that is no field stays as it is."""
        return Template(self.instructions).safe_substitute(fields)


_known: dict[tuple[str, str | None], dict[str, Operation]] = {}
OPERATIONS = OperationRow.__table__
STORED = CompiledStatement(select(*(OPERATIONS.c[name] for name in Operation.__slots__)).order_by(OPERATIONS.c.id))


def note_change(_mapper: Any, connection: Connection, _row: OperationRow) -> None:
    """Every process reads the operations again at its next request."""
    row = {"key": VERSION, "value": utcnow().isoformat()}
    written = INSERTS[connection.dialect.name](SETTINGS).values(**row)
    connection.execute(written.on_conflict_do_update(index_elements=["key"], set_={"value": row["value"]}))
    Setting.forget()


for moment in ("after_insert", "after_update", "after_delete"):
    event.listen(OperationRow, moment, note_change)
