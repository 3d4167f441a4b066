"""Saves the text of a running call in its row, so that it survives the process."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    Connection,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from app.db.compiled_statement import CompiledStatement, StatementConnection
from app.db.types import UtcDateTime
from app.extensions import db
from app.models.base import at_once
from app.models.chat.chat import Message
from app.models.documents.document import Revision
from app.models.metering.usage import USAGES


class TextTable:
    """A table whose rows hold text that is being written: with account_id, status, error_code, error_detail,
    checkpoint_at, stop_requested_at, and the text in the column `text`."""

    def __init__(self, model: type[Any], text: str) -> None:
        table: Table = model.__table__
        own = and_(table.c.account_id == bindparam("account"), table.c.id == bindparam("row"))
        running = update(table).where(table.c.status == "running")
        by_id = running.where(table.c.id == bindparam("row"))
        self.model, self.table, self.text = model, table, text
        self.running = {False: running.where(own), True: by_id}
        self._finish = {moves: CompiledStatement(query) for moves, query in self.running.items()}
        self._checkpoint = {
            moves: CompiledStatement(checkpoint_of_all(table, text, moves=moves)) for moves in self.running
        }

    def finish(self, connection: StatementConnection, row: Mapping[str, Any], *, moves: bool) -> None:
        """Write how it ended."""
        self._finish[moves].run(connection, row)

    def checkpoint(self, texts: "Mapping[KeptText, str]", at: datetime) -> set[int]:
        """Write what there is so far, which renews the leases; returns the ids of those that are to stop."""
        ordered = sorted(texts, key=lambda kept: kept.row_id)
        stopped = set[int]()
        for moves in self.running:
            if some := {kept: kept.around(texts[kept]) for kept in ordered if kept.moves == moves}:
                is_sqlite = db.engine.dialect.name == "sqlite"
                write = self._checkpoint_each if is_sqlite else self._checkpoint_together
                stopped |= write(some, at, moves=moves)
        return stopped

    def _checkpoint_together(self, texts: "Mapping[KeptText, str]", at: datetime, *, moves: bool) -> set[int]:
        columns = {
            "accounts": [kept.account_id for kept in texts],
            "rows": [kept.row_id for kept in texts],
            "texts": list(texts.values()),
        }
        with at_once() as connection:
            written = self._checkpoint[moves].all(connection, columns | {"at": at})
        return {row_id for row_id, stop_requested_at in written if stop_requested_at}

    def _checkpoint_each(self, texts: "Mapping[KeptText, str]", at: datetime, *, moves: bool) -> set[int]:
        connection = db.session.connection()
        rows = [kept.key | {self.text: text, "checkpoint_at": at} for kept, text in texts.items()]
        connection.execute(self.running[moves], rows)
        asked = self.table.c.id.in_([kept.row_id for kept in texts]), self.table.c.stop_requested_at.is_not(None)
        return set(connection.scalars(select(self.table.c.id).where(*asked)))

    def read(self, connection: Connection, row_id: int) -> tuple[str, str]:
        """What a reader in another process follows: the model's text, and the status."""
        row = connection.execute(select(*self.read_columns()).where(self.table.c.id == row_id)).one()
        text, status, before, after = row
        return text[before : len(text) - after], status

    def read_columns(self) -> tuple[Any, ...]:
        """Text, status, and how many characters before and after are not the model's."""
        columns, none = self.table.c, literal(0)
        around = columns.get("before_length", none), columns.get("after_length", none)
        return columns[self.text], columns.status, *around


def checkpoint_of_all(table: Table, text: str, *, moves: bool) -> ReturningUpdate[Any]:
    """The running rows of all accounts by one statement, for PostgreSQL; those that move by their ids alone."""
    accounts = bindparam("accounts", type_=ARRAY(BigInteger))
    rows = (
        func.unnest(accounts, bindparam("rows", type_=ARRAY(BigInteger)), bindparam("texts", type_=ARRAY(Text)))
        .table_valued("account_id", "id", "text", name="rows")
        .render_derived()
    )
    own = table.c.account_id == any_(accounts), table.c.account_id == rows.c.account_id
    values = {text: rows.c.text, "checkpoint_at": bindparam("at", type_=UtcDateTime)}
    return (
        update(table)
        .where(*(() if moves else own), table.c.id == rows.c.id, table.c.status == "running")
        .values(values)
        .returning(table.c.id, table.c.stop_requested_at)
    )


MESSAGES = TextTable(Message, "content")
REVISIONS = TextTable(Revision, "body")


@dataclass(frozen=True, slots=True)
class KeptText:
    """The row that keeps a call's text. `before` and `after` stand around it: what the call does not touch.

    `is_continued`: readers get `before` first, which the call goes on with.
    `moves`: it may be given to another account meanwhile, as a guest's is at sign-up, and is found by its id alone.
    `has_thinking` is whether the thinking that a model writes before its text stays in the finished row.
    `ids` name the rows in the event stream; `when_paid` are columns of the row that a finished answer sets,
    `when_refused` those that one sets whose question would be refused again.
    """

    table: TextTable
    account_id: int
    row_id: int
    ids: Mapping[str, str] = field(default_factory=dict, compare=False)
    before: str = field(default="", compare=False)
    after: str = field(default="", compare=False)
    is_continued: bool = field(default=False, compare=False)
    has_thinking: bool = field(default=True, compare=False)
    moves: bool = field(default=False, compare=False)
    when_paid: Mapping[str, Any] = field(default_factory=dict, compare=False)
    when_refused: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def key(self) -> dict[str, int]:
        return {"account": self.account_id, "row": self.row_id}

    @property
    def names_model(self) -> bool:
        return "model" in self.table.table.c

    @property
    def begins_with(self) -> str:
        """What readers get before the call's own text."""
        return self.before if self.is_continued else ""

    def around(self, text: str) -> str:
        return f"{self.before}{text}{self.after}"


@dataclass(frozen=True, slots=True)
class FinishedText:
    """A whole text with the other columns that its row ends with: written with the call's receipt."""

    kept: KeptText
    text: str
    columns: Mapping[str, Any]

    @property
    def row(self) -> dict[str, Any]:
        return {self.kept.table.text: self.kept.around(self.text), **self.columns}

    @property
    def shape(self) -> Hashable:
        return self.kept.table.table.name, self.kept.moves, *self.row

    @property
    def values(self) -> Mapping[str, Any]:
        return self.kept.key | {f"kept_{name}": value for name, value in self.row.items()}

    def parts(self, call: CTE) -> Sequence[CTE]:
        table = self.kept.table.table
        columns = {name: bindparam(f"kept_{name}", type_=table.c[name].type) for name in self.row}
        is_closed = call.c.account_id.is_not(None) if self.kept.moves else table.c.account_id == call.c.account_id
        return [self.kept.table.running[self.kept.moves].where(is_closed).values(columns).cte("finished")]

    def write(self, connection: StatementConnection, _call_id: int) -> Sequence[int]:
        self.kept.table.finish(connection, self.kept.key | self.row, moves=self.kept.moves)
        return ()


THIS_CALL = USAGES.c.account_id == bindparam("account"), USAGES.c.id == bindparam("call")
RENEW = CompiledStatement(update(USAGES).where(*THIS_CALL, USAGES.c.state == "running"))


def renew(calls: Iterable[tuple[int, int]], at: datetime) -> None:
    """Renew the leases of calls (account, id) whose text is kept nowhere."""
    with at_once() as connection:
        for account, call in sorted(calls):
            RENEW.run(connection, {"account": account, "call": call, "renewed_at": at})
