"""Where the text of a running call is kept, so that it survives the process: a row of one of the tables below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, select, update

from app.db.compiled_statement import CompiledStatement
from app.models.chat.chat import Message
from app.models.metering.usage import Usage


class TextTable:
    """A table whose rows hold text that is being written: with account_id, status, error_code, error_detail,
    checkpoint_at, stop_requested_at, and the text in the column `text`."""

    def __init__(self, model: type[Any], text: str) -> None:
        table: Table = model.__table__
        own = and_(table.c.account_id == bindparam("account"), table.c.id == bindparam("row"))
        running = update(table).where(own, table.c.status == "running")
        self.model, self.table, self.text = model, table, text
        self._finish, self._checkpoint = CompiledStatement(running), running

    def finish(self, connection: Connection, kept: KeptText, text: str, **columns: Any) -> None:
        """Write how it ended."""
        self._finish.run(connection, kept.key | {self.text: kept.around(text)} | columns)

    def checkpoint(self, connection: Connection, texts: Mapping[KeptText, str], at: datetime) -> set[int]:
        """Write what there is so far, which renews the leases; returns the ids of those that are to stop."""
        ordered = sorted(texts, key=lambda kept: kept.row_id)
        rows = [kept.key | {self.text: kept.around(texts[kept]), "checkpoint_at": at} for kept in ordered]
        connection.execute(self._checkpoint, rows)
        asked = (
            self.table.c.account_id.in_({kept.account_id for kept in ordered}),
            self.table.c.id.in_([kept.row_id for kept in ordered]),
            self.table.c.stop_requested_at.is_not(None),
        )
        return set(connection.scalars(select(self.table.c.id).where(*asked)))

    def read(self, connection: Connection, row_id: int) -> Any:
        """What a reader in another process follows: text and status."""
        columns = self.table.c[self.text].label("text"), self.table.c.status
        return connection.execute(select(*columns).where(self.table.c.id == row_id)).one()


MESSAGES = TextTable(Message, "content")


@dataclass(frozen=True, slots=True)
class KeptText:
    """The row that keeps a call's text. `before` and `after` stand around it: what the call does not touch.

    `ids` name the rows in the event stream; `when_paid` are columns of the row that a finished answer sets,
    `when_refused` those that one sets whose question would be refused again.
    """

    table: TextTable
    account_id: int
    row_id: int
    ids: Mapping[str, str] = field(default_factory=dict, compare=False)
    before: str = field(default="", compare=False)
    after: str = field(default="", compare=False)
    when_paid: Mapping[str, Any] = field(default_factory=dict, compare=False)
    when_refused: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def key(self) -> dict[str, int]:
        return {"account": self.account_id, "row": self.row_id}

    def around(self, text: str) -> str:
        return f"{self.before}{text}{self.after}"


USAGES: Table = Usage.__table__  # type: ignore[assignment]
RENEW = update(USAGES).where(
    USAGES.c.account_id == bindparam("account"), USAGES.c.id == bindparam("call"), USAGES.c.state == "running"
)


def renew(connection: Connection, calls: Iterable[tuple[int, int]], at: datetime) -> None:
    """Renew the leases of calls (account, id) whose text is kept nowhere."""
    rows = [{"account": account, "call": call, "renewed_at": at} for account, call in sorted(calls)]
    connection.execute(RENEW, rows)
