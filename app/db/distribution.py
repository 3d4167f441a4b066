"""What a PostgreSQL that is spread over machines by account is told: Citus's statements, made from the tables.

docs/deploy.md says what is lost there, and why the tables are not kept in this form everywhere.
"""

from collections.abc import Iterator

from sqlalchemy import (
    Dialect,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import AddConstraint, CreateIndex

ACCOUNTS = "accounts"
SPREAD = {
    ACCOUNTS, "account_days", "attachments", "chats", "document_revisions", "documents", "key_days",
    "memberships", "messages", "refusal_counts", "refused_calls", "spending_days", "usages",
}  # fmt: skip
"""What grows with use, and what a message writes: each row beside its account's."""

READ_ALONG = {"settings", "user_sessions"}
"""What a message's statements read of without a foreign key to it: a copy on each machine."""

TRIGGERS = {"model_prices": "model_prices_sold", "image_prices": "image_prices_sold"}
ACROSS = {("usages", "chat_id"), ("messages", "call_id")}
"""Foreign keys that lead to another account where a guest's chat went with the person: the call stays the house's."""

DIALECT: Dialect = postgresql.dialect()


def distribution(metadata: MetaData) -> Iterator[str]:
    """The statements, in their order."""
    every = sorted(metadata.sorted_tables, key=lambda table: table.name != ACCOUNTS)
    spread = [table for table in every if table.name in SPREAD]
    copied = copied_tables(metadata)
    for table in every:
        yield from (drop(table, key) for key in foreign_keys(table) if {table.name, target(key)} & SPREAD)
    for name, trigger in TRIGGERS.items():
        yield f"DROP TRIGGER {trigger} ON {name};"
    for table in spread:
        yield from widened(table)
    yield from (f"SELECT create_reference_table('{table.name}');" for table in copied)
    for table in spread:
        beside = "" if table.name == ACCOUNTS else f", colocate_with => '{ACCOUNTS}'"
        yield f"SELECT create_distributed_table('{table.name}', '{column_of(table)}'{beside});"
    for table in spread:
        yield from (again(table, key) for key in foreign_keys(table) if (table.name, key.column_keys[0]) not in ACROSS)


def copied_tables(metadata: MetaData) -> list[Table]:
    """What the spread tables point to, and what these point to in turn."""
    names = set(READ_ALONG)
    for table in reversed(metadata.sorted_tables):
        if table.name in SPREAD | names:
            names |= {target(key) for key in foreign_keys(table)} - SPREAD
    return [table for table in metadata.sorted_tables if table.name in names]


def column_of(table: Table) -> str:
    """The column by which it is spread."""
    return "id" if table.name == ACCOUNTS else "account_id"


def foreign_keys(table: Table) -> list[ForeignKeyConstraint]:
    return sorted(table.foreign_key_constraints, key=lambda key: str(key.name))


def target(key: ForeignKeyConstraint) -> str:
    return key.referred_table.name


def drop(table: Table, key: ForeignKeyConstraint) -> str:
    return f"ALTER TABLE {table.name} DROP CONSTRAINT {key.name};"


def again(table: Table, key: ForeignKeyConstraint) -> str:
    """The foreign key; between two rows of an account it names the account too."""
    made = str(AddConstraint(key, isolate_from_table=False).compile(dialect=DIALECT)).strip()
    if target(key) in SPREAD - {ACCOUNTS}:
        made = made.replace("FOREIGN KEY(", "FOREIGN KEY(account_id, ").replace("(id)", "(account_id, id)")
    return f"{made};"


def widened(table: Table) -> Iterator[str]:
    """Every unique key that does not name the account, with it at its end: the rest is still looked up by it."""
    column = column_of(table)
    for key in sorted(table.constraints, key=lambda key: str(key.name)):
        if isinstance(key, PrimaryKeyConstraint | UniqueConstraint) and column not in key.columns:
            kind = "PRIMARY KEY" if isinstance(key, PrimaryKeyConstraint) else "UNIQUE"
            columns = ", ".join([*key.columns.keys(), column])
            yield f"ALTER TABLE {table.name} DROP CONSTRAINT {key.name}, ADD CONSTRAINT {key.name} {kind} ({columns});"
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.unique and column not in index.columns:
            yield f"DROP INDEX {index.name};"
            yield f"{create(index).replace(')', f', {column})', 1)};"


def create(index: Index) -> str:
    return str(CreateIndex(index).compile(dialect=DIALECT)).strip()
