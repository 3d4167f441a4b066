"""The statements of a message, as the database gets them: each after the first names its one account.

A PostgreSQL that is spread over machines by `account_id` sends such a statement to one of them, and joins nothing
across two. The first asks who it is, and brings that account along. `docs/deploy.md` says how to spread it.
"""

import re

import pytest
from sqlalchemy import event

from app.db.distribution import SPREAD, copied_tables
from app.extensions import db
from tests.chat.conftest import Door
from tests.support.provider_server import ProviderServer

pytestmark = pytest.mark.databases("postgresql")
EVERYWHERE = {table.name for table in copied_tables(db.metadata)}
"""A copy on each machine."""

TABLES = re.compile(r"\b(?:FROM|JOIN|UPDATE(?! OF)|INTO) (\w+)")
PARTS = re.compile(r"(\w+)(?:\([^)]*\))? AS \(")
"""What a statement calls its own parts."""


@pytest.fixture
def sent(ada: Door, provider: ProviderServer) -> list[str]:
    """What is sent for the second question of a chat, whose answer takes longer than a checkpoint."""
    statements: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(" ".join(statement.split()))

    chat = ada.new_chat()
    ada.ask("hello", chat=chat)
    provider.configure(tokens=15, delay=0.1)
    event.listen(db.engine, "before_cursor_execute", hear)
    ada.ask("and again", chat=chat)
    event.remove(db.engine, "before_cursor_execute", hear)
    return statements


def tables_of(statement: str) -> set[str]:
    return set(TABLES.findall(statement)) - set(PARTS.findall(statement)) - {"unnest"}


def test_each_statement_of_a_message_is_one_accounts(sent: list[str]) -> None:
    asks_who, *others = sent
    touched = {(table, statement) for statement in others for table in tables_of(statement)}
    for table, statement in touched:
        column = "id" if table == "accounts" else "account_id"
        writes = rf"INSERT INTO {table} \([^)]*\b{column}\b"
        finds = rf"\b{table}\.{column} (?:=|IN|= ANY) \(?%"
        assert table in EVERYWHERE or re.search(f"{writes}|{finds}", statement), (table, statement)
    assert {table for table, _ in touched} - EVERYWHERE == {"accounts", "chats", "messages", "usages"}
    assert {table for table, _ in touched} <= EVERYWHERE | SPREAD
    assert "WHERE api_keys.secret_hash = " in asks_who
    assert "accounts.id = memberships.account_id" in asks_who
    assert tables_of(asks_who) <= EVERYWHERE | {"accounts", "memberships"}
